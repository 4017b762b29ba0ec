"""Which recipients have data of a person, of those that are given only some people's.

A recipient may be limited to purposes, to sources, or to both, and has a person's data where every limit lets it through.
Whoever cannot be told apart, because what would tell is damaged, counts as one whose data they have: to be told of nobody
they know does less harm than to be left with somebody's data who is gone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customers.collection.event_store import EventStore
from customers.consent.model import ConsentState, Rights
from customers.consent.store import ConsentStore, LedgerEntry
from customers.profiles.sealing import provenance_of
from customers.rights.recipients.model import Recipient
from policies import LawfulBasis, Purpose
from vault import DataKey, EnvelopeError


@dataclass(frozen=True, slots=True)
class Member:
    """A profile of a person, with the key to it."""

    document: Mapping[str, Any]
    key: DataKey


class Reach:
    """Tells recipients of a person's data from those who have nothing of theirs.

    Args:
        consents: What people decided.
        events: What their sources said.
        purposes: Every purpose there is.
    """

    def __init__(
        self, consents: ConsentStore, events: EventStore, purposes: Callable[[], Mapping[str, Purpose]]
    ) -> None:
        self._consents = consents
        self._events = events
        self._purposes = purposes

    async def among(self, recipients: Sequence[Recipient], members: Sequence[Member]) -> list[Recipient]:
        """Those of these recipients who have data of this person; inside `Vault.reading`."""
        ids = [each.document["_id"] for each in members]
        entries = await self._consents.of(ids) if any(each.purposes for each in recipients) else []
        named = {source for each in recipients for source in each.sources}
        said = await self._said(ids, members, named) if named else set()
        return [
            each
            for each in recipients
            if (not each.purposes or self._ever(each.purposes, entries, members))
            and (not each.sources or not said.isdisjoint(each.sources))
        ]

    def _ever(self, names: Collection[str], entries: Sequence[LedgerEntry], members: Sequence[Member]) -> bool:
        """Whether their data was ever to be used for one of these purposes: also if they have taken that back since."""
        purposes = self._purposes()
        given = {each.decision.purpose for each in entries if each.decision.state is ConsentState.GRANTED}
        for each in members:
            given |= Rights.of_document(each.document.get("rights") or {}).purposes
        for name in names:
            purpose = purposes.get(name)  # one that is gone from the policy cannot be judged any more
            if purpose is None or purpose.basis is not LawfulBasis.CONSENT or not given.isdisjoint(purpose.lineage):
                return True
        return False

    async def _said(self, ids: Sequence[str], members: Sequence[Member], named: Collection[str]) -> set[str]:
        """Those of these sources that something of theirs is from: a value that is held now, or an event."""
        found: set[str] = set()
        for each in members:
            try:
                origins = provenance_of(each.document, each.key)
            except EnvelopeError:
                return set(named)
            found |= {origin.source for name in origins if (origin := origins.get(name)) is not None}
        return (found & set(named)) | await self._events.sources_of(ids, set(named) - found)


__all__ = ["Member", "Reach"]
