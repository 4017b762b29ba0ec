"""One run of an enrichment over everybody: who may be asked about, the key, its record, the look-up, the value.

For each customer, in this order: their rights (nothing of those who do not allow it is opened); whether anything may be
written; the key, read under the policy through the gateway; the durable record of that; the look-up, before each attempt
of which it is made sure that the customer still allows it and is still there; the write, with its own record.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pymongo.errors import PyMongoError

from customers.access import Access
from customers.consent.model import Rights
from customers.enrichment.errors import EnrichmentStoppedError, LookupFailedError, WithdrawnError
from customers.enrichment.model import READ, Definition, Skip, key_value, refused
from customers.enrichment.provider import Key, Provider, Value
from customers.enrichment.runs import LEASE, Begun, RunStore
from customers.enrichment.standing import standing
from customers.enrichment.writing import Parts, fresh, people, write
from customers.errors import (
    FieldProblem,
    InputInvalidError,
    ProfileConflictError,
    ProfileNotFoundError,
    WriteNotAllowedError,
)
from customers.profiles.joined import MERGED_INTO
from customers.profiles.store import Document
from vault import EnvelopeError

PAGE: Final = 100
_TRIES: Final = 3
_LONGEST_VALUE: Final = 1_000
_LARGEST: Final = 2**63
_WRITTEN_AT_ONCE: Final = 8
_FAILED_IN_A_ROW: Final = 20
LOOKED_AT: Final = "looked at"
LOOKED_UP: Final = "looked up"
FOUND: Final = "found"
WRITTEN: Final = "written"
FAILED: Final = "failed"

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run has done, with what the runs before had that it went on with.

    Attributes:
        looked_at: How many customers there were.
        looked_up: Of how many a key was given to the provider; where that sends it away and the run was dry, of how many
            one would have been.
        found: Of how many the provider knew something.
        written: How many profiles were written, or would have been.
        skipped: How many were not, by the reason.
        failed: How many could not be: the provider did not answer as it must, what it said cannot be stored, or what is
            stored is damaged.
        finished: Whether everybody was looked at.
        dry_run: Whether nothing was written.
    """

    looked_at: int
    looked_up: int
    found: int
    written: int
    skipped: Mapping[Skip, int]
    failed: int
    finished: bool
    dry_run: bool


async def run(
    parts: Parts,
    runs: RunStore,
    access: Access,
    definition: Definition,
    provider: Provider,
    *,
    dry_run: bool = False,
    limit: int | None = None,
    progress: OnProgress = lambda _done, _total: None,
) -> RunReport:
    """Run an enrichment over everybody, or on from where its last run ended.

    Args:
        parts: What to work with.
        runs: Where runs are kept.
        access: Who runs it, for the definition's purpose.
        definition: The enrichment.
        provider: Its provider, not opened yet.
        dry_run: Whether to write nothing, and to send no key to anybody; always from the beginning.
        limit: How many customers to look up at most.
        progress: Told how far it has got, of how much.

    Raises:
        EnrichmentRunningError: Another process runs it.
        EnrichmentStoppedError: The provider has failed too often in a row.
        ProviderUnusableError: The provider cannot be opened.
        audit.AuditUnavailableError: A read or a write could not be recorded; it was not made, and nothing was sent for it.
    """
    async with provider:
        if dry_run:
            work = _Run(parts, access, definition, provider, None, runs, limit)
            return await work.walk(progress)
        begun = await runs.begin(definition.name, definition.digest)
        work = _Run(parts, access, definition, provider, begun, runs, limit)
        finished = False
        keeping = asyncio.create_task(_keep_on(runs, begun))
        try:
            report = await work.walk(progress)
            finished = report.finished
        finally:
            keeping.cancel()
            await asyncio.shield(runs.end(begun, finished=finished))
        return report


async def _keep_on(runs: RunStore, begun: Begun) -> None:
    """Keep the right to run, however long a provider takes over a few keys."""
    while True:
        await asyncio.sleep(LEASE.total_seconds() / 4)
        with contextlib.suppress(PyMongoError):
            await runs.extend(begun)


_Told = tuple[Document, str | None]
"""A customer, and why not to look them up; None where nothing is against it."""


