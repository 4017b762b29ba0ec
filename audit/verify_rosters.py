"""The signed part of a bundle: the chain of keys, and the chain of rosters with what they say of each shard."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from audit.bundle import key_member, roster_member
from audit.checkpoint import MAX_ROSTER_BYTES, KeyChange, Roster, RosterEntry, text_digest
from audit.errors import AuditError
from audit.note import Note, VerifierKey, parse_note
from audit.signing import verify_note
from audit.verdict import BundleFaultKind, Findings


def check_key_changes(findings: Findings, notes: Iterable[bytes]) -> list[KeyChange]:
    """The changes of the signing key, in order.

    Each is signed by the key before it and the key after it, so whoever trusts one key of the chain can trust all.
    """
    changes: list[KeyChange] = []
    for number, data in enumerate(notes, 1):
        findings.key_changes += sha256(data).digest()
        change = check_key_change(findings, number, data)
        if change is None:
            continue
        if changes and changes[-1].new != change.old:
            sentence = f"Key change {number} is not from the key that the change before it introduced."
            findings.fault(BundleFaultKind.KEY_CHANGE, key_member(number), sentence, sequence=number)
        changes.append(change)
    keys = [changes[0].old, *(change.new for change in changes)] if changes else [findings.trusted]
    if findings.trusted not in keys:
        sentence = "The trusted key is none that this log says it signed with."
        findings.fault(BundleFaultKind.KEY_CHANGE, key_member(1), sentence, sequence=1)
    return changes


def check_key_change(findings: Findings, number: int, data: bytes) -> KeyChange | None:
    """One key change; None where it is none."""
    member = key_member(number)
    try:
        note = parse_note(data)
        change = KeyChange.parse(note.text)
    except AuditError:
        findings.fault(BundleFaultKind.KEY_CHANGE, member, f"Key change {number} is not one.", sequence=number)
        return None
    if not _signed(note, (change.old, change.new)):
        sentence = f"Key change {number} is not signed by the old key and the new one, and by no other."
        findings.fault(BundleFaultKind.SIGNATURE, member, sentence, sequence=number)
    return change


class RosterCheck:
    """Follows the rosters from the first to the newest."""

    def __init__(self, findings: Findings, changes: Sequence[KeyChange], log: str) -> None:
        self._findings = findings
        self._log = log
        self._changes = list(changes)
        self._key = changes[0].old if changes else findings.trusted
        self._sequence = 0
        self._previous: bytes | None = None  # the text's digest
        self._older: Roster | None = None  # the newest that was as it must be

    def add(self, data: bytes) -> None:
        """The next roster's note."""
        self._sequence += 1
        self._findings.rosters += sha256(data).digest()
        try:
            note = parse_note(data, max_bytes=MAX_ROSTER_BYTES)
        except AuditError:
            self._fault(BundleFaultKind.ROSTER_INVALID, "is not a signed note")
            self._previous = None
            return
        before, self._previous = self._previous, text_digest(note.text)
        roster = self._trusted(note)
        if roster is not None and self._follows(roster, before):
            self._compare(roster)
            self._older = self._findings.newest = roster
        while self._changes and self._changes[0].roster == self._previous:
            self._key = self._changes.pop(0).new

    def onward(self, findings: Findings, changes: Sequence[KeyChange]) -> "RosterCheck":
        """A check that goes on after the last roster, with the key changes after the last, and findings of its own."""
        check = RosterCheck(findings, (), self._log)
        check._changes = list(changes)
        check._key, check._sequence = self._key, self._sequence
        check._previous, check._older = self._previous, self._older
        return check

    def finish(self) -> None:
        """No roster comes after."""
        for change in self._changes:
            number = len(self._findings.key_changes) // 32 - len(self._changes) + 1 + self._changes.index(change)
            sentence = f"Key change {number} names a roster that is not in the bundle, or not where it took effect."
            self._findings.fault(BundleFaultKind.KEY_CHANGE, key_member(number), sentence, sequence=number)

    def _trusted(self, note: Note) -> Roster | None:
        if not _signed(note, (self._key,)):
            self._fault(BundleFaultKind.SIGNATURE, "is not signed by the key in force, and by no other")
            return None
        try:
            return Roster.parse(note.text)
        except AuditError:
            self._fault(BundleFaultKind.ROSTER_INVALID, "is signed and yet not a roster")
            return None

    def _follows(self, roster: Roster, before: bytes | None) -> bool:
        """Whether the roster is the next of this log. One before it that is no note has its fault already."""
        broken = self._sequence > 1 and before is None
        if roster.log != self._log or roster.sequence != self._sequence:
            self._fault(BundleFaultKind.ROSTER_CHAIN, "is of another log or has another sequence")
        elif roster.previous != before and not broken:
            self._fault(BundleFaultKind.ROSTER_CHAIN, "does not name the text of the roster before it")
        else:
            return True
        return False

    def _compare(self, roster: Roster) -> None:
        """Hold each shard's line against the newest trusted roster's, and note the heads that are new."""
        older = self._older.entries if self._older else ()
        for before in older[len(roster.entries) :]:
            sentence = f"does not have shard {before.number}, which the one before it has"
            self._fault(BundleFaultKind.SHARD_MISSING, sentence, before.shard)
        for number, now in enumerate(roster.entries):
            last = older[number] if number < len(older) else None
            if last is None or self._grew(last, now):
                heads = self._findings.heads.setdefault(now.shard, [])
                heads.append((now.size, now.root, self._sequence))

    def _grew(self, before: RosterEntry, now: RosterEntry) -> bool:
        """Whether the shard has a head that is new and may be."""
        if now.shard != before.shard:
            self._fault(BundleFaultKind.SHARD_MISSING, f"has another shard as number {now.number}", before.shard)
        elif now.size < before.size:
            self._fault(BundleFaultKind.SHARD_SHRANK, f"says that shard {now.number} lost records", now.shard)
        elif now.size == before.size and now.root != before.root:
            self._fault(
                BundleFaultKind.TWO_ROOTS, f"states another root for the same size of shard {now.number}", now.shard
            )
        elif before.closed and now != before:
            self._fault(BundleFaultKind.SHARD_REOPENED, f"changes shard {now.number}, which was closed", now.shard)
        return now.shard == before.shard and now.size > before.size

    def _fault(self, kind: BundleFaultKind, what: str, shard: str | None = None) -> None:
        sentence = f"Roster {self._sequence} {what}."
        self._findings.fault(kind, roster_member(self._sequence), sentence, shard=shard, sequence=self._sequence)


def _signed(note: Note, keys: Sequence[VerifierKey]) -> bool:
    """Whether exactly these keys signed, in this order, and nobody else."""
    if [(each.name, each.key_id) for each in note.signatures] != [(key.name, key.id) for key in keys]:
        return False
    try:
        return verify_note(note, keys) == tuple(keys)
    except AuditError:
        return False
