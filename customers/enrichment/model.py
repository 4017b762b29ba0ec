"""What an enrichment is, and whom it may be about. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from customers.consent.model import Rights, refusal
from customers.profiles.provenance import Origin, OriginKind
from policies import LawfulBasis, Purpose

ROLE: Final = "data_enricher"
"""The role under which enrichments run."""
RETENTION: Final = "retention"
"""The purpose for which values are removed that may not be used any more."""


class KeyField(StrEnum):
    """What a provider can be asked by."""

    POSTAL_CODE = "postal_code"
    COUNTRY = "country"
    CITY = "city"
    EMAIL_DOMAIN = "email_domain"
    EXTERNAL_ID = "external_id"


READ: Final[Mapping[KeyField, str]] = {
    KeyField.POSTAL_CODE: "postal_code",
    KeyField.COUNTRY: "country",
    KeyField.CITY: "city",
    KeyField.EMAIL_DOMAIN: "email",
    KeyField.EXTERNAL_ID: "identifiers",
}
"""The profile field that each is read from."""


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One part of a key.

    Attributes:
        field: What of the customer.
        to: What the provider calls it: a column, a parameter.
        system: Of an external id, the system it is of (`crm` of `crm:4711`).
    """

    field: KeyField
    to: str
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """One value that is written.

    Attributes:
        target: The profile's field, or `traits.<name>`.
        taken_from: What the provider calls it.
        category: Of a trait, its data category.
    """

    target: str
    taken_from: str
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """One enrichment.

    Attributes:
        name: Its own.
        purpose: Why it runs; whoever does not allow that is left out.
        basis: The ground of that purpose.
        source: Whom the values are from, as each value says it.
        licence: Under which licence they may be used.
        expires_after: How long; None for as long as there is a use for them.
        provider: The kind of provider.
        settings: What the provider's own table in the file says.
        key: What it is asked by.
        writes: What is written.
        directory: Where the file is; paths in it start there.
        digest: SHA-256 of the file.
    """

    name: str
    purpose: str
    basis: LawfulBasis
    source: str
    licence: str
    expires_after: timedelta | None
    provider: str
    settings: Mapping[str, Any]
    key: tuple[KeyPart, ...]
    writes: tuple[Write, ...]
    directory: Path
    digest: str

    def origin(self, now: datetime) -> Origin:
        """The origin of a value that is written now."""
        expires_at = None if self.expires_after is None else now + self.expires_after
        return Origin(OriginKind.ENRICHMENT, self.source, now, self.basis, self.licence, expires_at)


class Skip(StrEnum):
    """Why somebody was not looked up, or nothing was written."""

    NO_CONSENT = "no consent"
    RESTRICTED = "restricted"
    OBJECTED = "objected"
    OWN_VALUE = "has own value"
    CURRENT = "still current"
    NO_KEY = "no key"
    GONE = "gone"


def refused(rights: Rights, purpose: Purpose, now: datetime) -> Skip | None:
    """Why these rights keep a customer out of an enrichment, or None where they do not.

    Stricter than a read: an objection counts whatever the purpose rests on, and a restriction always does. Nobody needs
    to know more of somebody who said that.
    """
    if rights.restricted:
        return Skip.RESTRICTED
    if not rights.objected.isdisjoint(purpose.lineage):
        return Skip.OBJECTED
    return None if refusal(rights, purpose, now) is None else Skip.NO_CONSENT


def key_value(part: KeyPart, values: Mapping[str, Any]) -> str:
    """What of a customer's revealed values is a part of the key; empty where there is none.

    Of an e-mail address only the domain is taken, so a masked address, which keeps that, does as well.
    """
    value = values.get(READ[part.field])
    match part.field:
        case KeyField.EMAIL_DOMAIN:
            return value.rpartition("@")[2].strip().lower() if isinstance(value, str) and "@" in value else ""
        case KeyField.EXTERNAL_ID:
            return next(_of_system(value, part.system), "")
        case KeyField.POSTAL_CODE | KeyField.COUNTRY:
            return value.strip().upper() if isinstance(value, str) else ""
        case KeyField.CITY:
            return value.strip() if isinstance(value, str) else ""


def _of_system(entries: Any, system: str | None) -> Any:
    for each in entries if isinstance(entries, list) else ():
        name, colon, number = str(each["value"]).partition(":")
        if each["type"] == KeyField.EXTERNAL_ID and colon and name == system and number:
            yield number