class _Run:
    """One run."""

    def __init__(
        self,
        parts: Parts,
        access: Access,
        definition: Definition,
        provider: Provider,
        begun: Begun | None,
        runs: RunStore,
        limit: int | None,
    ) -> None:
        self._parts = parts
        self._access = access
        self._definition = definition
        self._provider = provider
        self._begun = begun
        self._runs = runs
        self._left = limit
        self._counts: Counter[str] = Counter({} if begun is None else begun.counts)
        self._failures = 0
        self._categories = {each.target: each.category for each in definition.writes if each.category is not None}

    async def walk(self, progress: OnProgress) -> RunReport:
        """Look at everybody once, a page at a time, in the order in which they came."""
        parts = self._parts
        total = await parts.store.last_sequence()
        after = 0 if self._begun is None else self._begun.after
        while True:
            documents = await parts.store.page({MERGED_INTO: None}, after=after, limit=PAGE, projection={})
            for batch in self._batches(await self._told(documents)):
                due = [document for document, skip in batch if skip is None]
                if due and self._left == 0:
                    return self._report(finished=False)
                await self._look_up(due)
                self._counts[LOOKED_AT] += len(batch)
                self._counts.update(skip for _, skip in batch if skip is not None)
                after = batch[-1][0]["seq"]
                await self._reached(after)
                progress(min(after, total), total)
                if self._failures >= _FAILED_IN_A_ROW:
                    raise EnrichmentStoppedError
            if len(documents) < PAGE:
                progress(total, total)
                return self._report(finished=True)

    async def _told(self, documents: Sequence[Document]) -> list[_Told]:
        """Each customer of a page with why not to look them up, or None; only those who allow it are opened."""
        parts, purpose, now = self._parts, self._access.grant.purpose, self._parts.now()
        told: dict[str, str | None] = {
            each["_id"]: refused(Rights.of_document(each.get("rights") or {}), purpose, now) for each in documents
        }
        willing = [each for each in documents if told[each["_id"]] is None]
        async with parts.vault.reading():
            found = await people(parts, willing) if willing else {}
            for document in willing:
                customer_id = document["_id"]
                person = found.get(customer_id)
                if person is None:
                    told[customer_id] = Skip.GONE
                    continue
                try:
                    stands = standing(
                        self._definition, parts.catalogue, person.document, person.key, person.parts, now
                    )
                except EnvelopeError:
                    told[customer_id] = FAILED
                    continue
                told[customer_id] = None if stands.free else stands.why_not
        return [(each, told[each["_id"]]) for each in documents]

    def _batches(self, told: Sequence[_Told]) -> Iterator[list[_Told]]:
        """These in order, each time with no more to look up than the provider takes at once and may still be."""
        batch: list[_Told] = []
        size = 0
        for each in told:
            if each[1] is None:
                most = self._provider.at_once if self._left is None else min(self._provider.at_once, self._left)
                if size >= most and batch:
                    yield batch
                    batch, size = [], 0
                size += 1
            batch.append(each)
        if batch:
            yield batch

    async def _look_up(self, documents: Sequence[Document]) -> None:
        """Read the keys of these customers, record that, look them up, and write what is found."""
        if not documents:
            return
        if self._left is not None:
            self._left -= len(documents)
        if self._begun is None and self._provider.recipient is not None:
            self._counts[LOOKED_UP] += len(documents)
            return
        keys = await self._keys([each["_id"] for each in documents])
        asked = await asyncio.gather(*(self._ask(key, whose) for key, whose in keys.items()), return_exceptions=True)
        answers: list[tuple[str, Mapping[str, Value] | Exception | None]] = []
        for (_, whose), values in zip(keys.items(), asked, strict=True):
            if isinstance(values, BaseException) and not isinstance(values, LookupFailedError | WithdrawnError):
                raise values
            answers += [(customer_id, values) for customer_id in whose]
        for start in range(0, len(answers), _WRITTEN_AT_ONCE):
            some = answers[start : start + _WRITTEN_AT_ONCE]
            # Every write ends before the next begin, or before a failure of one is told.
            kept = await asyncio.gather(*(self._keep(*each) for each in some), return_exceptions=True)
            if failed := [each for each in kept if each is not None]:
                raise failed[0]

    async def _keys(self, customer_ids: Sequence[str]) -> dict[Key, list[str]]:
        """Whose key is which; recorded by the time this returns."""
        parts, access = self._parts, fresh(self._access)
        names = frozenset(READ[part.field] for part in self._definition.key)
        async with parts.vault.reading():
            values = await parts.gateway.by_ids(access, names, customer_ids)
            keys: dict[Key, list[str]] = {}
            for customer_id in customer_ids:
                held = values.get(customer_id)
                if held is None or held["document_id"] != customer_id:
                    self._counts[Skip.GONE] += 1
                    continue
                if any(isinstance(each, EnvelopeError) for each in held.values()):
                    self._counts[FAILED] += 1
                    continue
                key = tuple((part.to, key_value(part, held)) for part in self._definition.key)
                if all(value for _, value in key):
                    keys.setdefault(key, []).append(customer_id)
                else:
                    self._counts[Skip.NO_KEY] += 1
            if access.disclosure.reached:
                await parts.log.append(access.disclosure.record(parts.now()))
        return keys

    async def _ask(self, key: Key, whose: Sequence[str]) -> Mapping[str, Value] | None:
        async def before() -> None:
            if not await self._still(whose):
                raise WithdrawnError

        return await self._provider.look_up(key, before=before)

    async def _still(self, customer_ids: Sequence[str]) -> bool:
        """Whether any of these customers is still there and allows it."""
        parts, purpose, now = self._parts, self._access.grant.purpose, self._parts.now()
        async with parts.vault.reading():
            documents = await parts.store.find(customer_ids)
            found = await people(parts, documents)
        return any(
            refused(Rights.of_document(each.document.get("rights") or {}), purpose, now) is None
            for each in found.values()
        )

    async def _keep(self, customer_id: str, values: Mapping[str, Value] | Exception | None) -> None:
        if isinstance(values, WithdrawnError):
            self._counts[Skip.GONE] += 1
            return
        self._counts[LOOKED_UP] += 1
        if isinstance(values, Exception):
            self._counts[FAILED] += 1
            self._failures += 1
            return
        self._failures = 0
        if not values:
            return
        self._counts[FOUND] += 1
        self._counts[await self._written(customer_id, values)] += 1

    async def _written(self, customer_id: str, values: Mapping[str, Value]) -> str:
        """Write what may be written of what was found, and say what became of it."""
        parts, definition = self._parts, self._definition
        for _ in range(_TRIES):
            now = parts.now()
            try:
                async with parts.vault.reading():
                    person = (await people(parts, await parts.store.find([customer_id]))).get(customer_id)
                    if person is None:
                        return Skip.GONE
                    rights = Rights.of_document(person.document.get("rights") or {})
                    if (skip := refused(rights, self._access.grant.purpose, now)) is not None:
                        return skip
                    stands = standing(definition, parts.catalogue, person.document, person.key, person.parts, now)
                    changes = {
                        each.target: _form(each.category, values[each.taken_from])
                        for each in definition.writes
                        if each.target in stands.free and each.taken_from in values
                    }
                    if not changes:
                        return stands.why_not
                    if self._begun is not None:
                        await write(parts, self._access, person, changes, self._categories, definition.origin(now))
            except ProfileConflictError:
                continue
            except ProfileNotFoundError:
                return Skip.GONE
            except (InputInvalidError, EnvelopeError):
                return FAILED
            except WriteNotAllowedError:
                return Skip.GONE  # the policy was checked before; it is the customer's rights that changed
            return WRITTEN
        return FAILED

    async def _reached(self, after: int) -> None:
        if self._begun is not None:
            await self._runs.reached(self._begun, after, self._counts)

    def _report(self, *, finished: bool) -> RunReport:
        counts = self._counts
        return RunReport(
            looked_at=counts[LOOKED_AT],
            looked_up=counts[LOOKED_UP],
            found=counts[FOUND],
            written=counts[WRITTEN],
            skipped={each: counts[each.value] for each in Skip if counts[each.value]},
            failed=counts[FAILED],
            finished=finished,
            dry_run=self._begun is None,
        )


def _form(category: str | None, value: Value) -> Value:
    """A value as it is kept: fields are text, which the writer checks, traits what they are.

    Raises:
        InputInvalidError: It is longer than anything that is looked up, or a number that no database holds.
    """
    if category is None:
        return str(value)
    fits = -_LARGEST <= value < _LARGEST if isinstance(value, int) else len(str(value)) <= _LONGEST_VALUE
    if not fits:
        problem = f"must be a text of at most {_LONGEST_VALUE} characters or a number of 64 bits"
        raise InputInvalidError([FieldProblem("traits", problem)])
    return value
