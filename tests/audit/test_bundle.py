"""A bundle has one form only; whatever else is in the file is refused in little time and memory."""

import gzip
import io
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import AccessQuery, Kind, Verdict
from audit.bundle import MANIFEST, RECORDS, BundleForm, Filter, Manifest
from audit.container import BLOCK, DEFLATED, MAX_RATIO, STORED, ContainerReader, ContainerWriter, Packed, Packer
from audit.errors import BundleInvalidError, BundleTooLargeError, RecordInvalidError
from audit.verdict import BundleFaultKind
from audit.verify import verify_bundle
from tests.audit.bundles import START, make_log, pack, restate, unpack

LOG = make_log()
MEMBERS = LOG.bundle()
FILE = pack(MEMBERS)


@pytest.fixture
def judge(tmp_path):
    """The verdict on a file with these bytes."""

    def verify(data):
        path = tmp_path / "bundle.zip"
        path.write_bytes(data)
        return verify_bundle(path, LOG.trusted)

    return verify


def unreadable(found):
    return found.exit_code == 2 and found.faults[0].kind is BundleFaultKind.UNREADABLE


def container(*members):
    """A container of these members: name, header, packed bytes."""
    out = io.BytesIO()
    with ContainerWriter(out) as writer:
        for name, header, data in members:
            writer.copy(name, io.BytesIO(data), header)
        writer.finish()
    return out.getvalue()


def packed(name, data):
    """A member for `container`, packed as this one is."""
    raw = deflate(data) if name == RECORDS else data
    return name, Packed(DEFLATED if name == RECORDS else STORED, zlib.crc32(data), len(data), len(raw)), raw


def before_records(*more):
    """The bundle's file up to its records, and what comes then."""
    out = io.BytesIO()
    with ContainerWriter(out) as writer:
        for name, data in MEMBERS.items():
            if name != RECORDS:
                writer.store(name, data)
    return b"".join((out.getvalue(), *more))


def deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("form", BundleForm)
def test_any_zip_library_reads_a_bundle(form):
    members = LOG.bundle(form=form)
    data = pack(members)
    assert unpack(data) == members
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        assert bundle.testzip() is None
        assert bundle.namelist()[0] == MANIFEST


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_what_is_packed_is_read_again(contents):
    members = {f"keys/{number:012d}.note": data for number, data in enumerate(contents, 1)}
    data = pack(members)
    assert unpack(data) == members
    file = io.BytesIO(data)
    reader = ContainerReader(file)
    for name, content in members.items():
        assert reader.member(name, STORED).whole(file, 300) == content
    reader.finish()


def test_every_byte_of_the_file_around_the_members_counts(judge):
    """All of the headers' and the directory's bits, one by one."""
    inside = set()
    file = io.BytesIO(FILE)
    reader = ContainerReader(file)
    for name in MEMBERS:
        member = reader.member(name, DEFLATED if name == RECORDS else STORED)
        inside.update(range(member.start, member.start + member.header.packed))
    around = [at for at in range(len(FILE)) if at not in inside]
    assert len(around) > 1000
    for at in around[::3]:
        data = bytearray(FILE)
        data[at] ^= 1 << at % 8
        assert unreadable(judge(bytes(data))), at


def test_a_file_that_ends_anywhere_else_is_no_bundle(judge):
    for size in [*range(0, len(FILE), 97), len(FILE) - 1]:
        assert judge(FILE[:size]).exit_code in (1, 2)
    assert not judge(FILE[:-1])


def foreign_files():
    members = [(name, data) for name, data in MEMBERS.items()]
    ordinary = io.BytesIO()
    with zipfile.ZipFile(ordinary, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in members:
            bundle.writestr(name, data)
    link = io.BytesIO()
    with zipfile.ZipFile(link, "w") as bundle:
        entry = zipfile.ZipInfo(MANIFEST)
        entry.external_attr = 0o120777 << 16
        bundle.writestr(entry, "/etc/passwd")
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(MANIFEST), io.BytesIO())
    return {
        "empty": b"",
        "text": b"not a bundle\n" * 10,
        "gzip": gzip.compress(FILE),
        "tar": tape.getvalue(),
        "an ordinary ZIP file of the same members": ordinary.getvalue(),
        "a ZIP file with a link": link.getvalue(),
        "something before": b"#!/bin/sh\n" + FILE,
        "something after": FILE + b"\n",
        "a comment": FILE[:-2] + struct.pack("<H", 5) + b"hello",
        "twice": FILE + FILE,
        "no members": container(),
    }


