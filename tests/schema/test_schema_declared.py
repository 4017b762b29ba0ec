"""The schema says of every field what it is and which permission it needs; `schema.graphql` is what it says now."""

from pathlib import Path

import pytest
import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLScalarType,
    build_schema,
    parse,
    specified_directives,
)

from schema.build import sdl
from schema.errors import UndeclaredFieldError
from schema.permission import declared_paths, governed, structural
from tests.schema.world import BUILT, SHIPPED

COMMITTED = Path(__file__).parents[2] / "schema.graphql"
GOVERNED = {
    "Profile": "profile",
    "Order": "order",
    "Ticket": "ticket",
    "Event": "event",
    "AccessEntry": "access_entry",
}
GRAPHQL = BUILT.schema._schema


def own_types():
    return {name: each for name, each in GRAPHQL.type_map.items() if not name.startswith("__")}


def test_the_committed_schema_is_the_one_that_is_served():
    assert COMMITTED.read_text() == sdl(BUILT), "run scripts/docs"


def test_the_committed_schema_can_be_read_by_others():
    read = build_schema(COMMITTED.read_text())
    assert [each.name for each in read.directives if each not in specified_directives] == ["permission"]
    assert own_types().keys() <= read.type_map.keys()


def undescribed(schema):
    """Everything a client can see that has no description."""
    found = []
    for name, each in schema.type_map.items():
        if name.startswith("__") or (isinstance(each, GraphQLScalarType) and name in {"Int", "Float", "ID"}):
            continue
        if not (each.description or "").strip():
            found.append(name)
        if isinstance(each, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            for field_name, field in each.fields.items():
                if not (field.description or "").strip():
                    found.append(f"{name}.{field_name}")
                for argument_name, argument in getattr(field, "args", {}).items():
                    if not (argument.description or "").strip():
                        found.append(f"{name}.{field_name}({argument_name})")
        if isinstance(each, GraphQLEnumType):
            found += [
                f"{name}.{value}" for value, meaning in each.values.items() if not (meaning.description or "").strip()
            ]
    return found


def test_everything_that_can_be_seen_has_a_description():
    assert undescribed(GRAPHQL) == []


def test_what_has_no_description_is_found():
    """Negative control."""
    schema = build_schema(
        '"T" type Query { "f" field(a: E): Int plain: I } "E" enum E { "one" ONE TWO } input J { x: Int } type I { y: Int }'
    )
    assert set(undescribed(schema)) == {
        "Query.field(a)", "Query.plain", "E.TWO", "J", "J.x", "I", "I.y",
    }  # fmt: skip


def test_every_governed_field_declares_the_field_of_the_catalogue_it_shows():
    for type_name, owner in GOVERNED.items():
        for field_name in GRAPHQL.type_map[type_name].fields:
            path = BUILT.paths.get((type_name, field_name))
            assert path is None or path.startswith(f"{owner}.")
        shown = {path for (name, _), path in BUILT.paths.items() if name == type_name}
        assert shown == {field.path for field in SHIPPED.catalogue.object(owner)}


def test_only_the_parts_of_a_document_are_structural():
    structural_fields = {
        f"{name}.{field}"
        for name in GOVERNED
        for field in GRAPHQL.type_map[name].fields
        if (name, field) not in BUILT.paths
    }
    assert structural_fields == {"Profile.orders", "Profile.tickets", "Profile.events", "Profile.quality"} | {
        "Profile.classifiedTraits",
        "Profile.provenance",
    }


def test_a_governed_field_is_nullable_unless_it_is_the_id():
    """What is withheld is null: a field that cannot be null could not be withheld."""
    for (type_name, field_name), path in BUILT.paths.items():
        of_type = GRAPHQL.type_map[type_name].fields[field_name].type
        assert str(of_type).endswith("!") is path.endswith(".id"), (type_name, field_name)


def printed_permissions():
    """The permission that the printed schema shows beside each field that has one."""
    found = {}
    for definition in parse(sdl(BUILT)).definitions:
        for field in getattr(definition, "fields", None) or ():
            for directive in field.directives or ():
                said = {each.name.value: each.value.value for each in directive.arguments}
                found[definition.name.value, field.name.value] = (said["action"], said["field"])
    return found


def test_the_permission_is_printed_beside_every_field_that_needs_one():
    printed = printed_permissions()
    for place, path in BUILT.paths.items():
        assert printed.pop(place) == ("read", path)
    mutations = {place: printed.pop(place) for place in list(printed) if place[0] == "Mutation"}
    assert {name for _, name in mutations} == set(GRAPHQL.mutation_type.fields)
    actions = {name: action for (_, name), (action, _) in mutations.items()}
    assert actions.pop("eraseCustomer") == "erase"
    assert {actions.pop("exportAccessLog"), actions.pop("cancelAccessLogExport")} == {"export"}
    for name in ("openBreakGlass", "endBreakGlass", "reviewBreakGlass"):
        assert actions.pop(name) == "read"
    assert set(actions.values()) == {"write"}
    for name in ("accessLogExport", "accessLogExports"):
        assert printed.pop(("Query", name)) == ("export", "access_entry.*")
    assert printed.pop(("Query", "dataQuality")) == ("read", "profile.updated_at")
    assert printed.pop(("Query", "corrections")) == ("read", "profile.*")
    for name in ("identityCase", "identityCases"):
        assert printed.pop(("Query", name)) == ("write", "profile.identifiers")
    assert printed.pop(("Query", "breakGlassOpenings")) == ("read", "access_entry.actor")
    assert printed.pop(("Query", "retainedRecords")) == ("read", "order.*")
    assert printed.pop(("Query", "consentCounts")) == ("filter", "profile.consents")
    for name in ("privacyRequest", "privacyRequests", "privacyRequestsOf"):
        assert printed.pop(("Query", name)) == ("write", "profile.consents")
    for name in ("myPrivacyRequests", "myRecipients", "myRecipientNotices"):
        assert printed.pop(("Query", name)) == ("read", "profile.consents")
    assert printed.pop(("Query", "recipientNotices")) == ("write", "profile.consents")
    for name in ("consentLedger", "consentReceipt"):
        assert printed.pop(("Query", name)) == ("export", "profile.consents")
    assert printed == {("Query", name): ("read", "access_entry.id") for name in ("accessEntry", "accessLog")}


def schema_with(**fields):
    @strawberry.type(description="A profile.")
    class Profile:
        __annotations__ = dict.fromkeys(fields, str | None)
        locals().update(fields)

    @strawberry.type(description="The root.")
    class Query:
        @strawberry.field(description="One.")
        def profile(self) -> Profile | None:
            return None

    return strawberry.Schema(query=Query)


@pytest.mark.parametrize(
    "field",
    [
        strawberry.field(description="Says nothing of a permission."),
        governed("profile.shoe_size", "Names what the catalogue lacks."),
        governed("profile", "Names an object."),
    ],
)
def test_a_field_that_declares_no_permission_of_the_catalogue_fails_the_build(field):
    schema = schema_with(email=governed("profile.email", "Declared."), other=field)
    with pytest.raises(UndeclaredFieldError) as error:
        declared_paths(schema, SHIPPED.catalogue, frozenset({"Profile"}))
    assert (error.value.type_name, error.value.field_name) == ("Profile", "other")


def test_the_same_type_with_every_field_declared_is_built():
    """Negative control."""
    schema = schema_with(email=governed("profile.email", "Declared."), other=structural("A part."))
    found = declared_paths(schema, SHIPPED.catalogue, frozenset({"Profile"}))
    assert found == {("Profile", "email"): "profile.email"}
