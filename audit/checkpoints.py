"""Signing the log: rosters over all shards, changes of the key, receipts; and closing shards that nobody writes to."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from audit.batch import parse_batch, read_record
from audit.checkpoint import MAX_ROSTER_BYTES, KeyChange, Roster, RosterEntry
from audit.cosigning import COSIGN_SECONDS, Cosigner, Cosigning
from audit.end import is_end
from audit.entry import EntryId, Head
from audit.errors import (
    AuditCorruptError,
    AuditError,
    AuditInconsistentError,
    EntryNotFoundError,
    ProofInvalidError,
    RosterContendedError,
    RosterInvalidError,
    SigningKeyStaleError,
    WitnessError,
)
from audit.history import History, State
from audit.note import Note, parse_note
from audit.receipt import Receipt
from audit.record import timestamp
from audit.roster_store import RosterStore, StoredChange, StoredRoster
from audit.shards import Shards
from audit.signing import SigningKey
from audit.signing_keys import SigningKeys
from audit.store import BatchStore
from audit.tree_reader import TreeReader
from audit.witness_directory import WitnessDirectory
from audit.witnessing import Witnessing

_ATTEMPTS = 32
_LONGEST_PAUSE = 0.5
_IDLE_SECONDS = 900.0


class Checkpointer:
    """Signs the log of one database. Any number of processes may have one; each roster is signed by one of them.

    Nothing that was read of the database is signed before it was shown to follow from what was signed before. Besides
    the rosters' own lists, a bounded number of leaf hashes is in memory at a time.

    Every method raises AuditUnavailableError when the database fails, AuditCorruptError when what is stored was not
    written by a log, AuditInconsistentError when it is not what was signed before, SigningKeyError when the signing
    key cannot be used and WitnessError when a witness cannot do its part.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        keys: SigningKeys,
        *,
        now: Callable[[], datetime],
        directory: WitnessDirectory | None = None,
        cosigners: Sequence[Cosigner] = (),
        own_shard: Callable[[], str | None] = lambda: None,
        idle_seconds: float = _IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        rosters: RosterStore | None = None,
        cosign_seconds: float = COSIGN_SECONDS,
    ) -> None:
        """Nothing is read yet.

        Args:
            database: Where the log lives.
            keys: The signing key file; it knows the log's name.
            now: The present, with a time zone. Only ever reported: sequences decide what is later.
            directory: The witness directory.
            cosigners: Witnesses on other machines.
            own_shard: The shard that this process writes to, which it never closes as abandoned.
            idle_seconds: How long a shard must not have grown before its eyes until it counts as abandoned.
            clock: Seconds that never go back.
            rosters: The stored rosters, when not those of `database`.
            cosign_seconds: How long a cosigner may take for a checkpoint; twice as long for all shards.
        """
        self.on_unwitnessed: Callable[[AuditError], None] = lambda _error: None
        """Told of what a witness did not get, or said unsigned, and which kept nothing from being done."""
        self._keys = keys
        self._now = now
        self._own_shard = own_shard
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._store = BatchStore.over(database)
        self._rosters = RosterStore.over(database) if rosters is None else rosters
        self._trees = TreeReader(self._store)
        self._shards = Shards(self._store, self._trees, now)
        self._history = History(self._rosters, keys.log)
        self._witnessing = (
            None
            if directory is None
            else Witnessing(directory, self._rosters, self._history, self._store, self._trees)
        )
        self._cosigning = Cosigning(
            cosigners, self._rosters, self._trees, self._current, self._tell, seconds=cosign_seconds
        )
        self._one = asyncio.Lock()
        self._seen: dict[str, tuple[int, float]] = {}  # where each open shard ended, and when it first did

    async def prepare(self) -> None:
        """Create the indexes; a second time changes nothing."""
        await self._store.prepare()
        await self._rosters.prepare()

    async def checkpoint(self, *, always: bool = False) -> Roster:
        """The roster of all shards as they are now, stored and in the witness directory when this returns.

        Cosigners are asked as well, for a bounded time; `on_unwitnessed` is told of those that did not sign.

        Args:
            always: Sign a new one also when nothing has changed since the last.

        Raises:
            AuditBehindWitnessError: The directory has seen more than the database holds; nothing was signed.
            WitnessError: The directory could not be given the roster, or could not be asked before. The roster may be
                stored; the next checkpoint catches up.
            RosterContendedError: Other processes were faster every time.
        """
        failed: WitnessError | None = None
        async with self._one:
            state, _ = await self._sign(always=always)
            try:
                await self._catch_up(state)
            except WitnessError as error:
                failed = error
            await self._finish_change(state)
        await self._cosigning.publish()
        if failed is not None:
            raise failed
        return _newest(state)

    async def rotate_key(self) -> KeyChange:
        """Change the signing key: a last roster by the old one, and a change that both sign, in one step.

        After an error the change may be stored; the next call, or the next checkpoint, then finishes it. Once it is
        stored no witness makes this fail: `on_unwitnessed` is told, and the next checkpoint gives them what they lack.

        Raises:
            AuditBehindWitnessError: As `checkpoint`; the key was not changed.
            WitnessError: The directory could not be asked; the key was not changed.
            RosterContendedError: As `checkpoint`; the key was not changed.
        """
        async with self._one, self._keys.locked():
            await self._keys.prepare_next()
            state, change = await self._sign(always=True, change_key=True)
            if change is None:
                raise RosterContendedError("the key was not changed: try again")
            await self._keys.promote(change.new)
            try:
                await self._catch_up(state)
            except AuditError as error:
                self._tell(error)
            return change

    async def check_witness(self) -> Roster | None:
        """Return the newest roster that the witness directory has, only if the database holds all that it lists.

        To be called at every start. Heads are compared, not every record: that is the verifier's work.
        `on_unwitnessed` is told of a cosigner that cannot be asked, and of a directory that lacks rosters
        (WitnessLackingError).

        Raises:
            AuditBehindWitnessError: The database is older than a witness, or was cut off.
            AuditInconsistentError: The database holds another log.
            WitnessError: The directory is missing, unreadable, damaged, another log's or new.
        """
        found = None
        if self._witnessing is None:
            state = await self._state()
        else:
            # Before the database is read: what is in the directory was in the database first.
            witnessed, changes = await self._witnessing.newest(), await self._witnessing.changes()
            state = await self._state()
            found = await self._witnessing.check(witnessed, changes, state)
            if (lacking := await self._witnessing.lacking(state)) is not None:
                self._tell(lacking)
        if state.newest is not None:
            await self._signer(state)
        await self._cosigning.check()
        return found

    async def adopt_witness(self) -> None:
        """Make an empty directory the log's witness and give it every roster there is.

        From then on it shows what is cut off later. What was cut off before, nobody can tell from it.
        """
        if self._witnessing is None:
            return
        async with self._one:
            await self._witnessing.begin()
            await self._catch_up(await self._state())

    async def receipt(self, entry_id: EntryId) -> bytes:
        """The proof that an entry is in the log (C2SP tlog-proof), to be checked offline with the log's public key.

        Where no roster covers the entry yet, one is signed first. Reads O(log n) batches.

        Raises:
            EntryNotFoundError: There is no such entry.
        """
        document = await self._store.holding(entry_id.shard, entry_id.index)
        batch = None if document is None or is_end(document) else parse_batch(document)
        if batch is None or entry_id.index >= batch.edge.size:
            raise EntryNotFoundError("there is no such entry in the access log")
        read_record(batch, entry_id.index - batch.first)
        state, signer = await self._current()
        entry = None if state.newest is None else state.newest.roster.entry(entry_id.shard)
        if entry is None or entry.size <= entry_id.index:
            await self.checkpoint()
            state, signer = await self._current()
            entry = _newest(state).entry(entry_id.shard)
        if entry is None or entry.size <= entry_id.index:
            raise AuditInconsistentError("the shard of this entry is not among the log's")
        note = await self._checkpoint_note(_newest(state), entry, signer)
        proof = await self._trees.inclusion_proof(entry.shard, entry_id.index, entry.size)
        receipt = Receipt(batch.records[entry_id.index - batch.first], entry_id.index, proof, note)
        try:
            receipt.verify(key for _, key in state.chain.keys)
        except ProofInvalidError:
            raise AuditInconsistentError("the entry is not what was signed") from None
        return receipt.to_bytes()

    async def close_abandoned(self, *, living: Collection[str] | None = None) -> list[Head]:
        """Close the open shards that nobody writes to any more; what was closed.

        That is, of all but this process's own: those not among `living`, where that is given; else those that did not
        grow in `idle_seconds` between the first call that saw them so and this one. A process that was taken for
        dead wrongly goes on in a new shard, so a mistake costs a shard and loses nothing.

        Args:
            living: The shards whose processes are known to live.
        """
        closed: list[Head] = []
        for listed in await self._listed(await self._state()):
            entry = await self._shards.grown(listed)
            if entry.closed or entry.shard == self._own_shard() or not self._abandoned(entry, living):
                continue
            closed.append(await self._shards.close(entry))
            self._seen.pop(entry.shard, None)
        return closed

    async def close_shard(self, shard: str) -> Head:
        """Close a shard, whoever writes to it; the head at which it ended. A closed one stays as it is.

        Raises:
            EntryNotFoundError: There is no such shard.
        """
        entry = next((each for each in await self._listed(await self._state()) if each.shard == shard), None)
        if entry is None:
            raise EntryNotFoundError("there is no such shard")
        return entry.head if entry.closed else await self._shards.close(entry)

    async def _sign(self, *, always: bool, change_key: bool = False) -> tuple[State, KeyChange | None]:
        """Store the next roster, with a change of the key where wanted."""
        for attempt in range(_ATTEMPTS):
            # Before the database is read, or a roster stored meanwhile would look as if the database were behind.
            witnessed = None if self._witnessing is None else await self._witnessing.newest()
            state = await self._state()
            if self._witnessing is not None:
                await self._witnessing.require_abreast(witnessed, state)
                if witnessed is None:
                    await self._witnessing.begin()
            signer = await self._signer(state)
            if signer is None:
                continue
            change = await self._landed(state) if change_key else None
            if change is not None:
                break  # an earlier try of this rotation had been stored
            roster = await self._next(state)
            if not (always or change_key) and state.newest is not None and _entries(state) == roster.entries:
                break
            change = await self._change(state, roster) if change_key else None
            if await self._rosters.insert(await self._stored(roster, change, signer, state)):
                state = await self._state()
                break
            await asyncio.sleep(min(_LONGEST_PAUSE, 0.005 * (attempt + 1)))
        else:
            raise RosterContendedError("other processes signed the log every time this one was about to: try again")
        return state, change

    async def _finish_change(self, state: State) -> None:
        """Drop the old key from the file, where a crash kept a change that is stored from doing so."""
        keys = await self._keys.load()
        if keys.next is not None and keys.next.verifier == state.chain.tip:
            async with self._keys.locked():
                await self._keys.promote(state.chain.tip)

    async def _state(self) -> State:
        return await self._history.state((await self._keys.load()).first)

    async def _signer(self, state: State) -> SigningKey | None:
        """The key that signs after this state; None where another process changed it since that was read.

        Raises:
            SigningKeyStaleError: The chain of key changes leads to another than the file holds.
        """
        keys = await self._keys.load()
        for key in (keys.current, keys.next):
            if key is not None and key.verifier == state.chain.tip:
                return key
        if (await self._state()).chain.tip != state.chain.tip:
            return None
        raise SigningKeyStaleError(
            "the signing key file and the database disagree about which key signs now: one of them is an old copy"
        )

    async def _current(self) -> tuple[State, SigningKey]:
        """The state, and the key that signs now."""
        for _ in range(_ATTEMPTS):
            state = await self._state()
            if (signer := await self._signer(state)) is not None:
                return state, signer
        raise RosterContendedError("the signing key was changed every time: try again")

    async def _landed(self, state: State) -> KeyChange | None:
        """The change to the file's next key, where that is stored already."""
        keys = await self._keys.load()
        if keys.next is None or keys.next.verifier != state.chain.tip:
            return None
        _, stored = (await self._rosters.changes())[-1]
        return KeyChange.parse(parse_note(stored.note).text)

    async def _change(self, state: State, roster: Roster) -> KeyChange | None:
        keys = await self._keys.load()
        if keys.next is None:
            return None
        return KeyChange(roster.log, roster.time, state.chain.tip, keys.next.verifier, roster.digest())

    async def _stored(
        self, roster: Roster, change: KeyChange | None, signer: SigningKey, state: State
    ) -> StoredRoster:
        text = roster.text()
        note = Note(text).signed(signer.sign(text)).to_bytes()
        if len(note) > MAX_ROSTER_BYTES:
            raise RosterInvalidError("the log has more shards than a roster can list")
        if change is None:
            return StoredRoster(roster.sequence, note)
        keys, text = await self._keys.load(), change.text()
        if keys.next is None:
            raise SigningKeyStaleError("the signing key file does not hold the next key any more")
        both = Note(text).signed(signer.sign(text), keys.next.sign(text))
        return StoredRoster(roster.sequence, note, StoredChange(state.chain.changes + 1, both.to_bytes()))

    async def _next(self, state: State) -> Roster:
        """The roster that follows, unsigned."""
        entries = [await self._shards.grown(entry) for entry in await self._listed(state)]
        return Roster(
            log=self._keys.log,
            sequence=state.sequence + 1,
            time=timestamp(self._now()),
            previous=None if state.newest is None else state.newest.roster.digest(),
            entries=tuple(entries),
        )

    async def _listed(self, state: State) -> list[RosterEntry]:
        return await self._shards.listed(_entries(state))

    def _abandoned(self, entry: RosterEntry, living: Collection[str] | None) -> bool:
        if living is not None:
            return entry.shard not in living
        size, since = self._seen.get(entry.shard, (-1, 0.0))
        if size != entry.size:
            self._seen[entry.shard] = entry.size, self._clock()
            return False
        return self._clock() - since >= self._idle_seconds

    async def _catch_up(self, state: State) -> None:
        if self._witnessing is not None and state.newest is not None:
            await self._witnessing.catch_up(state)

    def _tell(self, error: AuditError) -> None:
        self.on_unwitnessed(error)

    async def _checkpoint_note(self, roster: Roster, entry: RosterEntry, signer: SigningKey) -> Note:
        """The signed checkpoint of a shard, with the witnesses' signatures where there are any."""
        if (kept := await self._cosigning.kept(roster, entry)) is not None:
            return kept
        text = roster.checkpoint(entry).text()
        return Note(text).signed(signer.sign(text))


def _entries(state: State) -> tuple[RosterEntry, ...]:
    return () if state.newest is None else state.newest.roster.entries


def _newest(state: State) -> Roster:
    if state.newest is None:
        raise AuditCorruptError("the roster that was just signed is not there")
    return state.newest.roster
