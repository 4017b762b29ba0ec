"""A log in memory with its signed notes, and bundles of it whose members can be changed one by one."""

import io
import itertools
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from audit import Decision, Deviation, Kind, Outcome, Reason, Record, Verdict, derived, encode_record, timestamp
from audit.bundle import (
    END,
    MANIFEST,
    RECORDS,
    BundleForm,
    Filter,
    Manifest,
    ShardCount,
    asked_for,
    hashes_member,
    key_member,
    line_start,
    roster_member,
)
from audit.checkpoint import KeyChange, Roster, RosterEntry, key_name
from audit.container import ContainerWriter, Packer
from audit.note import Note
from audit.query import AccessQuery
from audit.signing import SigningKey
from audit.tree import Edge, leaf_hash

LOG = "main"
START = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)


def signing_key(number, log=LOG):
    return SigningKey.from_seed(key_name(log), bytes([number]) * 32)


def record(number):
    """Reads by several agents, now and then something else, each a second after the one before."""
    return Record(
        actor=f"agent-{number % 5}",
        roles=("support_agent",) if number % 3 else ("auditor", "support_agent"),
        client="console" if number % 2 else None,
        case=f"T-{number % 7}",
        purpose="customer_service",
        kind=(Kind.READ, Kind.READ, Kind.SEARCH, Kind.WRITE, Kind.EXPORT, Kind.ADMIN)[number % 6],
        outcome=Outcome.ALLOWED if number % 9 else Outcome.REFUSED,
        policy="p1",
        decisions=(
            Decision(decision=Verdict.CLEAR, fields=("profile.given_name", "profile.email"), rule=3),
            Decision(decision=Verdict.MASKED, fields=("profile.phone",), reason=Reason.POLICY),
        ),
        exceptions=()
        if number % 4
        else (Deviation(fields=("profile.email",), reason=Reason.CONSENT, subjects=(1,)),),
        filters=("profile.region",) if number % 6 == 2 else (),
        subjects=(f"{number % 11:022d}", f"-{number % 13:021d}"),
        trace=f"{number:032x}" if number % 2 else None,
        time=timestamp(START + timedelta(seconds=number)),
    )


@dataclass
class Log:
    """Shards that grow, and what was signed of them."""

    keys: list[SigningKey] = field(default_factory=lambda: [signing_key(1)])
    shards: dict[str, list[bytes]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    rosters: list[bytes] = field(default_factory=list)
    changes: list[bytes] = field(default_factory=list)
    newest: Roster | None = None
    numbers: itertools.count = field(default_factory=itertools.count)

    @property
    def trusted(self):
        return str(self.keys[0].verifier)

    def grow(self, shard, count):
        self.shards.setdefault(shard, []).extend(encode_record(record(next(self.numbers))) for _ in range(count))

    def sign(self):
        entries = tuple(
            RosterEntry(number, shard, len(records), tree(records), closed=shard in self.closed)
            for number, (shard, records) in enumerate(self.shards.items(), 1)
        )
        time = timestamp(START + timedelta(minutes=len(self.rosters)))
        previous = self.newest.digest() if self.newest else None
        self.newest = Roster(LOG, len(self.rosters) + 1, time, previous, entries)
        self.rosters.append(signed(self.newest.text(), self.keys[-1]))

    def rotate(self):
        new = signing_key(len(self.keys) + 1)
        time = timestamp(START + timedelta(minutes=len(self.rosters)))
        change = KeyChange(LOG, time, self.keys[-1].verifier, new.verifier, self.newest.digest())
        self.changes.append(signed(change.text(), self.keys[-1], new))
        self.keys.append(new)

    def bundle(self, query=None, form=BundleForm.JSONL):
        """The bundle's members by name, in order."""
        query = query or AccessQuery()
        members = {key_member(n): note for n, note in enumerate(self.changes, 1)}
        members |= {roster_member(n): note for n, note in enumerate(self.rosters, 1)}
        lines, other, counts = [], [derived.heading(form)], []
        for entry in self.newest.entries:
            records = self.shards[entry.shard][: entry.size]
            members[hashes_member(entry.number, entry.shard)] = b"".join(map(leaf_hash, records))
            found = [
                (index, data)
                for index, data in enumerate(records)
                if asked_for(query, msgspec.json.decode(data, type=Record))
            ]
            lines += [line_start(entry.shard, index) + data + END for index, data in found]
            if form.member:
                other += [
                    derived.line(form, LOG, f"{entry.shard}.{index}", msgspec.json.decode(data))
                    for index, data in found
                ]
            counts.append(ShardCount(number=entry.number, records=len(found), shard=entry.shard, size=entry.size))
        members[RECORDS] = b"".join(lines)
        if form.member:
            members[form.member] = b"".join(other)
        manifest = Manifest(
            created=timestamp(START + timedelta(days=1)),
            filter=Filter.of(query),
            form=form,
            key_changes=len(self.changes),
            log=LOG,
            rosters=len(self.rosters),
            shards=tuple(counts),
        )
        return {MANIFEST: manifest.to_bytes()} | members


def make_log(rotations=1):
    """Three shards, six rosters, one closed shard, the key changed after the third roster."""
    log = Log()
    one, two, three = "a1" * 6, "b2" * 6, "0c" * 6
    log.grow(one, 5)
    log.sign()
    log.grow(one, 12)
    log.grow(two, 1)
    log.sign()
    log.closed.add(one)
    log.grow(two, 8)
    log.sign()
    for _ in range(rotations):
        log.rotate()
    log.grow(two, 23)
    log.shards[three] = []
    log.sign()
    log.grow(three, 7)
    log.sign()
    log.grow(three, 9)
    log.sign()
    return log


def tree(records):
    return Edge().extend(map(leaf_hash, records)).root()


def signed(text, *keys):
    return Note(text).signed(*(key.sign(text) for key in keys)).to_bytes()


def pack(members):
    """The file that these members make."""
    out = io.BytesIO()
    with ContainerWriter(out) as writer:
        for name, data in members.items():
            if not name.startswith("records."):
                writer.store(name, data)
                continue
            packed = io.BytesIO()
            packer = Packer(packed)
            packer.write(data)
            header = packer.finish()
            packed.seek(0)
            writer.copy(name, packed, header)
        writer.finish()
    return out.getvalue()


def unpack(data):
    """A file's members, as any ZIP library reads them."""
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def restate(members, **parts):
    """The members with their manifest changed, and its check made to fit."""
    manifest = msgspec.json.decode(members[MANIFEST], type=Manifest)
    return members | {MANIFEST: msgspec.structs.replace(manifest, **parts).to_bytes()}


def lines(members):
    return members[RECORDS].splitlines(keepends=True)


def relisted(members, changed):
    return members | {RECORDS: b"".join(changed)}


def write_witness(log, directory):
    """A witness directory with all of the log's notes."""
    directory.mkdir()
    for sequence, note in enumerate(log.rosters, 1):
        (directory / f"roster-{sequence:012d}.note").write_bytes(note)
    for number, note in enumerate(log.changes, 1):
        (directory / f"key-{number:012d}.note").write_bytes(note)
    return directory
