"""Who is who, as the console shows and decides it: through the reviewer, admitted and recorded like everything."""

from dataclasses import dataclass
from typing import Final

from customers.access import Access
from customers.errors import MergeNotPossibleError
from customers.identity.merge_list import Merge, MergeList
from customers.identity.review import CaseState, ListedCase, OpenedCase, Reviewer
from customers.identity.rules import CaseKind
from server.console.errors import NoSuchPageError
from server.console.keeper import Keeper
from server.console.parts import OnBehalf
from server.console.sections import SECTIONS
from vault import Vault

_PEOPLE, _MERGES = (next(each for each in SECTIONS if each.name == name) for name in ("people", "merges"))
_AT_ONCE: Final = 100
_ROUNDS: Final = 10


@dataclass(frozen=True, slots=True)
class Queue:
    """A page of cases; `after` is where the next begins, None at the end."""

    cases: tuple[ListedCase, ...]
    after: int | None
    recorded: str | None


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case with its profiles, what the reader may see of them, and the merge that stands between them, if any."""

    opened: OpenedCase
    access: Access
    merge: Merge | None


class People:
    """Cases and merges.

    Args:
        keeper: admits and records.
        reviewer: what a person who may join profiles does.
        merges: the journal as a list.
        vault: whose reads an erasure waits for.
    """

    def __init__(self, keeper: Keeper, reviewer: Reviewer, merges: MergeList, vault: Vault) -> None:
        self._keeper = keeper
        self._reviewer = reviewer
        self._merges = merges
        self._vault = vault

    async def queue(
        self, who: OnBehalf, state: CaseState, kind: CaseKind | None, after: int, limit: int, *, record: bool = True
    ) -> Queue:
        """A page of cases, the oldest first. It tells that there is one, why and since when; nothing of anybody."""
        operation = "ConsolePeople"
        access = await self._keeper.admit(who, _PEOPLE, operation)
        with self._keeper.told():
            recorded = await self._keeper.look(who, _PEOPLE, operation) if record else None
            found: list[ListedCase] = []
            more = True
            for _ in range(_ROUNDS):
                page, more = await self._reviewer.list_cases(access, state, after, _AT_ONCE if kind else limit)
                found += [each for each in page if kind is None or each.kind is kind]
                after = page[-1].seq if page else after
                if len(found) >= limit or not more:
                    break
        if len(found) > limit:
            return Queue(tuple(found[:limit]), found[limit - 1].seq, recorded)
        return Queue(tuple(found), after if more else None, recorded)

    async def case(self, who: OnBehalf, case_id: str) -> CaseView:
        """A case with its profiles side by side; recorded when this returns."""
        access = await self._keeper.admit(who, _PEOPLE, "ConsoleCase")
        with self._keeper.told():
            opened = await self._reviewer.open_case(access, case_id)
            merge = await self._merges.standing_among(opened.case.customers)
        return CaseView(opened, access, merge)

    async def decide(self, who: OnBehalf, case_id: str, survivor: int | None) -> CaseState:
        """Say that a case's profiles are one person, who stays the one of this place, or two where none is named.

        Raises:
            MergeNotPossibleError: They cannot be joined; it says why.
        """
        access = await self._keeper.admit(who, _PEOPLE, "ConsoleDecideCase")
        with self._keeper.told(MergeNotPossibleError):
            case = await self._reviewer.cases.get(case_id)
            if case is None:
                raise NoSuchPageError("There is no such case any more.")
            stays = None if survivor is None else case.customers[survivor]
            async with self._vault.reading():
                if case.state is CaseState.APART and stays is not None and len(case.customers) == 2:  # noqa: PLR2004
                    # What was decided otherwise may be decided again, by who may join them anyway.
                    (other,) = set(case.customers) - {stays}
                    await self._reviewer.merge(access, stays, other)
                else:
                    await self._reviewer.decide(access, case_id, stays)
        return CaseState.APART if stays is None else CaseState.MERGED

    async def merges(self, who: OnBehalf, limit: int, before: int | None) -> tuple[list[Merge], int | None, str]:
        """A page of the journal, where it goes on, and where this look is recorded."""
        with self._keeper.told():
            recorded = await self._keeper.look(who, _MERGES, "ConsoleMerges")
            page, more = await self._merges.page(limit, before)
        return page, more, recorded

    async def merge(self, who: OnBehalf, merge_id: str) -> tuple[Merge, str]:
        """One merge, and where this look is recorded."""
        with self._keeper.told():
            recorded = await self._keeper.look(who, _MERGES, "ConsoleMerge")
            return await self._found(merge_id), recorded

    async def undo(self, who: OnBehalf, merge_id: str) -> Merge:
        """Take two profiles apart.

        Raises:
            MergeNotPossibleError: They cannot be taken apart now; it says why.
        """
        access = await self._keeper.admit(who, _MERGES, "ConsoleUnmerge")
        with self._keeper.told(MergeNotPossibleError):
            merge = await self._found(merge_id)
            async with self._vault.reading():
                await self._reviewer.unmerge(access, merge.absorbed)
            return await self._found(merge_id)

    async def _found(self, merge_id: str) -> Merge:
        found = await self._merges.get(merge_id)
        if found is None:
            raise NoSuchPageError("There is no such merge; it goes when one of the two is erased.")
        return found


__all__ = ["CaseView", "People", "Queue"]
