"""Does with sure pairs what the policy says: joins them, the surest first, and never what contradicts.

A sure pair waits in the queue of cases like any other, with a sign that a policy may decide it. So nothing that cuts a run
off loses one, and where the policy says no, or says yes only later, it is there. Before a pair is joined both people are
read again: what they are now must still be sure, as must everybody whom either was joined of before.

Whoever signs in reads their whole profile, with all that is joined to it. So nobody is joined unseen by what they may have
said of themselves: who knows somebody's name, birth date and place could say the same, and read what is theirs.
"""

from collections.abc import Sequence
from typing import Final

from customers.access import Access
from customers.disclosure import Disclosure
from customers.errors import (
    MergeNotPossibleError,
    ProfileConflictError,
    ProfileNotFoundError,
    WriteNotAllowedError,
)
from customers.identity.cases import CaseState, ReviewCase
from customers.identity.finding.comparing import told_apart
from customers.identity.finding.limits import within_limits
from customers.identity.finding.model import MatchReport
from customers.identity.finding.opening import COMPARED, Fetched, Group, Opener
from customers.identity.matching import Decision, Person, Scorer, may_join
from customers.identity.review import Reviewer
from customers.identity.rules import Person as Known
from customers.identity.side_by_side import SELF_SAID
from customers.profiles.made import identifiers_of
from customers.profiles.sealing import provenance_of
from customers.profiles.store import CustomerStore
from vault import EnvelopeError, Vault

AT_ONCE: Final = 20
_NOT_JOINED: Final = (MergeNotPossibleError, ProfileConflictError, ProfileNotFoundError, WriteNotAllowedError)


class Decider:
    """The last step of a run."""

    def __init__(
        self,
        store: CustomerStore,
        vault: Vault,
        opener: Opener,
        reviewer: Reviewer,
        scorer: Scorer,
        access: Access,
    ) -> None:
        """`access` is of who joins profiles, for the journal and the access log."""
        self._store = store
        self._vault = vault
        self._opener = opener
        self._reviewer = reviewer
        self._scorer = scorer
        self._access = access

    async def some(self, report: MatchReport) -> int:
        """Decide the surest cases; give how many there were, 0 when none is left."""
        cases = await self._reviewer.cases.sure(AT_ONCE)
        if not cases:
            return 0
        async with self._vault.reading():
            fetched = await self._opener.fetch(sorted({each for case in cases for each in case.customers}))
            people = await self._opener.people(fetched, list(fetched.group_of))
            apart = await told_apart(self._reviewer.cases, fetched, fetched.groups)
            touched: set[str] = set()
            for case in cases:
                sides = [fetched.group_of.get(each) for each in case.customers]
                if touched.intersection(each for each in sides if each is not None):
                    continue  # one of them is another by now: the next round looks at them again
                joined = await self._one(case, sides, fetched, people, apart)
                if joined is None:
                    continue
                touched.update(each for each in sides if each is not None)
                report.merged += joined
                report.held += not joined
        return len(cases)

    async def _one(
        self,
        case: ReviewCase,
        sides: Sequence[str | None],
        fetched: Fetched,
        people: dict[str, Person],
        apart: set[tuple[str, str]],
    ) -> bool | None:
        """Whether the people of a case were joined; None where they are one already."""
        groups = [fetched.groups[each] for each in dict.fromkeys(sides) if each is not None]
        if len(groups) == 1 and None not in sides:
            await self._reviewer.cases.settle(case.customers, CaseState.MERGED, self._access.caller.actor)
            return None
        if len(groups) == 2 and self._may(groups, people, apart) and not await self._self_said(groups):  # noqa: PLR2004 - a pair
            survivor, absorbed = sorted(groups, key=_precedence)
            try:
                await self._reviewer.merge(self._fresh(), survivor.id, absorbed.id)
            except _NOT_JOINED:
                pass
            else:
                await self._settle_within([*survivor.members, *absorbed.members])
                return True
        await self._reviewer.cases.unsure(case.id)
        return False

    def _may(self, groups: Sequence[Group], people: dict[str, Person], apart: set[tuple[str, str]]) -> bool:
        one, other = groups
        if (min(one.id, other.id), max(one.id, other.id)) in apart:
            return False
        mine, theirs = ([people[each] for each in group.members if each in people] for group in groups)
        # Everybody's record must have been read: one that could not be may be what contradicts.
        if len(mine) + len(theirs) != len(one.members) + len(other.members):
            return False
        sure = any(self._scorer.score(left, right).decision is Decision.SURE for left in mine for right in theirs)
        try:
            return sure and may_join(mine, theirs, self._scorer) and within_limits(_known(one), _known(other))
        except EnvelopeError:
            return False

    async def _self_said(self, groups: Sequence[Group]) -> bool:
        """Whether anything that is compared may be what one of them, or whoever sends events, said of themselves."""
        keys = {each: key for group in groups for each, key in group.keys.items()}
        try:
            for document in await self._store.find(list(keys), {"sealed.provenance": 1}):
                origins = provenance_of(document, keys[document["_id"]])
                told = [origins.get(name) for name in COMPARED]
                if any(each is not None and each.kind in SELF_SAID for each in told):
                    return True
        except EnvelopeError:
            return True
        return False

    async def _settle_within(self, members: Sequence[str]) -> None:
        """Close the cases about people who have become one by other ways."""
        for case in await self._reviewer.cases.about(members):
            if case.state is CaseState.OPEN and set(case.customers) <= set(members):
                await self._reviewer.cases.settle(case.customers, CaseState.MERGED, self._access.caller.actor)

    def _fresh(self) -> Access:
        access = self._access
        return Access(access.caller, access.grant, Disclosure(access.disclosure.request, access.grant))


def _precedence(group: Group) -> tuple[int, int]:
    """Who survives: who is joined of more already, else who has been there for longer."""
    return -len(group.documents), int(group.documents[0]["seq"])


def _known(group: Group) -> Known:
    own, *inherited = (identifiers_of(each, group.keys[each["_id"]]) for each in group.documents)
    return Known(
        group.id,
        own,
        tuple(each for held in inherited for each in held),
        len(group.documents) - 1,
        restricted=group.circumstances.reason is not None,
    )
