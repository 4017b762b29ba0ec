"""Whether an export is what the log signed. Reads files only, no database, and recomputes every hash from the bytes.

What is checked, and what each fault means, is in docs/audit-verification.md; the format in
docs/formats/audit-bundle.md. A second verifier that shares no code with this one is scripts/verify_audit_bundle.py.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from audit.bundle import HASH, MANIFEST, MAX_MANIFEST_BYTES, Manifest
from audit.checkpoint import MAX_ROSTER_BYTES, key_name
from audit.container import STORED, ContainerReader, Member
from audit.errors import BundleInvalidError
from audit.note import MAX_NOTE_BYTES, VerifierKey
from audit.record import timestamp
from audit.verdict import BundleFault, BundleFaultKind, Findings, TooManyFaults, Verification
from audit.verify_records import RecordCheck, check_hashes
from audit.verify_rosters import RosterCheck, check_key_changes
from audit.verify_witness import WitnessCheck


def verify_bundle(
    path: Path,
    key: str,
    *,
    witness: Path | None = None,
    as_of: datetime | None = None,
    filtered: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """The verdict on the bundle at `path`; nothing in the bundle makes this raise.

    Who expects every record looks at `full` too, or at `exit_code`: the manifest is not signed, so whoever holds a full
    bundle can make it a filtered one and leave out records, and each that is left is proved.

    Args:
        path: The bundle.
        key: The verifier key that the caller trusts (`name+id+base64`): any that the log signed with.
        witness: A witness directory to compare with.
        as_of: When the bundle was made, with a time zone, as the caller knows from elsewhere. The witness may then
            have rosters that were signed later, if they follow from the bundle's last.
        filtered: Whether a filtered bundle is what the caller asked for; the `exit_code` is not 0 otherwise.
        progress: Told how many bytes of how many of the records have been checked.

    Raises:
        VerifierKeyInvalidError: `key` is not a verifier key, so nothing can be verified.
        RecordInvalidError: `as_of` has no time zone.
    """
    until = None if as_of is None else timestamp(as_of)
    findings = Findings(VerifierKey.parse(key), progress or (lambda _done, _size: None), filtered)
    finished = False
    try:
        with path.open("rb") as file:
            rosters = _check(findings, file)
        if witness is not None:
            WitnessCheck(findings, rosters, until).compare(witness)
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


def _check(findings: Findings, file: BinaryIO) -> RosterCheck:
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
    return rosters


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
