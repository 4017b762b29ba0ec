"""Random tamperings with a bundle, each with what a verifier must say of where it is."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from audit import AccessQuery, encode_record
from audit.bundle import MANIFEST, RECORDS, BundleForm, Manifest, hashes_member, line_start, roster_member
from audit.checkpoint import Roster, RosterEntry
from audit.note import parse_note
from audit.tree import leaf_hash
from audit.verdict import BundleFaultKind, Verification
from tests.audit.bundles import (
    Log,
    lines,
    make_log,
    pack,
    record,
    relisted,
    restate,
    signed,
    signing_key,
    tree,
    unpack,
)


@dataclass(frozen=True)
class Tampering:
    name: str
    data: bytes
    located: Callable[[Verification], bool]
    needs_witness: bool = False
    harmless: bool = False
    """Every member is as it was: a bit of the packed form that means nothing."""


class Tamperer:
    """Tampers with one log's bundles, as a seeded `random.Random` picks."""

    def __init__(self, pick, log=None):
        self.pick = pick
        self.log = log or make_log()
        self.thief = signing_key(99)
        queries = (None, AccessQuery(actor="agent-1"))
        self.bundles = [self.log.bundle(query, form) for query in queries for form in BundleForm]
        self.files = [pack(members) for members in self.bundles]
        self.kinds = (
            self.flip, self.flip, self.flip, self.flip, self.drop_records, self.drop_records_and_say_so,
            self.repeat_record, self.swap_records, self.swap_bodies, self.swap_members, self.drop_member,
            self.rename_member, self.cut_member, self.replace_record, self.replace_record_and_hash,
            self.replace_record_hash_and_root, self.sign_again, self.fork, self.fork_signed, self.cut_off,
            self.reopen, self.file_flip, self.file_flip, self.file_cut, self.file_delete, self.file_insert,
        )  # fmt: skip

    def next(self):
        """A tampering that changes something."""
        while True:
            made = self.pick.choice(self.kinds)()
            if made is not None:
                return made

    def members(self, *, full=False):
        return dict(self.bundles[0] if full else self.pick.choice(self.bundles))

    def flip(self):
        members = self.members()
        part = self.pick.choice([*{each.split("/")[0]: None for each in members}])
        name = self.pick.choice([each for each, data in members.items() if data and each.startswith(part)])
        at = self.pick.randrange(len(members[name]))
        changed = bytearray(members[name])
        changed[at] ^= 1 << self.pick.randrange(8)
        before = members[name][:at].count(b"\n")
        line = lines(members)[before] if name == RECORDS else b""
        return self.made(
            f"flip in {name.split('/')[0]}", members | {name: bytes(changed)}, name, line, before + 1, at // 32
        )

    def made(self, what, members, name, line, number, leaf):
        """A tampering with one member: the fault must name it, and of records and leaf hashes the entry."""
        if name == RECORDS and line:
            return Tampering(what, pack(members), lambda found: at_line(found, number) or at_entry(found, line))
        if name.startswith("hashes/"):
            shard = name[-16:-4]
            return Tampering(what, pack(members), lambda found: at_leaf(found, shard, leaf))
        if name.startswith(("keys/", "rosters/")):
            number = int(name[-17:-5])
            return Tampering(
                what,
                pack(members),
                lambda found: found.faults[0].member == name and found.faults[0].sequence == number,
            )
        return Tampering(what, pack(members), lambda found: found.faults[0].member == name)

    def some_lines(self, members, least=1):
        found = lines(members)
        return (found, self.pick.randrange(len(found))) if len(found) >= least else (found, None)

    def drop_records(self):
        members = self.members()
        found, at = self.some_lines(members)
        count = self.pick.choice((1, 1, 2, 5))
        dropped = found[at : at + count]
        changed = relisted(members, found[:at] + found[at + count :])
        full = json.loads(members[MANIFEST])["filter"]["actor"] is None
        return Tampering(
            "drop records",
            pack(changed),
            (lambda found: at_entry(found, dropped[0]))
            if full
            else (lambda found: in_shard(found, RECORDS, entry_of(dropped[0])[0])),
        )

    def drop_records_and_say_so(self):
        """What no verifier can see in a filtered bundle is seen in a full one."""
        members = self.members(full=True)
        found, at = self.some_lines(members)
        shard, _ = entry_of(found[at])
        counts = Manifest.parse(members[MANIFEST]).shards
        counts = tuple(
            type(each)(
                number=each.number, records=each.records - (each.shard == shard), shard=each.shard, size=each.size
            )
            for each in counts
        )
        changed = restate(relisted(members, found[:at] + found[at + 1 :]), shards=counts)
        return Tampering(
            "drop a record and say so", pack(changed), lambda verdict: in_shard(verdict, MANIFEST, shard)
        )

    def repeat_record(self):
        members = self.members()
        found, at = self.some_lines(members)
        to = self.pick.randrange(at, len(found))
        changed = relisted(members, [*found[: to + 1], found[at], *found[to + 1 :]])
        return Tampering("repeat a record", pack(changed), lambda verdict: misplaced(verdict, to + 2))

    def swap_records(self):
        members = self.members()
        found, at = self.some_lines(members, 2)
        to = self.pick.randrange(len(found))
        if at == to:
            return None
        first = min(at, to)
        expected = found[first]
        found[at], found[to] = found[to], found[at]
        return Tampering(
            "swap records",
            pack(relisted(members, found)),
            lambda verdict: at_entry(verdict, expected) or misplaced(verdict, first + 2),
        )

    def swap_bodies(self):
        """The records of two entries change places under their ids."""
        members = self.members()
        found, at = self.some_lines(members, 2)
        to = self.pick.randrange(len(found))
        starts = [line_start(*entry_of(found[each])) for each in (at, to)]
        bodies = [found[each][len(start) :] for each, start in zip((at, to), starts, strict=True)]
        if bodies[0] == bodies[1]:
            return None
        expected = found[at]
        found[at], found[to] = starts[0] + bodies[1], starts[1] + bodies[0]
        return Tampering("swap bodies", pack(relisted(members, found)), lambda verdict: at_entry(verdict, expected))

    def swap_members(self):
        members = self.members()
        one, other = self.pick.sample([each for each in members if each != MANIFEST], 2)
        if members[one] == members[other]:
            return None
        names = (one, other)
        changed = members | {one: members[other], other: members[one]}
        return Tampering("swap members", pack(changed), lambda found: found.faults[0].member in names)

    def drop_member(self):
        members = self.members()
        names = list(members)
        name = self.pick.choice(names)
        del members[name]
        return Tampering("drop a member", pack(members), lambda found: found.faults[0].member == name)

    def rename_member(self):
        members = self.members()
        name = self.pick.choice(list(members))
        new = self.pick.choice(("../" + name, name.upper(), name + "x", "rosters/000000000099.note", "/" + name))
        changed = {new if each == name else each: data for each, data in members.items()}
        return Tampering("rename a member", pack(changed), lambda found: found.faults[0].member == name)

    def cut_member(self):
        members = self.members()
        name = self.pick.choice([each for each, data in members.items() if data])
        at = self.pick.randrange(len(members[name]))
        return Tampering(
            f"cut {name.split('/')[0]}",
            pack(members | {name: members[name][:at]}),
            lambda found: any(fault.member == name for fault in found.faults),
        )

    def replaced(self, members):
        found, at = self.some_lines(members)
        shard, index = entry_of(found[at])
        forged = encode_record(record(1000 + self.pick.randrange(1000)))
        found[at] = line_start(shard, index) + forged + b"}\n"
        return relisted(members, found), found[at], shard, index, leaf_hash(forged)

    def replace_record(self):
        changed, line, *_ = self.replaced(self.members())
        return Tampering("replace a record", pack(changed), lambda found: at_entry(found, line))

    def with_hash(self):
        changed, _, shard, index, leaf = self.replaced(self.members(full=True))
        name = next(each for each in changed if each.endswith(f"-{shard}.bin"))
        hashes = changed[name]
        return changed | {name: hashes[: 32 * index] + leaf + hashes[32 * index + 32 :]}, name, shard, index

    def replace_record_and_hash(self):
        changed, name, shard, index = self.with_hash()
        return Tampering(
            "replace a record and its hash",
            pack(changed),
            lambda found: in_shard(found, name, shard) and found.faults[0].index <= index,
        )

    def replace_record_hash_and_root(self):
        """As the one before, and the rosters from there on say so; nobody signed them."""
        changed, *_ = self.with_hash()
        sequence = self.pick.randrange(len(self.log.rosters)) + 1
        name = roster_member(sequence)
        text, tail = changed[name].decode().rsplit("\n\n", 1)
        line = self.pick.randrange(5, len(text.split("\n")))
        parts = text.split("\n")[line].split(" ")
        parts[3] = "A" * 43 + "="
        forged = "\n".join([*text.split("\n")[:line], " ".join(parts), *text.split("\n")[line + 1 :]])
        changed[name] = f"{forged}\n\n{tail}".encode()
        return Tampering("state another root", pack(changed), lambda found: at_roster(found, sequence))

    def sign_again(self):
        """Some rosters, or all, signed by another key of the same name."""
        members = self.members()
        first = self.pick.randrange(len(self.log.rosters)) + 1
        for sequence in range(first, len(self.log.rosters) + 1):
            name = roster_member(sequence)
            members[name] = signed(parse_note(members[name]).text, self.thief)
        return Tampering("sign again", pack(members), lambda found: at_roster(found, first))

    def forked(self, sequence):
        """The log as it would be if the last record before this roster had been another."""
        log = Log(keys=list(self.log.keys), closed=set(self.log.closed), changes=list(self.log.changes))
        log.shards = {shard: list(records) for shard, records in self.log.shards.items()}
        before, now = (self.sizes(sequence - 1), self.sizes(sequence))
        shard = next(each for each in now if now[each] > before.get(each, 0))
        log.shards[shard][before.get(shard, 0)] = encode_record(record(5000 + self.pick.randrange(99)))
        log.rosters, log.newest = list(self.log.rosters), self.log.newest
        return log, shard, before.get(shard, 0)

    def sizes(self, sequence):
        if not sequence:
            return {}
        roster = Roster.parse(parse_note(self.log.rosters[sequence - 1]).text)
        return {entry.shard: entry.size for entry in roster.entries}

    def fork(self):
        """Another tail, whole in itself, under the rosters that were signed."""
        sequence = self.pick.randrange(len(self.log.rosters)) + 1
        log, shard, index = self.forked(sequence)
        return Tampering(
            "fork",
            pack(log.bundle(form=self.pick.choice(list(BundleForm)))),
            lambda found: found.faults[0].shard == shard and found.faults[0].index <= index,
        )

    def fork_signed(self):
        """Another tail with rosters of its own, signed by who has none of the keys."""
        sequence = self.pick.randrange(len(self.log.rosters)) + 1
        log, _shard, _index = self.forked(sequence)
        rosters, previous = log.rosters[: sequence - 1], None
        if rosters:
            previous = Roster.parse(parse_note(rosters[-1]).text).digest()
        for old in log.rosters[sequence - 1 :]:
            roster = Roster.parse(parse_note(old).text)
            entries = tuple(
                RosterEntry(each.number, each.shard, each.size, self.root(log, each), each.closed)
                for each in roster.entries
            )
            roster = Roster(roster.log, roster.sequence, roster.time, previous, entries)
            previous = roster.digest()
            rosters.append(signed(roster.text(), self.thief))
        log.rosters = rosters
        return Tampering("fork, signed", pack(log.bundle()), lambda found: at_roster(found, sequence))

    @staticmethod
    def root(log, entry):
        return tree(log.shards[entry.shard][: entry.size])

    def cut_off(self):
        """A bundle of some time ago. Only who has a later roster can tell."""
        keep = self.pick.randrange(1, len(self.log.rosters))
        log = Log(keys=self.log.keys, shards=self.log.shards, closed=self.log.closed)
        log.rosters = self.log.rosters[:keep]
        log.newest = Roster.parse(parse_note(log.rosters[-1]).text)
        log.changes = self.log.changes if keep >= 3 else []
        return Tampering(
            "cut off",
            pack(log.bundle()),
            lambda found: any(
                fault.kind is BundleFaultKind.CUT_OFF and fault.sequence == keep + 1 for fault in found.faults
            ),
            needs_witness=True,
        )

    def reopen(self):
        """Leaf hashes and records behind the end of a shard."""
        members = self.members(full=True)
        manifest = Manifest.parse(members[MANIFEST])
        entry = self.pick.choice(manifest.shards)
        forged = encode_record(record(7000))
        name = hashes_member(entry.number, entry.shard)
        counts = tuple(
            type(each)(number=each.number, records=each.size + 1, shard=each.shard, size=each.size + 1)
            if each == entry
            else each
            for each in manifest.shards
        )
        line = line_start(entry.shard, entry.size) + forged + b"}\n"
        found = lines(members)
        after = sum(each.size for each in manifest.shards[: entry.number])
        changed = relisted(members, [*found[:after], line, *found[after:]]) | {
            name: members[name] + leaf_hash(forged)
        }
        return Tampering(
            "add a record",
            pack(restate(changed, shards=counts)),
            lambda verdict: in_shard(verdict, MANIFEST, entry.shard),
        )

    def file_flip(self):
        at = self.pick.randrange(len(self.files))
        data = bytearray(self.files[at])
        data[self.pick.randrange(len(data))] ^= 1 << self.pick.randrange(8)
        return self.file("file: flip", at, bytes(data))

    def file_cut(self):
        at = self.pick.randrange(len(self.files))
        data = self.files[at]
        return self.file("file: cut", at, data[: self.pick.randrange(len(data))])

    def file_delete(self):
        at = self.pick.randrange(len(self.files))
        data = self.files[at]
        first = self.pick.randrange(len(data))
        return self.file("file: delete", at, data[:first] + data[first + self.pick.choice((1, 2, 16, 200)) :])

    def file_insert(self):
        at = self.pick.randrange(len(self.files))
        data = self.files[at]
        first = self.pick.randrange(len(data) + 1)
        return self.file(
            "file: insert", at, data[:first] + self.pick.randbytes(self.pick.choice((1, 2, 46))) + data[first:]
        )

    def file(self, name, at, data):
        if data == self.files[at]:
            return None
        try:
            same = unpack(data) == self.bundles[at]
        except Exception:  # noqa: BLE001 - whatever the library says of what is no ZIP file
            same = False
        return Tampering(name, data, lambda found: bool(found.faults[0].member), harmless=same)


def entry_of(line):
    shard, index = json.loads(line)["entry"].split(".")
    return shard, int(index)


def at_entry(found, line):
    """Whether one of the faults names this line's entry."""
    shard, index = entry_of(line)
    return any(fault.member == RECORDS and (fault.shard, fault.index) == (shard, index) for fault in found.faults)


def at_leaf(found, shard, leaf):
    """Whether the faults give the leaf's shard, and a place not behind the leaf."""
    return any(fault.shard == shard and fault.index is not None and fault.index <= leaf for fault in found.faults)


def in_shard(found, member, shard):
    return any(fault.member == member and fault.shard == shard for fault in found.faults)


def at_roster(found, sequence):
    return found.faults[0].sequence == sequence and found.faults[0].member == roster_member(sequence)


def at_line(found, number):
    """Whether one of the faults names this line of the records."""
    return any(fault.member == RECORDS and fault.line == number for fault in found.faults)


def misplaced(found, line):
    """Whether the faults say from which line on the order is lost, or sooner."""
    return any(fault.kind is BundleFaultKind.RECORD_MISPLACED and fault.line <= line for fault in found.faults)