@pytest.mark.parametrize("name", foreign_files())
def test_another_file_is_no_bundle(judge, name):
    assert unreadable(judge(foreign_files()[name]))


def test_what_cannot_be_opened_is_unreadable(tmp_path):
    assert unreadable(verify_bundle(tmp_path / "none.zip", LOG.trusted))
    assert unreadable(verify_bundle(tmp_path, LOG.trusted))


@pytest.mark.parametrize(
    "name", ["../manifest.json", "/manifest.json", "manifest.json/", "MANIFEST.JSON", "C:manifest.json"]
)
def test_no_other_name_is_looked_at(judge, name):
    assert unreadable(judge(pack({name if each == MANIFEST else each: data for each, data in MEMBERS.items()})))


def test_a_member_twice_is_refused(judge):
    members = [(name, data) for name, data in MEMBERS.items()]
    for at in range(len(members)):
        twice = [*members[: at + 1], *members[at:]]
        assert not judge(container(*(packed(name, data) for name, data in twice)))


def bomb(blocks):
    """So many blocks of nothing, packed; each is the same once more, and packed once only."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * blocks + packer.flush()


BOMB = bomb(400)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (Packed(DEFLATED, 0, 400 * BLOCK, len(BOMB)), BOMB),  # says what it is
        (Packed(DEFLATED, 0, 1000, len(BOMB)), BOMB),  # says it is small
        (Packed(DEFLATED, 0, MAX_RATIO * len(BOMB), len(BOMB)), BOMB),  # says as much as it may
        (Packed(DEFLATED, 0, 2**63, 2**62), BOMB),
        (Packed(DEFLATED, 0, 2**64 - 1, len(BOMB)), BOMB),
        (Packed(DEFLATED, 0, 10, 2**64 - 1), BOMB),
    ],
)
def test_a_bomb_costs_neither_memory_nor_time(judge, header, data):
    file = before_records(header.local_header(RECORDS.encode()), data)
    started = time.process_time()
    tracemalloc.start()
    found = judge(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.exit_code == 2
    assert peak < 8 * BLOCK
    assert time.process_time() - started < 5


def test_a_bomb_in_a_whole_container_costs_little(judge):
    """Headers, directory and ratio are right; what comes out of it are no records."""
    content = b"".join(bytes(12_000) + sha256(b"%d" % number).digest() * 2 + b"\n" for number in range(3000))
    bomb = packed(RECORDS, content)
    assert BLOCK < len(content) <= BLOCK + MAX_RATIO * bomb[1].packed
    members = [packed(name, data) for name, data in MEMBERS.items() if name != RECORDS]
    tracemalloc.start()
    found = judge(container(*members, bomb))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.exit_code in (1, 2)
    assert peak < 32 * BLOCK


def test_the_writer_never_packs_more_than_the_reader_takes():
    for content in (bytes(5 * BLOCK), b"a" * (BLOCK + 1), bytes(range(256)) * 20_000, b""):
        out = io.BytesIO()
        packer = Packer(out)
        packer.write(content)
        header = packer.finish()
        file = io.BytesIO(container((RECORDS, header, out.getvalue())))
        assert ContainerReader(file).member(RECORDS, DEFLATED).whole(file, len(content)) == content


def test_a_member_is_not_larger_than_it_can_be():
    file = io.BytesIO(pack({"keys/000000000001.note": b"x" * 100}))
    member = ContainerReader(file).member("keys/000000000001.note", STORED)
    with pytest.raises(BundleTooLargeError) as error:
        member.whole(file, 99)
    assert error.value.member == "keys/000000000001.note"


def test_bytes_behind_the_end_of_what_is_packed_are_refused():
    raw = deflate(b"hello") + b"hidden"
    file = io.BytesIO(container((RECORDS, Packed(DEFLATED, zlib.crc32(b"hello"), 5, len(raw)), raw)))
    with pytest.raises(BundleInvalidError):
        ContainerReader(file).member(RECORDS, DEFLATED).whole(file, 100)


def absurd_manifests():
    plain = msgspec.json.decode(MEMBERS[MANIFEST])
    shards = plain["shards"]
    for name, change in {
        "a huge size": {"shards": [shards[0] | {"size": 10**12, "records": 10**12}, *shards[1:]]},
        "beyond every size": {"shards": [shards[0] | {"size": 10**30}, *shards[1:]]},
        "negative": {"shards": [shards[0] | {"size": -1, "records": -1}, *shards[1:]]},
        "more records than leaves": {"shards": [shards[0] | {"records": 10**6}, *shards[1:]]},
        "no rosters": {"rosters": 0},
        "endless rosters": {"rosters": 10**9},
        "many rosters": {"rosters": 10**7},
        "endless key changes": {"key_changes": 10**9},
        "a gap": {"shards": [shards[0], *shards[2:]]},
        "a shard twice": {"shards": [shards[0], shards[0] | {"number": 2}, *shards[2:]]},
        "a shard's name": {"shards": [shards[0] | {"shard": "../../../etc"}, *shards[1:]]},
        "another version": {"version": "confide.audit.bundle/v2"},
        "another form": {"form": "pdf"},
        "something more": {"note": "all is well"},
        "another time": {"created": "yesterday"},
        "a log's name": {"log": "a\nb"},
        "a float": {"rosters": 6.0},
        "a true": {"key_changes": True},
        "an unknown kind": {"filter": plain["filter"] | {"kind": "nothing"}},
        "an unknown filter": {"filter": plain["filter"] | {"mood": "good"}},
    }.items():
        bare = plain | change | {"check": ""}
        checked = bare | {"check": sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()}
        yield name, msgspec.json.encode(checked, order="sorted")


@pytest.mark.parametrize(("name", "data"), [*absurd_manifests()])
def test_a_manifest_that_no_export_writes_is_refused(judge, name, data):
    started = time.process_time()
    found = judge(pack(MEMBERS | {MANIFEST: data}))
    assert found.exit_code in (1, 2)
    assert found.faults[0].member in (MANIFEST, "rosters/000000000007.note")
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "change", [lambda data: data + b"\n", lambda data: b" " + data, lambda data: data.replace(b'"log"', b'"log" ')]
)
def test_a_manifest_has_one_spelling(change):
    assert Manifest.parse(MEMBERS[MANIFEST]).to_bytes() == MEMBERS[MANIFEST]
    with pytest.raises(BundleInvalidError):
        Manifest.parse(change(MEMBERS[MANIFEST]))


def test_a_changed_manifest_is_found_even_where_nothing_else_would_tell():
    members = restate(MEMBERS, created="2020-01-01T00:00:00.000000Z")
    assert Manifest.parse(members[MANIFEST]).created.startswith("2020")
    forged = MEMBERS[MANIFEST].replace(b'"created":"2026', b'"created":"2020')
    assert forged != MEMBERS[MANIFEST]
    with pytest.raises(BundleInvalidError):
        Manifest.parse(forged)


def test_a_filter_is_the_query_again():
    query = AccessQuery(
        actor="a", kind=Kind.READ, decision=Verdict.CLEAR, field="profile.email", since=START, until=START
    )
    assert Filter.of(query).query() == query
    assert Filter.of(AccessQuery()) == Filter()
    with pytest.raises(RecordInvalidError):  # a manifest has no word for it
        Filter.of(AccessQuery(subject="a", parts=("b",)))


def test_the_negative_control_is_whole(judge):
    assert judge(FILE)
