"""What the record of processing says of enrichments: who is asked about customers with what, and what they add."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from customers.enrichment import Definition, DefinitionInvalidError, load_definition
from customers.enrichment.model import READ
from customers.outgoing import AddressRefusedError, Origin
from customers.oversight.processing import Obtained, Outside
from policies import PolicySet
from server.settings import Settings

KIND: Final = "enrichment"
_MOST: Final = 200


def enrichments(settings: Settings, policies: PolicySet) -> list[Definition]:
    """The enrichments that may run here; a file that cannot be used asks nobody, so it is left out."""
    found = list[Definition]()
    for path in sorted(settings.enrichment_dir.glob("*.toml"))[:_MOST]:
        try:
            found.append(load_definition(path, policies))
        except DefinitionInvalidError:
            continue
    return found


def asked(definitions: Sequence[Definition], policies: PolicySet) -> list[Outside]:
    """The services elsewhere that are asked about customers: each is given what it is asked by (Art. 30(1)(d))."""
    fields, found = policies.catalogue.fields, list[Outside]()
    for each in definitions:
        host = _host(each)
        if host is not None:
            given = dict.fromkeys(fields[f"profile.{READ[part.field]}"].category for part in each.key)
            found.append(Outside(f"{each.source} ({host})", KIND, tuple(given), (each.purpose,)))
    return found


def obtained(definitions: Sequence[Definition], policies: PolicySet) -> list[Obtained]:
    """Where data comes from that the person did not give (Art. 14(2)(f)), tables on this machine too."""
    fields = policies.catalogue.fields
    return [
        Obtained(
            each.source,
            (each.purpose,),
            tuple(dict.fromkeys(one.category or fields[f"profile.{one.target}"].category for one in each.writes)),
            each.licence,
            None if each.expires_after is None else f"P{each.expires_after // timedelta(days=1)}D",
        )
        for each in definitions
    ]


def _host(definition: Definition) -> str | None:
    """The machine that is asked; None where nothing leaves this one."""
    address = definition.settings.get("url")
    if address is None:
        return None
    try:
        return Origin.of(address).host
    except AddressRefusedError:
        return None


__all__ = ["KIND", "asked", "enrichments", "obtained"]
