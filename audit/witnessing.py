"""The witness directory beside the database: comparing the two, and bringing the directory up to date."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from audit.checkpoint import Roster, RosterEntry
from audit.errors import (
    AuditBehindWitnessError,
    AuditInconsistentError,
    WitnessLackingError,
    WitnessNewError,
)
from audit.history import History, State
from audit.roster_store import RosterStore
from audit.store import BatchStore
from audit.tree import Edge
from audit.tree_reader import TreeReader
from audit.witness_directory import WitnessDirectory

_BEHIND = "the database holds less of the log than the witness has seen"
_HOW_BEHIND = "restore a newer backup of the audit database; the witness's directory shows what is missing"
_FORKED = "the database holds another log than the witness has seen"
_HOW_FORKED = "keep both as they are, and restore the audit database that the witness's directory belongs to"
_LATE_ATTEMPTS = 10
_LATE_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Witnessed:
    """The newest roster in the directory, not yet verified: its sequence, 0 for none, and its note."""

    sequence: int
    note: bytes


class Witnessing:
    """A directory as the witness of the log in a database."""

    def __init__(
        self,
        directory: WitnessDirectory,
        rosters: RosterStore,
        history: History,
        store: BatchStore,
        trees: TreeReader,
    ) -> None:
        self._directory = directory
        self._rosters = rosters
        self._history = history
        self._store = store
        self._trees = trees
        self._start = 0  # where the next catching up begins, when not at the directory's newest

    async def newest(self) -> Witnessed | None:
        """The newest roster in the directory; None where the directory is no witness yet.

        Read it before the database: what is in the directory was in the database first.
        """
        return await asyncio.to_thread(self._newest)

    async def changes(self) -> int:
        """How many key changes the directory has. Read it before the database, too."""
        return (await asyncio.to_thread(self._directory.counts))[1]

    async def begin(self) -> None:
        """Make the directory this log's witness."""
        await asyncio.to_thread(self._directory.begin)

    async def require_abreast(self, witnessed: Witnessed | None, state: State) -> None:
        """Return only if the database's rosters go at least as far as the witness's, and are the same up to there.

        Raises:
            WitnessNewError: The directory is no witness yet, or has no roster any more, but the log has rosters.
            AuditBehindWitnessError: The database has fewer rosters.
            AuditInconsistentError: It has another one in the place of the witness's newest.
        """
        if witnessed is None:
            if state.newest is not None:
                raise WitnessNewError(
                    "the witness's directory is empty, but the log was signed before: mount the directory that belongs "
                    "to it, or, to begin with a new witness on purpose, run `confide audit adopt-witness`"
                )
            return
        if not witnessed.sequence:
            if state.sequence > 1:  # the first one alone a crash may have kept from the directory
                raise WitnessNewError(
                    f"the witness's directory has none of the {state.sequence} rosters that were signed: it was emptied, "
                    "or could never be written to. Put back what belongs there, or, to begin anew on purpose, run "
                    "`confide audit adopt-witness`"
                )
            return
        if witnessed.sequence > state.sequence:
            raise AuditBehindWitnessError(
                f"{_BEHIND}: {state.sequence} rosters, and {witnessed.sequence} in the witness; {_HOW_BEHIND}"
            )
        stored = await self._stored(witnessed.sequence)
        if stored == witnessed.note:
            return
        if not stored.startswith(witnessed.note):
            raise _forked(f"roster {witnessed.sequence}")
        # A crash cut the file off; what it was to be is written again by `catch_up`. The one before it speaks for both.
        before = witnessed.sequence - 1
        if before and await self._stored(before) != await asyncio.to_thread(self._directory.roster, before):
            raise _forked(f"roster {before}")

    async def catch_up(self, state: State) -> None:
        """Write what the directory lacks of the rosters up to the state's newest, and their key changes."""
        start = self._start or max(1, await asyncio.to_thread(self._directory.newest))
        async for signed, change in self._history.each(start, state.sequence, state.chain):
            sequence = signed.roster.sequence
            await asyncio.to_thread(self._directory.write_roster, sequence, signed.note)
            if change is not None:
                await asyncio.to_thread(self._directory.write_key_change, change.sequence, change.note)
        self._start = 0

    async def lacking(self, state: State) -> WitnessLackingError | None:
        """What the directory lacks; `catch_up` then writes all.

        The last roster alone is told of as well: a crash at the wrong moment leaves it unwritten, and so does whoever
        takes it away.
        """
        for _ in range(_LATE_ATTEMPTS):
            newest, changes = await asyncio.to_thread(self._directory.newest), await self.changes()
            due = sum(1 for first, _ in state.chain.keys[1:] if first <= newest)
            if newest >= state.sequence and changes >= due:
                return None
            await asyncio.sleep(_LATE_PAUSE)  # another process may be writing it
        self._start = 1
        return WitnessLackingError(
            f"the witness's directory has {newest} of {state.sequence} rosters and {changes} of {state.chain.changes} "
            "key changes: find out whether it could not be written (the last one: whether a process was killed just "
            "then), or files were taken away, or it was replaced by an older copy; the next checkpoint fills it again"
        )

    async def check(self, witnessed: Witnessed | None, changes: int, state: State) -> Roster | None:
        """Return the witness's newest roster, only if the database holds all that it lists.

        Args:
            witnessed: The newest roster.
            changes: How many key changes the directory has.
            state: Read after those.

        Raises:
            WitnessNewError: As `require_abreast`.
            WitnessCorruptError: The directory lacks a file.
            AuditBehindWitnessError: A key change, a roster, a shard or entries are missing from the database.
            AuditInconsistentError: Something else is in their place.
        """
        await self.require_abreast(witnessed, state)  # first: it names the roster
        await self._check_changes(changes, state)
        if witnessed is None or not witnessed.sequence:
            return None
        roster = (await self._history.signed(witnessed.sequence, state.chain)).roster
        await self._check_shards(roster)
        return roster

    async def _stored(self, sequence: int) -> bytes:
        """The note of a roster that the database must have.

        Raises:
            AuditInconsistentError: It has not.
        """
        stored = await self._rosters.read(sequence)
        if stored is None:
            raise _forked(f"roster {sequence}")
        return stored.note

    async def _check_changes(self, count: int, state: State) -> None:
        if count > state.chain.changes:
            raise AuditBehindWitnessError(f"{_BEHIND}: a change of the signing key is missing; {_HOW_BEHIND}")
        for (_, stored), sequence in zip(await self._rosters.changes(), range(1, count + 1), strict=False):
            found = await asyncio.to_thread(self._directory.key_change, sequence)
            if found == stored.note:
                continue
            if sequence < count or not stored.note.startswith(found):
                raise _forked(f"key change {sequence}")
            self._start = 1  # a crash cut it off

    async def _check_shards(self, roster: Roster) -> None:
        numbers = {shard: number for number, shard in await self._store.numbered()}
        for entry in roster.entries:
            if entry.shard not in numbers:
                raise AuditBehindWitnessError(f"{_BEHIND}: shard {entry.number} is missing; {_HOW_BEHIND}")
            if numbers[entry.shard] != entry.number:
                raise AuditInconsistentError(f"{_FORKED}: shard {entry.number} has another number; {_HOW_FORKED}")
        ends = await self._trees.ends({entry.shard: entry.size for entry in roster.entries if entry.closed})
        for entry in roster.entries:
            await self._check_shard(entry, ends)

    async def _check_shard(self, entry: RosterEntry, ends: Mapping[str, Edge]) -> None:
        edge = ends.get(entry.shard) if entry.closed else await self._trees.edge_at(entry.shard, entry.size)
        if edge is None:
            what = "is shorter, or was not closed there" if entry.closed else "is shorter"
            raise AuditBehindWitnessError(f"{_BEHIND}: shard {entry.number} {what}; {_HOW_BEHIND}")
        if edge.root() != entry.root:
            raise AuditInconsistentError(f"{_FORKED}: shard {entry.number} has another root; {_HOW_FORKED}")

    def _newest(self) -> Witnessed | None:
        if not self._directory.begun():
            return None
        sequence = self._directory.newest()
        return Witnessed(sequence, self._directory.roster(sequence) if sequence else b"")


def _forked(what: str) -> AuditInconsistentError:
    return AuditInconsistentError(f"{_FORKED}: {what} is another one; {_HOW_FORKED}")
