"""What profiles can be filtered and sorted by."""

import re
from enum import Enum
from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from customers.identity.model import PRIMARY_FIELDS
from customers.identity.model import IdentifierType as Kind
from customers.profiles.made import CUSTOMER, VISITOR
from customers.profiles.query import CUSTOMERS, Comparison, Condition, IdentifierCondition, ProfileQuery, Sort
from schema.errors import InputInvalidError
from schema.paging import first_of
from schema.scalars import Timestamp, moment


@strawberry.enum(description="Kinds of identifiers.")
class IdentifierType(Enum):
    """The GraphQL names of the kinds."""

    EMAIL = strawberry.enum_value(Kind.EMAIL.value, description="An e-mail address; case does not matter.")
    PHONE = strawberry.enum_value(
        Kind.PHONE.value, description="A phone number with its country code, such as +44 20 7946 0018."
    )
    EXTERNAL_ID = strawberry.enum_value(Kind.EXTERNAL_ID.value, description="`system:id`, such as crm:4711.")
    ANONYMOUS_ID = strawberry.enum_value(
        Kind.ANONYMOUS_ID.value, description="The id that a browser or an app gave itself; found exactly as it is."
    )


@strawberry.enum(description="Whose profiles there are.")
class ProfileKind(Enum):
    """The GraphQL names of the kinds."""

    CUSTOMER = strawberry.enum_value(CUSTOMER, description="Somebody of whom it is known who they are.")
    VISITOR = strawberry.enum_value(
        VISITOR, description="Somebody who came, of whom there are ids of browsers and apps and no others."
    )


@strawberry.input(description="One of the ways to compare text; those given must all hold.")
class TextFilter:
    """Equality or membership."""

    equals: str | None = strawberry.field(default=None, description="Is exactly this.")
    one_of: list[str] | None = strawberry.field(default=None, description="Is one of these, at most 100.")


@strawberry.input(description="A range of whole numbers, from `atLeast` up to but without `below`.")
class NumberFilter:
    """A half-open range."""

    at_least: int | None = strawberry.field(default=None, description="The least value.")
    below: int | None = strawberry.field(default=None, description="Values are smaller than this.")


@strawberry.input(
    description="A range of amounts in the profile's currency, from `atLeast` up to but without `below`."
)
class AmountFilter:
    """A half-open range of decimals, such as 28.73."""

    at_least: str | None = strawberry.field(default=None, description="The least amount, such as 100.00.")
    below: str | None = strawberry.field(default=None, description="Amounts are smaller than this.")


@strawberry.input(description="A span of time, from `since` up to but without `before`.")
class TimeFilter:
    """A half-open span."""

    since: Timestamp | None = strawberry.field(default=None, description="The earliest moment.")
    before: Timestamp | None = strawberry.field(default=None, description="Moments are earlier than this.")


@strawberry.input(description="An identifier, found by equality.")
class IdentifierFilter:
    """One value in any spelling that comes to the same normal form."""

    type: IdentifierType = strawberry.field(description="What kind of identifier it is.")
    value: str = strawberry.field(description="The value, in any usual spelling.")


@strawberry.input(
    description="Conditions that must all hold. Filtering by a field is reading it: each needs the permission `filter`, "
    "and customers whose rights do not allow the purpose are left out."
)
class ProfileFilter:
    """The fields of the catalogue that can be filtered by."""

    identifier: IdentifierFilter | None = strawberry.field(
        default=None, description="The profile with this identifier."
    )
    kind: list[ProfileKind] | None = strawberry.field(
        default=None,
        description="Whose profiles; by default customers, or with `identifier` whoever has it. To ask for visitors "
        "takes the permission `filter` on `profile.kind`; `[CUSTOMER, VISITOR]` is everybody.",
    )
    region: TextFilter | None = strawberry.field(default=None, description="The sales region.")
    country: TextFilter | None = strawberry.field(default=None, description="The country of residence.")
    loyalty_tier: TextFilter | None = strawberry.field(default=None, description="The loyalty level.")
    acquisition_channel: TextFilter | None = strawberry.field(default=None, description="How the customer came.")
    order_count: NumberFilter | None = strawberry.field(default=None, description="The number of orders.")
    total_spent: AmountFilter | None = strawberry.field(default=None, description="What all orders come to.")
    created_at: TimeFilter | None = strawberry.field(default=None, description="When the profile was made.")
    last_order_at: TimeFilter | None = strawberry.field(default=None, description="When the latest order was placed.")


