"""Searches of the access log: from a form to an address, from an address to GraphQL's variables.

Which conditions there are is read off the schema: one that `AccessLogFilter` gains appears in the form, and so does a
field that `AccessEntry` gains on an entry's page, if it is listed here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from urllib.parse import urlencode

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType, get_named_type

from policies import PolicySet
from schema.build import BuiltSchema
from schema.errors import ErrorCode
from server.console.errors import ReadRefusedError
from server.console.sessions import Session, Sessions
from server.console.vocabulary import KINDS

PAGE_SIZE: Final = 25
_LONGEST: Final = 256
_OPERATION: Final = """query {name}($filter: AccessLogFilter, $first: Int!, $after: String) {{
  accessLog(filter: $filter, first: $first, after: $after) {{
    nodes {{ {selection} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
"""
_ENTRY_OPERATION: Final = """query {name}($id: ID!) {{
  accessEntry(id: $id) {{ {selection} }}
}}
"""
# What pages show of an entry; the second line holds what the schema may not have yet.
_SELECTION: Final = (
    "id time actor roles client purpose case kind operation filters subjects outcome policyVersion "
    "decisions { decision fields reason rule subjectCount }"
)
_LATER: Final = ("trace", "document")


class Kind(Enum):
    """How a condition is put into a form."""

    TEXT = "text"
    LISTED = "listed"
    CHOICE = "choice"
    MOMENT = "moment"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Condition:
    """Something the log can be searched by.

    Attributes:
        name: as `AccessLogFilter` has it, and as addresses do.
        path: the field of the catalogue that it uses.
        options: of a choice: what GraphQL calls each, and what people do.
        first: whether it stands in the first row of the form.
    """

    name: str
    path: str
    label: str
    kind: Kind
    hint: str = ""
    first: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


_ALL: Final = (
    Condition("actor", "access_entry.actor", "Who", Kind.TEXT, "Exactly, such as ben.marketing", first=True),
    Condition("customer", "access_entry.subjects", "Customer", Kind.CUSTOMER, "The id of a living one", first=True),
    Condition("field", "access_entry.fields", "Field", Kind.LISTED, "Such as profile.email", first=True),
    Condition("purpose", "access_entry.purpose", "Purpose", Kind.LISTED, "Such as marketing", first=True),
    Condition("since", "access_entry.time", "From", Kind.MOMENT, "UTC, such as 2026-05-14 09:30", first=True),
    Condition("until", "access_entry.time", "Before", Kind.MOMENT, "UTC, such as 2026-05-15", first=True),
    Condition("role", "access_entry.roles", "Role", Kind.LISTED, "Such as marketer"),
    Condition("case", "access_entry.case", "Case", Kind.TEXT, "Such as a ticket's number"),
    Condition("kind", "access_entry.operation", "What was done", Kind.CHOICE, "Read, write, log search …"),
    Condition("decision", "access_entry.fields", "Decision", Kind.CHOICE, "With a field: how that field left"),
    Condition("outcome", "access_entry.outcome", "Outcome", Kind.CHOICE, "How it ended"),
    Condition("client", "access_entry.client", "Program", Kind.TEXT, "The application it came through"),
    Condition("policyVersion", "access_entry.policy_version", "Policy version", Kind.TEXT, "16 digits and letters"),
)
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "kind": KINDS,
    "decision": {"clear": "In clear", "masked": "Masked", "withheld": "Withheld"},
    "outcome": {"allowed": "Allowed", "refused": "Refused", "failed": "Failed", "not_found": "Found nobody"},
}


@dataclass(frozen=True)
class LogShape:
    """What the schema lets the console ask of the log."""

    conditions: tuple[Condition, ...]
    selection: str

    @classmethod
    def of(cls, built: BuiltSchema) -> "LogShape":
        """The shape that a schema has."""
        types = built.schema._schema.type_map  # noqa: SLF001 - Strawberry gives no public way to it
        given, entry = types["AccessLogFilter"], types["AccessEntry"]
        if not isinstance(given, GraphQLInputObjectType) or not isinstance(entry, GraphQLObjectType):
            raise TypeError("AccessLogFilter and AccessEntry are not what they were")
        known = [each for each in _ALL if each.name in given.fields]
        later = [name for name in _LATER if name in entry.fields]
        return cls(
            conditions=tuple(_with_options(each, get_named_type(given.fields[each.name].type)) for each in known),
            selection=" ".join((_SELECTION, *later)),
        )

    def document(self, operation: str) -> str:
        """The query, under the name that the access log will show."""
        return _OPERATION.format(name=operation, selection=self.selection)

    def entry_document(self, operation: str) -> str:
        """The query for one entry by its id."""
        return _ENTRY_OPERATION.format(name=operation, selection=self.selection)

    def condition(self, name: str) -> Condition | None:
        """The condition of this name."""
        return next((each for each in self.conditions if each.name == name), None)


def _with_options(condition: Condition, kind: Any) -> Condition:
    """The condition with its options under the names that GraphQL gives them."""
    words = _WORDS.get(condition.name)
    if words is None:
        return condition
    names = list(kind.values) if isinstance(kind, GraphQLEnumType) else list(words)
    options = {name: words.get(name.lower(), name.lower().replace("_", " ")) for name in names}
    return Condition(
        condition.name, condition.path, condition.label, condition.kind, condition.hint, condition.first, options
    )


@dataclass(frozen=True)
class Search:
    """A search as somebody typed it.

    Attributes:
        values: what was typed, by the conditions' names; nothing empty.
        filter: GraphQL's `AccessLogFilter`.
        errors: what is wrong with a value, by its condition's name.
    """

    values: Mapping[str, str]
    filter: Mapping[str, Any]
    errors: Mapping[str, str]

    def with_errors(self, errors: Mapping[str, str]) -> "Search":
        """The search with what GraphQL found wrong with it."""
        return Search(self.values, self.filter, {**self.errors, **errors})


def read_search(shape: LogShape, typed: Mapping[str, str]) -> Search:
    """The search that a form or an address asks for; what is not a condition is left aside."""
    values = {each.name: typed[each.name].strip() for each in shape.conditions if typed.get(each.name, "").strip()}
    wanted: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for condition in shape.conditions:
        value = values.get(condition.name)
        if value is None:
            continue
        try:
            wanted[condition.name] = _read(condition, value)
        except ValueError as error:
            errors[condition.name] = str(error)
    if "since" in wanted and "until" in wanted and wanted["until"] <= wanted["since"]:
        errors["until"] = "This is not after “From”, so nothing could be found. Choose a later moment."
    return Search(values, wanted, errors)


def _read(condition: Condition, value: str) -> str:
    if len(value) > _LONGEST or not value.isprintable():
        raise ValueError(f"Use at most {_LONGEST} letters, digits and signs.")
    if condition.kind is Kind.CHOICE and value not in condition.options:
        raise ValueError("Choose one of the list.")
    if condition.kind is not Kind.MOMENT:
        return value
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Write a day and a time, such as 2026-05-14 09:30, in UTC.") from None
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"


def in_form(condition: Condition, value: str) -> str:
    """The value as the condition's input holds it."""
    if condition.kind is not Kind.MOMENT:
        return value
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return value
    return moment.isoformat(" ", "seconds" if moment.second or moment.microsecond else "minutes")


# ---- addresses: a customer's id is never in one ----


def address_of(values: Mapping[str, str], sessions: Sessions, session: Session, **more: str) -> str:
    """A query string for these conditions. The customer is there by a name that only the session understands."""
    pairs = {
        name: sessions.name_customer(session, value) if name == "customer" else value
        for name, value in values.items()
    }
    return urlencode({**pairs, **more})


def search_in(shape: LogShape, parameters: Iterable[tuple[str, str]], session: Session) -> Search:
    """The search that an address asks for."""
    typed: dict[str, str] = {}
    for name, value in parameters:
        typed.setdefault(name, value)
    if not typed.get("customer"):
        return read_search(shape, typed)
    known = session.customers.get(typed["customer"])
    typed["customer"] = known or ""
    found = read_search(shape, typed)
    if known is None:
        again = "Only the session that this address was made in knows which customer it means. Write the id again."
        return found.with_errors({"customer": again})
    return found


# ---- what GraphQL had against it ----


def conditions_refused(shape: LogShape, search: Search, error: ReadRefusedError) -> Search | None:
    """The search with the refusal beside the conditions that it is about; None where it is about none."""
    if error.code is ErrorCode.NOT_FOUND and "customer" in search.values:
        text = "No living customer has this id. The entries of somebody who was erased cannot be searched for."
        return search.with_errors({"customer": text})
    if error.code is not ErrorCode.FILTER_NOT_ALLOWED:
        return None
    text = "For the purpose you stated, your role may not search by this."
    about = [each.name for each in shape.conditions if each.path in error.fields and each.name in search.values]
    return search.with_errors(dict.fromkeys(about, text)) if about else None


def suggestions(policies: PolicySet) -> Mapping[str, list[tuple[str, str]]]:
    """What the inputs with a list suggest."""
    return {
        "field": [(each.path, each.label) for each in policies.catalogue.fields.values()],
        "purpose": [(each.name, each.label) for each in policies.purposes.values()],
        "role": [(each.name, each.label) for each in policies.roles.values()],
    }


__all__ = [
    "PAGE_SIZE",
    "Condition",
    "Kind",
    "LogShape",
    "Search",
    "address_of",
    "conditions_refused",
    "in_form",
    "read_search",
    "search_in",
    "suggestions",
]
