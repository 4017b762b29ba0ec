"""The shards of a log as they are now, each shown to have grown out of what was signed of it, and their closing."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from audit.checkpoint import RosterEntry
from audit.end import End, is_end, parse_end
from audit.entry import Head
from audit.errors import AuditInconsistentError, AuditUnavailableError, RosterContendedError
from audit.record import timestamp
from audit.store import BatchStore
from audit.tree import EMPTY_ROOT, Edge
from audit.tree_reader import TreeReader

_ATTEMPTS = 32
_PAUSE = 0.005


class Shards:
    """Reads heads by edges and leaf hashes; no record is read."""

    def __init__(self, store: BatchStore, trees: TreeReader, now: Callable[[], datetime]) -> None:
        self._store = store
        self._trees = trees
        self._now = now

    async def listed(self, known: Sequence[RosterEntry]) -> list[RosterEntry]:
        """The shards of a roster, and behind them those opened since, as if they were empty.

        Raises:
            AuditInconsistentError: A number is missing.
        """
        for _ in range(_ATTEMPTS):
            added = await self._store.numbered(above=len(known))
            if [number for number, _ in added] == list(range(len(known) + 1, len(known) + len(added) + 1)):
                return [*known, *(RosterEntry(number, shard, 0, EMPTY_ROOT) for number, shard in added)]
            await asyncio.sleep(_PAUSE)  # one was numbered while the list was read
        raise AuditInconsistentError("a number among the log's shards is missing")

    async def grown(self, entry: RosterEntry) -> RosterEntry:
        """The entry as it is now, by the leaf hashes that came since. One that is closed stays as it is.

        Raises:
            AuditInconsistentError: The database does not hold what the entry says.
            AuditCorruptError: What follows did not grow out of it.
        """
        if entry.closed:
            return entry
        edge = await self._trees.edge_at(entry.shard, entry.size)
        if edge is None or edge.root() != entry.root:
            what = "holds less than" if edge is None else "is not what"
            raise AuditInconsistentError(f"shard {entry.number} {what} was signed: do not serve from this database")
        edge, closed = await self._trees.grow(entry.shard, edge)
        return RosterEntry(entry.number, entry.shard, edge.size, edge.root(), closed)

    async def close(self, entry: RosterEntry) -> Head:
        """Put an end where the shard's next batch would be; where a batch is faster, behind that.

        Raises:
            RosterContendedError: It grew every time.
        """
        for _ in range(_ATTEMPTS):
            entry = await self.grown(entry)
            if entry.closed:
                return entry.head
            edge = await self._trees.edge_at(entry.shard, entry.size) or Edge()
            if await self._ended(End(entry.shard, edge, timestamp(self._now()))):
                await self._store.close_shard(entry.head, self._now())
                return entry.head
        raise RosterContendedError("the shard grew every time it was about to be closed: it is not abandoned")

    async def _ended(self, end: End) -> bool:
        """Whether the shard ends there, by this or by another process. An insert of unknown outcome is looked up."""
        try:
            if await self._store.insert(end.document()):
                return True
        except AuditUnavailableError:
            found = await self._store.read(end.id)
            if found is None:
                raise
        else:
            found = await self._store.read(end.id)
        return found is not None and is_end(found) and parse_end(found).edge == end.edge
