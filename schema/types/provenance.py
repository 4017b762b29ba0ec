"""Where the values of a profile came from."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from customers.profiles.origins import ORIGINS
from customers.profiles.provenance import PROVENANCE, Origin, OriginKind
from policies import LawfulBasis
from schema.permission import structural
from schema.scalars import Timestamp
from schema.types.made import made
from vault import EnvelopeError


@strawberry.enum(name="OriginKind", description="By what way a value came.")
class ValueOrigin(Enum):
    """The GraphQL names of the kinds of origins."""

    EVENT = strawberry.enum_value(OriginKind.EVENT.value, description="A source of events said so.")
    WEBHOOK = strawberry.enum_value(OriginKind.WEBHOOK.value, description="Another system's webhook said so.")
    IMPORT = strawberry.enum_value(OriginKind.IMPORT.value, description="It stood in a file that was imported.")
    STAFF = strawberry.enum_value(OriginKind.STAFF.value, description="Somebody who works here wrote it.")
    CUSTOMER = strawberry.enum_value(OriginKind.CUSTOMER.value, description="The customer wrote it.")
    CLIENT = strawberry.enum_value(OriginKind.CLIENT.value, description="A program of the company wrote it.")
    ENRICHMENT = strawberry.enum_value(OriginKind.ENRICHMENT.value, description="A provider of data was asked.")


@strawberry.type(description="Where the value of one field came from. It never holds the value.")
class FieldOrigin:
    """One origin."""

    field: str = structural("The field's name in the catalogue, such as postal_code; of a trait, traits.<its name>.")
    kind: ValueOrigin = structural("By what way it came.")
    source: str = structural("From whom: a source, a provider, a file, an application; never a person's name.")
    at: Timestamp = structural("When it was said.")
    basis: str | None = structural("The lawful basis on which it was taken (GDPR Article 6), such as contract.")
    licence: str | None = structural("Under which licence it may be used, where there is one.")
    expires_at: Timestamp | None = structural("When it may not be used any more, where there is such a time.")


def field_origins(values: Mapping[str, Any]) -> list[FieldOrigin] | None:
    """The origins among a profile's revealed values; None where the caller may see none.

    Raises:
        vault.EnvelopeError: What is stored is not what was sealed there.
    """
    found = values.get(ORIGINS)
    if isinstance(found, EnvelopeError):
        raise found
    return None if found is None else [field_origin(name, found[name]) for name in sorted(found)]


def provenance_names(selected: frozenset[tuple[str, str]]) -> frozenset[str]:
    """What to ask the gateway for where a document selects origins."""
    return frozenset({PROVENANCE}) if ("Profile", PROVENANCE) in selected else frozenset()


def field_origin(name: str, origin: Origin) -> FieldOrigin:
    """One origin that the caller may see."""
    basis: LawfulBasis | None = origin.basis
    return made(
        FieldOrigin,
        {
            "field": name,
            "kind": ValueOrigin[origin.kind.name],
            "source": origin.source,
            "at": _written(origin.at),
            "basis": None if basis is None else basis.value,
            "licence": origin.licence,
            "expires_at": None if origin.expires_at is None else _written(origin.expires_at),
        },
    )


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
