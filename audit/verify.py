"""Whether an export is what the log signed. Reads files only, no database, and recomputes every hash from the bytes.

What is checked, and what each fault means, is in docs/audit-verification.md; the format in
docs/formats/audit-bundle.md. A second verifier that shares no code with this one is scripts/verify_audit_bundle.py.
"""

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from audit.bundle import (
    HASH,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Manifest,
    key_member,
    roster_member,
)
from audit.checkpoint import MAX_ROSTER_BYTES, key_name
from audit.container import STORED, ContainerReader, Member
from audit.errors import BundleInvalidError
from audit.note import MAX_NOTE_BYTES, VerifierKey
from audit.verdict import BundleFault, BundleFaultKind, Findings, TooManyFaults, Verification
from audit.verify_records import RecordCheck, check_hashes
from audit.verify_rosters import RosterCheck, check_key_changes

_WITNESSED = re.compile(r"(roster|key)-(\d{12})\.note", re.ASCII)


def verify_bundle(
    path: Path, key: str, *, witness: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> Verification:
    """The verdict on the bundle at `path`; nothing in the bundle makes this raise.

    Args:
        path: The bundle.
        key: The verifier key that the caller trusts (`name+id+base64`): any that the log signed with.
        witness: A witness directory to compare with.
        progress: Told how many bytes of how many of the records have been checked.

    Raises:
        VerifierKeyInvalidError: `key` is not a verifier key, so nothing can be verified.
    """
    findings = Findings(VerifierKey.parse(key), progress or (lambda _done, _size: None))
    finished = False
    try:
        with path.open("rb") as file:
            _check(findings, file)
        if witness is not None:
            _compare_witness(findings, witness)
        finished = True
    except TooManyFaults:
        pass
    except BundleInvalidError as error:
        sentence = f"It cannot be read further: {error}."
        findings.faults.append(BundleFault(kind=BundleFaultKind.UNREADABLE, member=error.member, sentence=sentence))
    except OSError as error:
        sentence = f"A file cannot be read: {type(error).__name__}."
        findings.faults.append(BundleFault(kind=BundleFaultKind.UNREADABLE, member=MANIFEST, sentence=sentence))
    return findings.verdict(finished=finished)


def _check(findings: Findings, file: BinaryIO) -> None:
    container = ContainerReader(file)
    first = container.member(MANIFEST, STORED).whole(file, MAX_MANIFEST_BYTES)
    manifest = findings.manifest = Manifest.parse(first)
    members = manifest.members()

    def take() -> Member:
        name, method, limit = next(members)
        member = container.member(name, method)
        member.require(limit)
        return member

    if findings.trusted.name != key_name(manifest.log):
        sentence = "The trusted key is of another log than the one that this bundle says it is of."
        findings.fault(BundleFaultKind.MANIFEST, MANIFEST, sentence)
    notes = (take().whole(file, MAX_NOTE_BYTES) for _ in range(manifest.key_changes))
    changes = check_key_changes(findings, notes)
    rosters = RosterCheck(findings, changes, manifest.log)
    for _ in range(manifest.rosters):
        rosters.add(take().whole(file, MAX_ROSTER_BYTES))
    rosters.finish()
    _check_manifest(findings, manifest)
    bulk: dict[str, Member] = {}
    for entry in manifest.shards:
        member = take()
        bulk[member.name] = member
        check_hashes(findings, entry, member, file)
    bulk |= {member.name: member for member in (take() for _ in range(2 if manifest.form.member else 1))}
    container.finish()
    RecordCheck(findings, manifest, file, bulk).check()


def _check_manifest(findings: Findings, manifest: Manifest) -> None:
    """Hold the manifest's shards against the newest roster; go no further when they differ."""
    if findings.newest is None:
        return
    signed = [(each.number, each.shard, each.size) for each in findings.newest.entries]
    stated = [(each.number, each.shard, each.size) for each in manifest.shards]
    if manifest.full:
        for each in manifest.shards:
            if each.records != each.size:
                sentence = f"The manifest leaves out records of shard {each.number}, and nothing was filtered."
                findings.fault(BundleFaultKind.MANIFEST, MANIFEST, sentence, shard=each.shard)
    if signed != stated and len(findings.rosters) // HASH == findings.newest.sequence:
        different = next((one for one, other in zip(signed, stated, strict=False) if one != other), None)
        number = different[0] if different else min(len(signed), len(stated)) + 1
        sentence = f"From shard {number} on, the manifest does not have the shards and sizes of the newest roster."
        findings.fault(BundleFaultKind.MANIFEST, MANIFEST, sentence, shard=different[1] if different else None)
        raise BundleInvalidError("the shards are not those of the newest roster", MANIFEST, 0)


def _compare_witness(findings: Findings, directory: Path) -> None:
    """Every note that the witness holds must be in the bundle, byte for byte.

    What the witness does not hold is no fault: it may have been unreachable. What it holds beyond the bundle's end is.
    """
    findings.witnessed = 0
    for path in sorted(directory.iterdir()):
        found = _WITNESSED.fullmatch(path.name)
        if found is None or path.is_symlink() or not path.is_file():
            continue
        number, roster = int(found[2]), found[1] == "roster"
        digests = findings.rosters if roster else findings.key_changes
        member = roster_member(number) if roster else key_member(number)
        what = f"{'Roster' if roster else 'Key change'} {number}"
        if number * HASH > len(digests):
            sentence = f"{what} of the witness is not in the bundle: its end was cut off, or it was made before."
            findings.fault(BundleFaultKind.CUT_OFF, member, sentence, sequence=number)
            continue
        with path.open("rb") as file:
            data = file.read(MAX_ROSTER_BYTES + 1)
        if number < 1 or sha256(data).digest() != digests[number * HASH - HASH : number * HASH]:
            sentence = f"{what} of the witness is another than the bundle's."
            findings.fault(BundleFaultKind.WITNESS, member, sentence, sequence=number)
        elif roster:
            findings.witnessed += 1
    if not findings.witnessed:
        sentence = "The witness directory holds no roster of this bundle, so it proves nothing."
        findings.fault(BundleFaultKind.WITNESS, str(roster_member(1)), sentence)
