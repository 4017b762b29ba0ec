"""Searching the base for profiles that are one person, wired: what commands and the worker call."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from audit import AccessLog
from customers.access import Access
from customers.identity.finding.comparing import AT_ONCE, Comparer
from customers.identity.finding.deciding import Decider
from customers.identity.finding.estimating import FEWEST, SAMPLE, Estimator
from customers.identity.finding.indexing import Indexer
from customers.identity.finding.model import MatchReport, OnProgress, Step
from customers.identity.finding.opening import Opener
from customers.identity.finding.records import Learnt, MatchRecords, ParameterStore
from customers.identity.matching import RANDOM_PAIRS, STARTING, Scorer
from customers.identity.merging import check
from customers.identity.review import Reviewer
from customers.profiles.store import CustomerStore
from policies import PolicySet
from vault import Vault
from vault.candidate_index import CandidateIndex
from vault.known_blocks import KnownBlocks

_GROWN: Final = 2
_STALE: Final = timedelta(days=30)


def _silent(_step: Step, _done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Matching:
    """The use cases of searching the base."""

    index: CandidateIndex
    records: MatchRecords
    parameters: ParameterStore
    reviewer: Reviewer
    store: CustomerStore
    vault: Vault
    log: AccessLog
    policies: Callable[[], PolicySet]
    now: Callable[[], datetime]
    sample: int = SAMPLE
    fewest: int = FEWEST
    pairs: int = RANDOM_PAIRS

    @classmethod
    async def open(
        cls,
        database: AsyncDatabase[dict[str, Any]],
        store: CustomerStore,
        vault: Vault,
        log: AccessLog,
        reviewer: Reviewer,
        policies: Callable[[], PolicySet],
        *,
        tenant: str,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        sample: int = SAMPLE,
        fewest: int = FEWEST,
        pairs: int = RANDOM_PAIRS,
    ) -> "Matching":
        """Over the main database, with everything there that is needed; `tenant` is the vault's.

        It learns from `sample` people and `pairs` at random at most, and not at all from fewer than `fewest` people.
        """
        index = CandidateIndex(database, vault, tenant=tenant, check_reading=vault.fleet.check_reading)
        records = MatchRecords(database, now=now, random=random)
        await asyncio.gather(index.prepare(), records.prepare())
        parameters = ParameterStore(database, vault, now=now)
        return cls(index, records, parameters, reviewer, store, vault, log, policies, now, sample, fewest, pairs)

    async def run(
        self,
        access: Access,
        merging: Access | None = None,
        *,
        dry: bool = False,
        learn: bool = False,
        limit: int | None = None,
        progress: OnProgress = _silent,
    ) -> MatchReport:
        """Look at who changed since the last run, and decide about whom they may be one with.

        Cut off at any point, the next run goes on where it was. Not to be called inside `Vault.reading`.

        Args:
            access: Of who looks: purpose identity_resolution.
            merging: Of who joins sure pairs; None leaves them to a person.
            dry: Whether to decide nothing: no case, no merge, no parameters; tokens are made all the same.
            learn: Whether to learn parameters though there are some.
            limit: How many changed profiles to look at in each step at most.
            progress: Told how far it is.

        Raises:
            MatchingRunningError: Another process is at it.
            ReadNotAllowedError: The caller may see none of the compared fields in clear.
            WriteNotAllowedError: `merging` may not join profiles.
            audit.AuditUnavailableError, vault.VaultError: It was cut off.
        """
        if merging is not None:
            check(merging)
        policies = self.policies()
        opener = Opener(self.store, self.vault, self.log, access, policies, self.now)
        token = await self.records.claim()
        try:
            run = _Run(self, opener, token, MatchReport(dry=dry), progress)
            whole = await run.index(policies.version, limit)
            if whole:
                learnt = await run.learn(again=learn)
                scorer = Scorer(STARTING if learnt is None else learnt.parameters)
                await run.compare(scorer, limit)
                if merging is not None and not dry:
                    await run.merge(Decider(self.store, self.vault, opener, self.reviewer, scorer, merging))
        finally:
            await asyncio.shield(self.records.release(token))
        return run.report

    async def rebuild(self) -> None:
        """Forget every token and whom was looked at, so that the next run makes them anew.

        Raises:
            MatchingRunningError: A run is going on.
        """
        token = await self.records.claim()
        try:
            await self.index.clear()
            await self.records.clear()
        finally:
            await asyncio.shield(self.records.release(token))


class _Run:
    """One run."""

    def __init__(
        self, matching: Matching, opener: Opener, token: str, report: MatchReport, progress: OnProgress
    ) -> None:
        self._matching = matching
        self._opener = opener
        self._token = token
        self.report = report
        self._progress = progress
        self._known = KnownBlocks()

    async def index(self, policy: str, limit: int | None) -> bool:
        """Make the tokens of who changed; say whether everybody's are there, so that candidates can be looked for."""
        held = self._matching
        indexer = Indexer(held.store, held.vault, held.index, held.records, self._opener, policy, self._known)
        if await held.records.dropped() < held.index.oldest:
            oldest = held.index.oldest
            await held.index.drop_old()
            await held.records.set_dropped(oldest)
        after: int | None = 0
        total = await held.store.last_sequence()
        room = total + 1 if limit is None else limit
        while after is not None and room > 0:
            page = await indexer.page(after, room)
            self.report.indexed += page.opened
            self.report.passed_over += page.over
            room -= page.opened
            after = page.after
            await self._breathe(Step.INDEXING, total if after is None else after, total)
        if after is not None:
            self.report.left = max(0, total - after)
        return after is None

    async def learn(self, *, again: bool) -> Learnt | None:
        """The parameters to use; None for those shipped."""
        held = self._matching
        newest = await held.parameters.newest()
        total = await held.store.last_sequence()
        stale = newest is None or total >= _GROWN * newest.records or held.now() >= newest.learnt_at + _STALE
        if not self.report.dry and total >= held.fewest and (again or stale):
            told: Callable[[int, int], Awaitable[None]] = lambda done, of: self._breathe(Step.LEARNING, done, of)  # noqa: E731
            estimator = Estimator(
                held.store, held.vault, held.index, self._opener, told, held.sample, held.pairs, self._known
            )
            parameters, _, records = await estimator.learn()
            newest = await held.parameters.keep(parameters, records)
            self.report.learnt = True
        self.report.parameters = 0 if newest is None else newest.number
        return newest

    async def compare(self, scorer: Scorer, limit: int | None) -> None:
        """Compare who is due."""
        held = self._matching
        comparer = Comparer(
            held.vault,
            held.index,
            held.records,
            self._opener,
            held.reviewer.cases,
            scorer,
            self.report.parameters,
            self._known,
        )
        last, after = await held.store.last_sequence(), 0
        while limit is None or self.report.compared < limit:
            size = AT_ONCE if limit is None else min(AT_ONCE, limit - self.report.compared)
            due = await held.records.due(after, last, size)
            if not due:
                break
            await comparer.some(due, self.report)
            after = due[-1].seq
            await self._breathe(Step.COMPARING, after, last)
        else:
            self.report.left = len(await held.records.due(after, last, AT_ONCE))

    async def merge(self, decider: Decider) -> None:
        """Decide what is sure."""
        while found := await decider.some(self.report):
            done = self.report.merged + self.report.held
            await self._breathe(Step.MERGING, done, done + found)

    async def _breathe(self, step: Step, done: int, total: int) -> None:
        await self._matching.records.extend(self._token)
        self._progress(step, done, total)
        await asyncio.sleep(0)
