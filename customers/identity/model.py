"""Who is who: identifiers, and the names that customers and their documents get."""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class IdentifierType(StrEnum):
    """Kinds of identifiers; the values are the names of their blind indexes."""

    EMAIL = "email"
    PHONE = "phone"
    EXTERNAL_ID = "external_id"
    ANONYMOUS_ID = "anonymous_id"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A value by which a customer can be found, in its normal form (`vault.Vault.normalise`).

    Attributes:
        type: Its kind.
        value: The value.
        proven: Whether anybody who can be believed has named it. Two that differ in this alone are the same identifier.
    """

    type: IdentifierType
    value: str
    proven: bool = field(default=True, compare=False, repr=False)


# What an identifier of each kind looks like, to help whoever wrote something else.
FORMS: dict[IdentifierType, str] = {
    IdentifierType.EMAIL: "an e-mail address, such as ana@example.org",
    IdentifierType.PHONE: "a phone number with its country code, such as +44 20 7946 0018",
    IdentifierType.EXTERNAL_ID: "a system and an id, such as crm:4711",
    IdentifierType.ANONYMOUS_ID: "the id a browser or an app gave itself, of at most 256 characters",
}

# The profile field that shows the first identifier of a type.
PRIMARY_FIELDS: dict[IdentifierType, str] = {IdentifierType.EMAIL: "email", IdentifierType.PHONE: "phone"}


def primary(identifiers: Iterable[Identifier], kind: IdentifierType) -> str | None:
    """The first identifier of a type, which is the one that is shown and written to."""
    return next((each.value for each in identifiers if each.type is kind), None)


def with_primary(
    identifiers: tuple[Identifier, ...], kind: IdentifierType, value: str | None
) -> tuple[Identifier, ...]:
    """These identifiers with the primary one of a type replaced, or removed where `value` is None."""
    old = primary(identifiers, kind)
    kept = tuple(each for each in identifiers if each.type is not kind or each.value not in (old, value))
    return kept if value is None else (Identifier(kind, value), *kept)


def new_id(prefix: str, random: Callable[[int], bytes]) -> str:
    """A name nobody can guess: `cus_`, `ord_` or `tic_`, and 26 characters of 130 random bits."""
    return prefix + base64.b32encode(random(17)).decode().lower()[:26]
