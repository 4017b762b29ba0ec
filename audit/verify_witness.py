"""The bundle beside a witness directory: the same notes as far as the bundle goes, and what the witness saw since."""

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from audit.bundle import HASH, key_member, roster_member
from audit.checkpoint import MAX_ROSTER_BYTES, KeyChange
from audit.verdict import BundleFaultKind, Findings
from audit.verify_rosters import RosterCheck, check_key_change

_FILE = re.compile(r"(roster|key)-(\d{12})\.note", re.ASCII)


class WitnessCheck:
    """Compares a bundle, whose rosters were checked, with a witness directory.

    Every note that the witness holds of the bundle's must be the bundle's, byte for byte. What the witness does not
    hold is no fault: it may have been unreachable. What it holds beyond the bundle's end must follow from that end,
    and is a fault, unless it is known that the bundle was made before: then only what was signed until then is.
    """

    def __init__(self, findings: Findings, rosters: RosterCheck, as_of: str | None) -> None:
        """`as_of` is when the bundle is known to have been made, in the form of a record's time."""
        self._findings = findings
        self._rosters = rosters
        self._as_of = as_of

    def compare(self, directory: Path) -> None:
        """Compare; OSError where the directory cannot be read."""
        findings = self._findings
        files: dict[str, dict[int, Path]] = {"roster": {}, "key": {}}
        for path in sorted(directory.iterdir()):
            found = _FILE.fullmatch(path.name)
            if found is None:
                continue
            number = int(found[2])
            if path.is_file():  # or a link to one
                files[found[1]][number] = path
            else:  # skipped, it would hide what the witness saw
                member = roster_member(number) if found[1] == "roster" else key_member(number)
                sentence = f"What the witness has as {path.name} is no file and no link to one."
                findings.fault(BundleFaultKind.WITNESS, member, sentence, sequence=number)
        findings.witnessed = self._same("Roster", files["roster"], findings.rosters)
        self._same("Key change", files["key"], findings.key_changes)
        if not findings.witnessed:
            sentence = "The witness directory holds no roster of this bundle, so it proves nothing."
            findings.fault(BundleFaultKind.WITNESS, roster_member(1), sentence)
            return
        rosters = {number: path for number, path in files["roster"].items() if number * HASH > len(findings.rosters)}
        changes = {number: path for number, path in files["key"].items() if number * HASH > len(findings.key_changes)}
        if rosters:
            self._newer(rosters, changes)
        elif changes:
            # A change is stored with the roster that it follows, so a bundle with one has the other.
            number = min(changes)
            sentence = f"Key change {number} of the witness is not in the bundle: its end was cut off."
            findings.fault(BundleFaultKind.CUT_OFF, key_member(number), sentence, sequence=number)

    def _same(self, what: str, files: Mapping[int, Path], digests: bytes | bytearray) -> int:
        """How many of the files are the bundle's notes."""
        same = 0
        for number, path in files.items():
            if number * HASH > len(digests):
                continue
            if number >= 1 and sha256(_read(path)).digest() == digests[number * HASH - HASH : number * HASH]:
                same += 1
                continue
            member = roster_member(number) if what == "Roster" else key_member(number)
            sentence = f"{what} {number} of the witness is another than the bundle's."
            self._findings.fault(BundleFaultKind.WITNESS, member, sentence, sequence=number)
        return same

    def _newer(self, rosters: Mapping[int, Path], changes: Mapping[int, Path]) -> None:
        """Follow the rosters after the bundle's last; what keeps them from following is a fork."""
        findings = self._findings
        first, last = len(findings.rosters) // HASH + 1, max(rosters)
        if findings.faults:  # what follows from a broken chain cannot be told
            self._cut_off(first, last, None)
            return
        other = Findings(findings.trusted, findings.progress)
        chain = self._rosters.onward(other, self._changes(other, changes))
        for number in range(first, last + 1):
            if number not in rosters:
                sentence = f"The witness lacks roster {number}, so what it has beyond cannot be followed."
                findings.fault(BundleFaultKind.WITNESS, roster_member(number), sentence, sequence=number)
                return
            chain.add(_read(rosters[number]))
            if other.faults or other.newest is None:
                self._forked(number, other)
                return
            if self._as_of is None or other.newest.time <= self._as_of:
                self._cut_off(number, last, other.newest.time)
                return
            findings.newer += 1
        chain.finish()
        if other.faults:
            self._forked(last, other)

    def _changes(self, other: Findings, files: Mapping[int, Path]) -> list[KeyChange]:
        """The witness's key changes after the bundle's last, up to the first that is missing."""
        number, found = len(self._findings.key_changes) // HASH + 1, []
        other.key_changes += self._findings.key_changes
        while number in files:
            data = _read(files[number])
            other.key_changes += sha256(data).digest()
            change = check_key_change(other, number, data)
            if change is not None:
                found.append(change)
            number += 1
        return found

    def _cut_off(self, first: int, last: int, time: str | None) -> None:
        which = f"roster {first}" if first == last else f"rosters {first} to {last}"
        of = "" if time is None else f", {'' if first == last else 'the first '}of {time}"
        why = (
            "its end was cut off, or it was made before that; only who knows when it was made can tell"
            if self._as_of is None
            else f"its end was cut off, for that is not after {self._as_of}"
        )
        sentence = f"The witness has {which}{of}, and the bundle does not: {why}."
        self._findings.fault(BundleFaultKind.CUT_OFF, roster_member(first), sentence, sequence=first)

    def _forked(self, number: int, other: Findings) -> None:
        why = f" {other.faults[0].sentence}" if other.faults else ""
        sentence = f"Roster {number} of the witness does not follow from the bundle's.{why}"
        self._findings.fault(BundleFaultKind.WITNESS, roster_member(number), sentence, sequence=number)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_ROSTER_BYTES + 1)
