"""Writes imported rows to profiles: new customers are created a batch at a time, known ones are changed."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from customers.access import Access
from customers.collection.model import Fault, ProfileRow, Result, RowOutcome
from customers.consent.model import ConsentDecision, ConsentState
from customers.errors import (
    IdentifierTakenError,
    IdentifierUnprovenError,
    InputInvalidError,
    ProfileConflictError,
    ProfileNotFoundError,
    WriteNotAllowedError,
)
from customers.profiles.absorbing import AT_ONCE, Absorbed
from customers.profiles.draft import ProfileDraft
from customers.profiles.provenance import Origin, OriginKind
from customers.profiles.writing import ProfileWriter
from vault import ReadDeadlineError, Vault

_SOURCE = "import"
_FAULTS: dict[type[Exception], Fault] = {
    IdentifierTakenError: Fault.IDENTIFIER_TAKEN,
    InputInvalidError: Fault.INVALID_VALUE,
    ProfileConflictError: Fault.CONFLICT,
    ProfileNotFoundError: Fault.CONFLICT,
    WriteNotAllowedError: Fault.REFUSED,
}


_BECAME = {Absorbed.WRITTEN: Result.UPDATED, Absorbed.UNCHANGED: Result.UNCHANGED}


def _apart(known: Sequence[tuple[str, ProfileRow]]) -> Iterator[list[tuple[str, ProfileRow]]]:
    """Rows in lists of which no two are about one customer."""
    batch: dict[str, ProfileRow] = {}
    for customer_id, row in known:
        if customer_id in batch or len(batch) == AT_ONCE:
            yield list(batch.items())
            batch = {}
        batch[customer_id] = row
    if batch:
        yield list(batch.items())


class ImportWriter:
    """Writes rows as one caller may; a `RowWriter`."""

    def __init__(
        self,
        writer: ProfileWriter,
        vault: Vault,
        access: Access,
        *,
        now: Callable[[], datetime],
        source: str = _SOURCE,
    ) -> None:
        """`source` is what the file is called where people look up where a value came from."""
        self._source = source
        self._writer = writer
        self._vault = vault
        self._access = access
        self._now = now

    async def write(self, rows: Sequence[ProfileRow]) -> Sequence[RowOutcome]:
        """Write each row wholly or not at all, and say what became of each, in their order."""
        outcomes: dict[int, RowOutcome] = {}
        waiting: list[ProfileRow] = []
        named: set[object] = set()
        for row in rows:
            if not named.isdisjoint(row.identifiers):  # the row before it may be about the same person
                await self._settle(waiting, outcomes)
                waiting, named = [], set()
            waiting.append(row)
            named |= set(row.identifiers)
        await self._settle(waiting, outcomes)
        return [outcomes[row.number] for row in rows]

    async def _settle(self, rows: Sequence[ProfileRow], outcomes: dict[int, RowOutcome]) -> None:
        """Write rows of which no two share an identifier.

        A change takes several durable writes, so each is a read of its own: on a slow disk, all of a batch's would
        not be done by a read's deadline.
        """
        async with self._vault.reading():
            found = await self._vault.blind.find_many(
                (each.type, each.value) for row in rows for each in row.identifiers
            )
        new: list[tuple[ProfileRow, ProfileDraft]] = []
        known: list[tuple[str, ProfileRow]] = []
        for row in rows:
            owners = {found[each.type, each.value] for each in row.identifiers if (each.type, each.value) in found}
            if len(owners) > 1:
                outcomes[row.number] = RowOutcome(Result.REJECTED, Fault.IDENTIFIER_TAKEN)
            elif owners:
                known.append((owners.pop(), row))
            elif draft := self._draft(row, outcomes):
                new.append((row, draft))
        strange = await self._add(known, outcomes)
        new += [(row, draft) for row in strange if (draft := self._draft(row, outcomes))]
        await self._create(new, outcomes)

    async def _add(
        self, known: Sequence[tuple[str, ProfileRow]], outcomes: dict[int, RowOutcome]
    ) -> list[ProfileRow]:
        """Add rows to customers there are, many at once where that is all; gives those that turn out to be of nobody."""
        strange: list[ProfileRow] = []
        for batch in _apart(known):
            said = [(customer_id, row.values, row.identifiers) for customer_id, row in batch if not row.consents]
            became: dict[str, Absorbed] = {}
            with contextlib.suppress(InputInvalidError, ReadDeadlineError):  # then one at a time, to tell which
                async with self._vault.reading():
                    done = await self._writer.absorb_many(self._access, said, origin=self._origin())
                became = {customer_id: each for (customer_id, *_), each in zip(said, done, strict=True)}
            for customer_id, row in batch:
                result = _BECAME.get(became.get(customer_id, Absorbed.SINGLY))
                outcome = await self._change(customer_id, row) if result is None else RowOutcome(result)
                if outcome is None:
                    strange.append(row)
                else:
                    outcomes[row.number] = outcome
        return strange

    async def _create(self, new: Sequence[tuple[ProfileRow, ProfileDraft]], outcomes: dict[int, RowOutcome]) -> None:
        """Create all at once; where one is refused, one at a time, so that only that one is."""
        if not new:
            return
        try:
            async with self._vault.reading():
                await self._writer.create(self._access, [draft for _, draft in new], origin=self._origin())
        except (IdentifierTakenError, InputInvalidError, WriteNotAllowedError) as error:
            if len(new) == 1:
                outcomes[new[0][0].number] = RowOutcome(Result.REJECTED, _FAULTS[type(error)])
                return
            for each in new:
                await self._create([each], outcomes)
        else:
            outcomes |= {row.number: RowOutcome(Result.CREATED) for row, _ in new}

    async def _change(self, customer_id: str, row: ProfileRow) -> RowOutcome | None:
        """What became of a row about a customer there is; None where it turns out to be about somebody new."""
        try:
            async with self._vault.reading():
                await self._writer.absorb(
                    self._access,
                    customer_id,
                    row.values,
                    row.identifiers,
                    self._decisions(row),
                    origin=self._origin(),
                )
        except IdentifierUnprovenError:
            # Whoever has a browser could have said so: it is the row's, and what else that profile holds is not.
            for each in row.identifiers:
                async with self._vault.reading():
                    await self._writer.remove_identifier(self._access, customer_id, each)
            return None
        except tuple(_FAULTS) as error:
            return RowOutcome(Result.REJECTED, _FAULTS[type(error)])
        return RowOutcome(Result.UPDATED)

    def _draft(self, row: ProfileRow, outcomes: dict[int, RowOutcome]) -> ProfileDraft | None:
        try:
            return self._writer.draft(row.values, row.identifiers, self._decisions(row))
        except InputInvalidError as error:
            outcomes[row.number] = RowOutcome(Result.REJECTED, Fault.INVALID_VALUE, error.problems[0].field)
            return None

    def _origin(self) -> Origin:
        return Origin(OriginKind.IMPORT, self._source, self._now())

    def _decisions(self, row: ProfileRow) -> list[ConsentDecision]:
        """What the row says of consents; a purpose comes before those below it, so that the narrower word counts."""
        now = self._now()
        return [
            ConsentDecision(purpose, ConsentState.GRANTED if granted else ConsentState.WITHDRAWN, now, _SOURCE)
            for purpose, granted in sorted(row.consents.items(), key=lambda each: self._writer.purpose_depth(each[0]))
        ]
