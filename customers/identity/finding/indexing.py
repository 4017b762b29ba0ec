"""Keeps the candidate index in step with the base: who changed since the last run is found by their version and mark.

Nothing is written when a profile is: a run walks the base in the order in which it was made, compares each profile's
version with the one it knows, opens only those whose compared fields were sealed anew, and gives them new tokens. So
nothing that cuts off a write, a merge or a restored backup can leave the index behind for longer than until the next run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from customers.identity.finding.opening import Fetched, Opener
from customers.identity.finding.records import MatchRecord, MatchRecords
from customers.identity.matching import texts
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.store import CustomerStore
from vault import Vault
from vault.candidate_index import CandidateIndex
from vault.known_blocks import KnownBlocks

_PAGE: Final = 500
AT_ONCE: Final = 100
_PROJECTION: Final = {"seq": 1, "version": 1, MERGED_INTO: 1, PARTS: 1}


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a page came to: where the next begins (None at the end), how many were opened, combinations passed over."""

    after: int | None
    opened: int
    over: int


class Indexer:
    """The first step of a run."""

    def __init__(
        self,
        store: CustomerStore,
        vault: Vault,
        index: CandidateIndex,
        records: MatchRecords,
        opener: Opener,
        policy: str,
        known: KnownBlocks,
    ) -> None:
        """`known` is what the run sees of the index, for its later steps."""
        self._store = store
        self._vault = vault
        self._index = index
        self._records = records
        self._opener = opener
        self._policy = policy
        self._blocks = known

    async def page(self, after: int, most: int) -> Indexed:
        """Bring the tokens of the next profiles up to date, opening about so many at most."""
        documents = await self._store.page({}, after=after, limit=_PAGE, projection=_PROJECTION)
        if not documents:
            return Indexed(None, 0, 0)
        known = await self._records.between(after, int(documents[-1]["seq"]))
        opened = over = 0
        # Parts stand elsewhere in the sequence, and what their person allows holds for them.
        stale: list[str] = []
        end = after
        for each in documents:
            if len(stale) >= most:
                break
            end = int(each["seq"])
            if self._is_stale(each, known.get(each["_id"])):
                stale += [each["_id"], *each.get(PARTS, ())]
        stale = list(dict.fromkeys(stale))
        for start in range(0, len(stale), AT_ONCE):
            # Inside, so that whoever is erased meanwhile is removed after this.
            async with self._vault.reading():
                found = await self._some(stale[start : start + AT_ONCE])
            opened, over = opened + found[0], over + found[1]
        return Indexed(end, opened, over)

    def _is_stale(self, document: Mapping[str, Any], known: MatchRecord | None) -> bool:
        return known is None or (known.version, known.epoch, known.policy) != (
            int(document["version"]),
            self._index.epoch,
            self._policy,
        )

    async def _some(self, customer_ids: Sequence[str]) -> tuple[int, int]:
        fetched = await self._opener.fetch(customer_ids)
        alive = [each for each in customer_ids if each in fetched.group_of]
        known = await self._records.of(alive)
        marks = {each: self._opener.mark(fetched, each) for each in alive}
        epoch = self._index.epoch
        changed = {each for each in alive if each not in known or known[each].mark != marks[each]}
        opening = [each for each in alive if each in changed or known[each].epoch != epoch]
        people = await self._opener.people(fetched, opening)
        wanted = {each: texts(people[each]) if each in people else frozenset[str]() for each in opening}
        new = [each for each in opening if each not in known]
        over = await self._index.replace(wanted, new=new, known=self._blocks)
        documents = _documents(fetched)
        await self._records.put(
            [
                MatchRecord(
                    each,
                    int(documents[each]["seq"]),
                    int(documents[each]["version"]),
                    marks[each],
                    self._policy,
                    epoch,
                    due=bool(wanted[each]) if each in changed else known[each].due,
                )
                for each in alive
            ],
            new=new,
        )
        return len(people), over


def _documents(fetched: Fetched) -> dict[str, Mapping[str, Any]]:
    return {document["_id"]: document for group in fetched.groups.values() for document in group.documents}
