"""The catalogue declares every field once, and declares nothing that could not be honoured."""

import tomllib

import pytest

from policies import FieldKind, Mask, PolicyInvalidError
from policies.loading import build

EMAIL = "[profile.email]"

# Fides 3.2 names in use; what is not here must be among the catalogue's [extensions].
FIDES = frozenset(
    [
        "system",
        "system.operations",
        "user",
        "user.account",
        "user.behavior",
        "user.behavior.purchase_history",
        "user.contact",
        "user.contact.address",
        "user.contact.address.city",
        "user.contact.address.country",
        "user.contact.address.mailing_address",
        "user.contact.address.postal_code",
        "user.contact.address.street",
        "user.contact.email",
        "user.contact.phone_number",
        "user.content",
        "user.content.private",
        "user.demographic",
        "user.demographic.date_of_birth",
        "user.demographic.language",
        "user.financial",
        "user.financial.credit_card",
        "user.government_id",
        "user.government_id.national_identification_number",
        "user.location",
        "user.location.coarse",
        "user.name",
        "user.name.first",
        "user.name.last",
        "user.privacy_preferences",
        "user.unique_id",
        "user.unique_id.pseudonymous",
    ],
)


def test_every_category_is_a_fides_name_or_a_declared_extension(packaged, shipped):
    extensions = set(tomllib.loads(packaged["catalogue.toml"].decode())["extensions"])
    assert set(shipped.catalogue.categories) == FIDES | extensions
    assert not extensions & FIDES


def test_the_documents_have_the_fields_others_build_on(shipped):
    catalogue = shipped.catalogue
    assert catalogue.objects == ("profile", "order", "ticket", "event", "access_entry")
    assert {group: [field.name for field in fields] for group, fields in catalogue.groups("profile").items()} == {
        "name": ["given_name", "family_name"],
        "contact": ["email", "phone"],
        "identifiers": ["identifiers"],
        "address": ["street", "postal_code", "city"],
        "demographic": ["birth_date", "language"],
        "government": ["national_id"],
        "notes": ["notes"],
        "unclassified": ["traits"],
    }
    assert set(catalogue.groups("order")) == {"address", "notes", "financial", "unclassified"}
    assert set(catalogue.groups("ticket")) == {"content", "unclassified"}
    assert not catalogue.groups("access_entry")
    assert not catalogue.groups("event")  # its groups are the categories that tracking plans name
    assert not catalogue.object("nothing")
    assert {field.index: field.path for field in catalogue.fields.values() if field.index} == {
        "email": "profile.email",
        "phone": "profile.phone",
        "external_id": "profile.identifiers",
    }


def test_a_field_knows_where_it_belongs(shipped):
    for path, field in shipped.catalogue.fields.items():
        assert path == field.path == f"{field.object}.{field.name}"
        assert field in shipped.catalogue.object(field.object)
        assert field.sealed == (field.group is not None)
        assert field.category in shipped.catalogue.categories
        assert field.label
        assert field.description.endswith(".")


def test_the_category_tree_follows_from_the_dots(shipped):
    assert shipped.tables.categories["user.contact.address.city"] == (
        "user.contact.address.city",
        "user.contact.address",
        "user.contact",
        "user",
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('category = "user.contact.email"', 'category = "user.contact.mail"', "unknown category 'user.contact.mail'"),
        ('category = "user.contact.email"', "", "needs category"),
        ('label = "E-mail address"', 'label = " "', "needs label"),
        ('kind = "text"', 'kind = "txt"', "kind must be one of"),
        ('kind = "text"', "", "needs kind"),
        ('kind = "text"', "kind = [1]", "kind must be one of"),
        ('group = "contact"', "group = 1", "group must be a name"),
        ('group = "contact"', "", "a blind index is for a sealed field"),
        ('mask = "domain_only"', "", "needs a mask"),
        ('mask = "domain_only"', 'mask = "blur"', "mask must be one of"),
        ('mask = "domain_only"', 'mask = "year_only"', "cannot be put on a value of kind text"),
        ('index = "email"', 'index = "mail"', "index must be one of"),
        ('index = "email"', "index = []", "index must be one of"),
        ('index = "email"', 'index = "phone"', "uses the index of"),
        ('index = "email"', "", "no query can filter by it"),
        ("filterable = true", "filterable = 1", "must be true or false"),
        ("filterable = true", "filterable = true\nsortable = true", "no query can sort by it"),
        ("filterable = true", "searchable = true", "unknown key 'searchable'"),
    ],
)
def test_a_field_that_could_not_be_honoured_is_a_fault_with_its_line(packaged, old, new, says):
    text = packaged["catalogue.toml"].decode()
    start = text.index(EMAIL)
    broken = text[:start] + text[start:].replace(old, new, 1)
    with pytest.raises(PolicyInvalidError) as refused:
        build({**packaged, "catalogue.toml": broken.encode()})
    first = text[:start].count("\n") + 1
    place = [fault for fault in refused.value.faults if says in fault.message]
    assert place
    # The phone field comes next and is the one found to share an index.
    assert all(first <= fault.line <= first + 20 for fault in place)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"user.contact" = "How to reach you"\n', "", "belongs to 'user.contact', which is not declared"),
        ('"user" = "Everything about you"\n', "", "the category 'user' is missing"),
        ("\n[categories]", "\n[kategories]", "needs a table [categories]"),
        ('"user.name" = "Your name"', '"user.name" = ""', "is not a category name with its words"),
        ('"user.name" = "Your name"', '"user.Name" = "Your name"', "'user.Name' is not a category name"),
        (
            "\n[extensions]",
            '\n[extensions]\n"user.dreams" = "x"',
            "the extension 'user.dreams' is not in [categories]",
        ),
        ("[profile.id]", "[profile.ID]", "[profile.ID] is not a field"),
    ],
)
def test_a_broken_category_is_a_fault(packaged, old, new, says):
    broken = packaged["catalogue.toml"].decode().replace(old, new, 1)
    with pytest.raises(PolicyInvalidError) as refused:
        build({**packaged, "catalogue.toml": broken.encode()})
    assert any(says in fault.message for fault in refused.value.faults)


def test_every_field_about_a_person_can_be_masked(shipped):
    for field in shipped.catalogue.fields.values():
        assert (field.mask is not None) == field.category.startswith("user")
    assert {field.mask for field in shipped.catalogue.fields.values()} == {*Mask, None}
    assert {field.kind for field in shipped.catalogue.fields.values()} == set(FieldKind)