@strawberry.enum(description="What profiles can be sorted by; ties are in order of creation.")
class ProfileOrder(Enum):
    """The sortable fields of the catalogue."""

    CREATED_AT = strawberry.enum_value("created_at", description="When the profile was made.")
    ORDER_COUNT = strawberry.enum_value("order_count", description="The number of orders.")
    TOTAL_SPENT = strawberry.enum_value("total_spent", description="What all orders come to.")
    LAST_ORDER_AT = strawberry.enum_value(
        "last_order_at", description="The latest order; customers who never ordered are not in this list."
    )


@strawberry.input(description="An order of profiles.")
class ProfileSort:
    """A field and a direction."""

    by: ProfileOrder = strawberry.field(description="The field to sort by.")
    descending: bool = strawberry.field(default=False, description="Whether the largest comes first.")


_TEXTS = ("region", "country", "loyalty_tier", "acquisition_channel")
_TIMES = ("created_at", "last_order_at")
# What is no field of its own is found, and shown, in the list.
_INDEX_PATHS = {kind: f"profile.{PRIMARY_FIELDS.get(kind, 'identifiers')}" for kind in Kind}
_LONGEST = 256


def profile_query(
    filter_by: ProfileFilter | None, sort: ProfileSort | None, first: int, after: str | None
) -> ProfileQuery:
    """The domain's form of a page request.

    Raises:
        InputInvalidError: A value cannot be compared so; the field is named.
    """
    return ProfileQuery(
        conditions=() if filter_by is None else tuple(_conditions(filter_by)),
        identifier=None
        if filter_by is None or filter_by.identifier is None
        else identifier_condition(filter_by.identifier.type, filter_by.identifier.value),
        sort=None if sort is None else Sort(f"profile.{sort.by.value}", sort.descending),
        first=first_of(first),
        after=after,
        kinds=_kinds(filter_by),
    )


def identifier_condition(kind: IdentifierType, value: str) -> IdentifierCondition:
    """A look-up by identifier."""
    index = Kind(str(kind.value))
    return IdentifierCondition(_INDEX_PATHS[index], index.value, value)


def _kinds(given: ProfileFilter | None) -> frozenset[str] | None:
    """Whom to list: people who look for people expect customers, not everybody who ever came by."""
    if given is not None and given.kind is not None:
        if not given.kind:
            raise InputInvalidError("`kind` names at least one.", field="kind")
        return frozenset(str(each.value) for each in given.kind)
    return CUSTOMERS if given is None or given.identifier is None else None


def _conditions(given: ProfileFilter) -> list[Condition]:
    found: list[Condition] = []

    def add(name: str, comparison: Comparison, value: Any) -> None:
        if value is not None:
            found.append(Condition(f"profile.{name}", comparison, value))

    for name in _TEXTS:
        if (text := getattr(given, name)) is not None:
            add(name, Comparison.EQUALS, _text(name, text.equals))
            add(name, Comparison.ONE_OF, _texts(name, text.one_of))
    for name in _TIMES:
        if (span := getattr(given, name)) is not None:
            add(name, Comparison.AT_LEAST, moment(span.since, to_camel_case(name)))
            add(name, Comparison.BELOW, moment(span.before, to_camel_case(name)))
    if given.order_count is not None:
        add("order_count", Comparison.AT_LEAST, given.order_count.at_least)
        add("order_count", Comparison.BELOW, given.order_count.below)
    if given.total_spent is not None:
        add("total_spent", Comparison.AT_LEAST, _amount("total_spent", given.total_spent.at_least))
        add("total_spent", Comparison.BELOW, _amount("total_spent", given.total_spent.below))
    return found


def _text(name: str, value: str | None) -> str | None:
    if value is not None and (len(value) > _LONGEST or "\0" in value):
        raise InputInvalidError(
            "A text to compare with has at most 256 characters and no NUL.", field=to_camel_case(name)
        )
    return value


def _texts(name: str, values: list[str] | None) -> list[str] | None:
    if values is not None and len(values) > 100:  # noqa: PLR2004 - said in the message
        raise InputInvalidError("`oneOf` takes at most 100 values.", field=to_camel_case(name))
    return None if values is None else [text for value in values if (text := _text(name, value)) is not None]


_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,2}))?")


def _amount(name: str, value: str | None) -> int | None:
    """Minor units of a decimal with at most two places."""
    if value is None:
        return None
    found = _AMOUNT.fullmatch(value)
    if found is None:
        raise InputInvalidError("An amount is written like 28.73.", field=to_camel_case(name))
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
