"""The signed history as the database holds it: rosters and key changes, each believed only when its signature holds."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from audit.checkpoint import MAX_ROSTER_BYTES, Roster, text_digest
from audit.errors import AuditCorruptError, AuditInconsistentError, NoteError
from audit.note import VerifierKey, parse_note
from audit.roster_store import RosterStore, StoredChange, StoredRoster
from audit.signing import verify_key_change, verify_note


@dataclass(frozen=True, slots=True)
class KeyChain:
    """A log's keys in order, each with the sequence of the first roster that it signs."""

    keys: tuple[tuple[int, VerifierKey], ...]

    def at(self, sequence: int) -> VerifierKey:
        """The key that signs the roster of this sequence."""
        return next(key for first, key in reversed(self.keys) if first <= sequence)

    @property
    def tip(self) -> VerifierKey:
        """The key that signs now."""
        return self.keys[-1][1]

    @property
    def changes(self) -> int:
        """How often the key was changed."""
        return len(self.keys) - 1


@dataclass(frozen=True, slots=True)
class Signed:
    """A roster whose signature was verified, and its note."""

    roster: Roster
    note: bytes


@dataclass(frozen=True, slots=True)
class State:
    """The newest roster, None before the first, and the keys that signed up to it."""

    newest: Signed | None
    chain: KeyChain

    @property
    def sequence(self) -> int:
        """The newest roster's, 0 before the first."""
        return 0 if self.newest is None else self.newest.roster.sequence


class History:
    """Reads the rosters of one log. Every method raises AuditUnavailableError when the database fails.

    AuditCorruptError is raised where what is stored is not a roster or a key change of this log, AuditInconsistentError
    where those do not follow from one another.
    """

    def __init__(self, store: RosterStore, log: str) -> None:
        self._store = store
        self._log = log
        self._known = 0
        self._chain: tuple[list[tuple[int, StoredChange]], KeyChain] | None = None

    async def state(self, first: VerifierKey) -> State:
        """The newest roster and the chain of keys from the first. One that is stored meanwhile may be missed."""
        # In this order: every key that signed up to the newest is then in the chain.
        sequence = await self._store.newest(self._known)
        chain = await self.chain(first)
        if not sequence:
            return State(None, chain)
        self._known = sequence
        return State(await self.signed(sequence, chain), chain)

    async def signed(self, sequence: int, chain: KeyChain) -> Signed:
        """The roster of this sequence.

        Raises:
            AuditCorruptError: It is missing, or not signed by the key of its time.
        """
        found = await self._store.read(sequence)
        if found is None:
            raise AuditCorruptError(f"roster {sequence} is missing")
        return self._verified(found, chain)

    async def each(self, first: int, last: int, chain: KeyChain) -> AsyncIterator[tuple[Signed, StoredChange | None]]:
        """The rosters from `first` to `last`, each following the one before, with the key changes that follow them."""
        before: Roster | None = None
        async for found in self._store.each(first, last):
            signed = self._verified(found, chain)
            if before is not None:
                _require_after(signed.roster, before)
            before = signed.roster
            yield signed, found.change

    def _verified(self, found: StoredRoster, chain: KeyChain) -> Signed:
        try:
            note = parse_note(found.note, max_bytes=MAX_ROSTER_BYTES)
            verify_note(note, [chain.at(found.sequence)])
            roster = Roster.parse(note.text)
        except NoteError as error:
            raise AuditCorruptError(f"roster {found.sequence}: {error}") from None
        if (roster.log, roster.sequence) != (self._log, found.sequence):
            raise AuditCorruptError(f"roster {found.sequence} is another log's, or another roster")
        return Signed(roster, found.note)

    async def chain(self, first: VerifierKey) -> KeyChain:
        """The keys from the first, each introduced by the one before it."""
        changes = await self._store.changes()
        if self._chain is not None and self._chain[0] == changes and self._chain[1].keys[0][1] == first:
            return self._chain[1]
        keys = [(1, first)]
        for number, (sequence, stored) in enumerate(changes, 1):
            roster = await self._store.read(sequence)
            try:
                change = verify_key_change(parse_note(stored.note), keys[-1][1])
                text = "" if roster is None else parse_note(roster.note, max_bytes=MAX_ROSTER_BYTES).text
            except NoteError as error:
                raise AuditCorruptError(f"key change {number}: {error}") from None
            if (change.log, change.roster, stored.sequence) != (self._log, text_digest(text), number):
                raise AuditCorruptError(f"key change {number} is another log's, or follows another roster")
            keys.append((sequence + 1, change.new))
        self._chain = changes, KeyChain(tuple(keys))
        return self._chain[1]


def _require_after(roster: Roster, before: Roster) -> None:
    try:
        roster.require_after(before)
    except NoteError as error:
        raise AuditInconsistentError(f"roster {roster.sequence}: {error}") from None
