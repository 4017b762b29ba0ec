"""What a person does who decides which profiles are one person: looks at cases, joins profiles and takes them apart.

Cases themselves are kept by `customers.identity.cases`. Who decides sees the profiles through the gateway, as their role
may see them, and every look and every decision is recorded.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from audit import AccessLog
from customers.access import Access
from customers.errors import MergeNotPossibleError, ProfileNotFoundError
from customers.identity.cases import CaseState, CaseStore, Finding, ListedCase, ReviewCase
from customers.identity.forgetting import forget_matching
from customers.identity.journal import Journal, MergeState
from customers.identity.merging import Merger, check
from customers.identity.side_by_side import SideBySide, side_by_side
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.service import ProfileGateway
from customers.profiles.store import CustomerStore
from policies import PolicySet
from vault import Vault

__all__ = ["CaseState", "CaseStore", "Finding", "ListedCase", "OpenedCase", "ReviewCase", "Reviewer"]

_ONE: Final = "this case is about one profile: there is nothing to merge"
_DECIDED: Final = "this case was decided already"
_ANOTHER: Final = "the survivor must be one of the profiles that the case is about"
_ABANDONED: Final = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class OpenedCase:
    """A case with its profiles side by side; `entry` is where the access log holds that they were read."""

    case: ReviewCase
    profiles: SideBySide
    entry: str | None


class Reviewer:
    """What a person who may join profiles does."""

    def __init__(
        self,
        merger: Merger,
        cases: CaseStore,
        journal: Journal,
        store: CustomerStore,
        vault: Vault,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        now: Callable[[], datetime],
        forget: Callable[[Sequence[str]], Awaitable[None]],
    ) -> None:
        self.merger = merger
        self.cases = cases
        self._journal = journal
        self._store = store
        self._policies = policies
        self._forget = forget
        self._vault = vault
        self._log = log
        self._now = now

    @cached_property
    def _gateway(self) -> ProfileGateway:
        return ProfileGateway(self._store, self._vault, self._policies().catalogue, now=self._now)

    @classmethod
    async def open(
        cls,
        database: AsyncDatabase[dict[str, Any]],
        store: CustomerStore,
        vault: Vault,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        parted: Callable[[Sequence[str]], Awaitable[None]] | None = None,
    ) -> "Reviewer":
        """Over the main database, with everything there that is needed; `parted` as `Merger` has it."""
        journal, cases = Journal(database), CaseStore(database, now=now, random=random)
        await journal.prepare()
        await cases.prepare()
        merger = Merger(store, journal, vault, log, policies, now=now, random=random, parted=parted)
        forget = partial(forget_matching, database)
        return cls(merger, cases, journal, store, vault, log, policies, now, forget)

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Remove what there is of erased customers, before their documents go."""
        await self.merger.forget(customer_ids)
        await self.cases.forget(customer_ids)
        await self._forget(customer_ids)

    async def resume(self) -> int:
        """Bring merges that were cut off to their end, and close the cases that they decided; give how many merges."""
        resumed = await self.merger.resume()
        for case, actor in await self.cases.begun(_ABANDONED):
            documents = await self._store.find(case.customers, {MERGED_INTO: 1, PARTS: 1})
            if any(each.get(MERGED_INTO) in case.customers for each in documents):
                if not any(each.state is MergeState.BEGUN for each in await self._journal.naming(case.customers)):
                    await self.cases.settle(case.customers, CaseState.MERGED, actor)
            else:
                await self.cases.reopen(case.id)
        return resumed

    async def list_cases(
        self, access: Access, state: CaseState = CaseState.OPEN, after: int = 0, limit: int = 25
    ) -> tuple[list[ListedCase], bool]:
        """Cases in a state, the oldest first, and whether more follow; nothing of anybody is told, so nothing is recorded.

        Args:
            access: Who asks, and why: the purpose is identity_resolution or below it.
            state: Which.
            after: The `seq` of the last case of the page before; 0 for the first page.
            limit: How many to give at most, 1 to 100.

        Raises:
            WriteNotAllowedError: The caller may not join profiles, and so is not told which might be one.
        """
        check(access)
        found, more = await self.cases.page(limit, after, state)
        return [ListedCase.of(each) for each in found], more

    async def open_case(self, access: Access, case_id: str) -> OpenedCase:
        """A case with its profiles side by side, each field as the caller may see it; recorded when this returns.

        Not to be called inside `Vault.reading`: it is a read of its own, of one query for the case, one for the documents
        (one more where others were merged into them) and one for their keys.

        Raises:
            WriteNotAllowedError: The caller may not join profiles.
            ProfileNotFoundError: There is no such case, or it went with a customer who was erased.
            audit.AuditUnavailableError: It could not be recorded, so it is not shown.
            vault.VaultError: A key cannot be used.
        """
        check(access)
        async with self._vault.reading():
            opened = await self.look(access, case_id)
            if not access.disclosure.reached:
                return opened
            return replace(opened, entry=str(await self._log.append(access.disclosure.record(self._now()))))

    async def look(self, access: Access, case_id: str) -> OpenedCase:
        """As `open_case`, inside `Vault.reading` of the caller, who records `access.disclosure` before anybody sees it."""
        check(access)
        case = await self.cases.get(case_id)
        if case is None:
            raise ProfileNotFoundError
        profiles = await side_by_side(self._gateway, access, case.customers, case.evidence)
        score = case.score if len(profiles.evidence) == len(case.evidence) else None
        return OpenedCase(replace(case, evidence=profiles.evidence, score=score), profiles, None)

    async def merge(self, access: Access, survivor_id: str, absorbed_id: str) -> None:
        """Join two profiles, as `Merger.merge`, and close the case about them if there is one."""
        check(access)
        await self.cases.begin([survivor_id, absorbed_id], access.caller.actor)
        await self.merger.merge(access, survivor_id, absorbed_id)
        await self.cases.settle([survivor_id, absorbed_id], CaseState.MERGED, access.caller.actor)

    async def unmerge(self, access: Access, absorbed_id: str) -> str:
        """Take a profile out of another, as `Merger.unmerge`; that they are two is decided then."""
        survivor = await self.merger.unmerge(access, absorbed_id)
        await self.cases.settle([survivor, absorbed_id], CaseState.APART, access.caller.actor)
        return survivor

    async def decide(self, access: Access, case_id: str, survivor_id: str | None) -> ReviewCase:
        """Decide a case: join its profiles into the survivor, or leave them apart where none is named.

        Raises:
            As `Merger.merge`.
        """
        check(access)
        case = await self.cases.get(case_id)
        if case is None:
            raise ProfileNotFoundError
        if case.state is not CaseState.OPEN:
            raise MergeNotPossibleError(_DECIDED)
        if survivor_id is None:
            await self.merger.record(access, case.customers)
            await self.cases.settle(case.customers, CaseState.APART, access.caller.actor)
        else:
            if len(case.customers) != 2:  # noqa: PLR2004 - a pair
                raise MergeNotPossibleError(_ONE)
            if survivor_id not in case.customers:
                raise MergeNotPossibleError(_ANOTHER)
            (absorbed,) = set(case.customers) - {survivor_id}
            await self.merge(access, survivor_id, absorbed)
        return await self.cases.get(case_id) or case
