"""An export is a bundle that verifies, of what was asked for and signed, in constant memory."""

import asyncio
import csv
import io
import re
import tracemalloc
from datetime import timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit import (
    AccessQuery,
    AccessReader,
    AuditCorruptError,
    Decision,
    Deviation,
    Erasure,
    Kind,
    Outcome,
    Reason,
    Record,
    Verdict,
    csv_form,
    encode_record,
    ocsf,
)
from audit.batch import build_batch
from audit.bundle import MANIFEST, RECORDS, BundleForm, Manifest
from audit.errors import NothingSignedError
from audit.export import ExportProgress, export_bundle
from audit.roster_store import StoredChange, StoredRoster
from audit.tree import Edge
from audit.verify import verify_bundle
from tests.audit.bundles import LOG, START, Log, make_log, record, unpack


class MemoryLog:
    """A reader and the stored notes of a log in memory."""

    def __init__(self, log, batch=20):
        self.log = log
        self.step = batch

    async def batches(self, shard, size):
        records, edge = self.log.shards[shard], Edge()
        while edge.size < size:
            some = records[edge.size : edge.size + self.step]
            batch = build_batch(shard, edge, [(msgspec.json.decode(each, type=Record), each) for each in some])
            edge = batch.edge
            yield batch

    async def each(self):
        changes = iter(enumerate(self.log.changes, 1))
        for sequence, note in enumerate(self.log.rosters, 1):
            change = next(changes) if sequence == 3 and self.log.changes else None
            yield StoredRoster(sequence, note, change and StoredChange(*change))


def now():
    return START + timedelta(days=1)


async def export(source, **options):
    out = io.BytesIO()
    manifest = await export_bundle(source, source, out, now=now, **options)
    return manifest, out.getvalue()


@pytest.mark.parametrize("form", BundleForm)
@pytest.mark.parametrize("query", [None, AccessQuery(), AccessQuery(actor="agent-2"), AccessQuery(case="none")])
async def test_an_export_is_the_bundle_of_the_log(form, query):
    log = make_log()
    manifest, data = await export(MemoryLog(log), query=query, form=form)
    members = unpack(data)
    assert members == log.bundle(query, form)
    assert Manifest.parse(members[MANIFEST]) == msgspec.structs.replace(
        manifest, check=Manifest.parse(members[MANIFEST]).check
    )


async def test_what_was_appended_after_the_newest_roster_is_not_in_it():
    log = make_log()
    before = (await export(MemoryLog(log)))[1]
    log.grow("b2" * 6, 50)
    log.shards["ee" * 6] = [encode_record(record(1))]
    assert (await export(MemoryLog(log)))[1] == before


async def test_without_a_roster_there_is_nothing_to_export():
    log = Log()
    log.grow("ab" * 6, 3)
    with pytest.raises(NothingSignedError):
        await export(MemoryLog(log))


async def test_progress_tells_how_far_it_is():
    seen = []
    await export(MemoryLog(make_log()), query=AccessQuery(actor="agent-2"), progress=seen.append)
    assert seen[-1] == ExportProgress(65, 65, 13)
    assert [each.read for each in seen] == sorted(each.read for each in seen)


async def test_a_signed_log_over_a_real_database_is_exported_and_verified(signed, tmp_path):
    checkpointer = await signed.start()
    await checkpointer.adopt_witness()
    first = await signed.open()
    await asyncio.gather(*(first.append(record(number)) for number in range(300)))
    await checkpointer.checkpoint()
    await checkpointer.rotate_key()
    second = await signed.open()
    await asyncio.gather(*(second.append(record(number)) for number in range(300, 400)))
    await checkpointer.checkpoint()
    await first.append(record(500))
    reader, path = AccessReader.over(signed.database, now=now), tmp_path / "bundle.zip"
    for query, count, form in ((None, 400, BundleForm.JSONL), (AccessQuery(actor="agent-1"), 80, BundleForm.OCSF)):
        with path.open("wb") as out:
            await export_bundle(reader, signed.rosters(), out, now=now, query=query, form=form, directory=tmp_path)
        for key in (signed.public, (await checkpointer._state()).chain.tip):
            found = verify_bundle(path, str(key), witness=signed.witness_path)
            assert found, found.faults
            assert (found.records, found.leaves, found.witnessed) == (count, 400, 3)
    await first.close()
    await checkpointer.checkpoint()
    with path.open("wb") as out:
        await export_bundle(reader, signed.rosters(), out, now=now, form=BundleForm.CSV)
    assert verify_bundle(path, str(signed.public), witness=signed.witness_path).records == 401
    assert not list(tmp_path.glob("tmp*"))


async def test_a_log_that_is_not_whole_is_not_exported(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    for _ in range(5):
        await asyncio.gather(*(log.append(record(number)) for number in range(3)))
    await checkpointer.checkpoint()
    reader, batches = AccessReader.over(signed.database, now=now), signed.database.batches
    documents = await batches.find({"shard": log.shard}).sort("first", 1).to_list(None)
    middle = documents[2]
    await batches.delete_one({"_id": middle["_id"]})
    with pytest.raises(AuditCorruptError, match=middle["_id"]):
        await export_bundle(reader, signed.rosters(), io.BytesIO(), now=now)
    forged = [*middle["records"][:-1], encode_record(record(99))]
    await batches.insert_one(middle | {"records": forged})
    with pytest.raises(AuditCorruptError, match=middle["_id"]):
        await export_bundle(reader, signed.rosters(), io.BytesIO(), now=now)


class Discarded(io.RawIOBase):
    """Takes everything, keeps nothing, and cannot seek."""

    size = 0

    def write(self, data):
        self.size += len(data)
        return len(data)


async def peak_of(count, form):
    log = Log()
    log.grow("ab" * 6, count)
    log.sign()
    source = MemoryLog(log, 256)
    tracemalloc.start()
    await export_bundle(source, source, Discarded(), now=now, form=form)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("form", [BundleForm.JSONL, BundleForm.OCSF])
async def test_memory_does_not_grow_with_the_log(form):
    small, large = await peak_of(2000, form), await peak_of(6000, form)
    assert large < small + 1024 * 1024
    assert large < 12 * 1024 * 1024


async def test_a_failed_export_leaves_no_files(tmp_path):
    class Full(Discarded):
        def write(self, _data):
            raise OSError(28, "No space left on device")

    source = MemoryLog(make_log())
    with pytest.raises(OSError, match="space"):
        await export_bundle(source, source, Full(), now=now, directory=tmp_path)
    assert not list(tmp_path.iterdir())


# The table

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"  # some spreadsheets take full-width signs for the same


def runs(text):
    return text.strip("\t\r\n \xa0").startswith(tuple(SIGNS))


@given(st.text(st.sampled_from("=+-@;,|\t\r\n\"' a1é\uff1d'\x0b\x85\u2028"), max_size=12))
@example("=1+1;=2")
@example('"=1')
def test_no_cell_can_be_run_whatever_separates_it(text):
    cell = csv_form.cell(text)
    for separator in ",;|\t :":
        seen = re.split(f"[{separator}\r\n]", cell)
        # What comes first in a cell, after quotes and white space, is never a sign: an apostrophe is before it.
        assert not any(runs(each.lstrip('"')) for each in seen), (separator, seen)


@given(st.lists(st.text(st.sampled_from("=+-@;,\t\n\"' a1é\uff1d"), max_size=12), min_size=1, max_size=6))
@example(["=1", '"', "-", "x" * 9000])
def test_a_row_is_its_cells(texts):
    assert csv_form._row(texts) == f"{','.join(map(csv_form.cell, texts))}\r\n"


def test_the_check_sees_what_would_be_run():
    assert runs("=1")
    assert runs('"=1'.lstrip('"'))
    assert not runs(csv_form.cell("=1").lstrip('"'))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("agent-1", '"agent-1"'),
        ("anna@example.org", '"anna@example.org"'),
        ("2026-05-14T09:30:00.000000Z", '"2026-05-14T09:30:00.000000Z"'),
        ("A--_-b", '"A--_-b"'),
        ("=1+1", '"\'=1+1"'),
        ("-x", '"\'-x"'),
        ("a;@b", '"a;\'@b"'),
        ("\t=1", '"␉\'=1"'),
        ("\r\n=1", '"␍␊\'=1"'),
        ('say "hi"', '"say ""hi"""'),
        ("x" * 16_001, f'"{"x" * 16_000}…"'),
    ],
)
def test_a_cell_reads_as_it_should(text, cell):
    assert csv_form.cell(text) == cell


def test_a_table_is_read_by_any_reader_of_csv():
    log = make_log()
    text = log.bundle(form=BundleForm.CSV)["records.csv"].decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == 65
    assert tuple(rows[0]) == csv_form.COLUMNS
    assert rows[0]["clear"] == "profile.given_name profile.email"
    assert rows[0]["roles"] == "auditor support_agent"
    assert msgspec.json.decode(rows[0]["exceptions"])[0]["reason"] == "CONSENT"
    assert rows[1]["exceptions"] == ""
    assert rows[1]["subjects"] == f"{1:022d} '-{1:021d}"


# The events

REQUIRED = {
    "activity_id": int, "actor": dict, "category_uid": int, "class_uid": int, "metadata": dict, "severity_id": int,
    "src_endpoint": dict, "time": int, "type_uid": int,
}  # fmt: skip
ACTIVITIES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99}
KNOWN = set(REQUIRED) | {
    "activity_name",
    "category_name",
    "class_name",
    "database",
    "status_detail",
    "status_id",
    "unmapped",
}


def faults_of(event):
    """What OCSF 1.3.0 requires of an event of class 6005, and this one does not have."""
    faults = [name for name, kind in REQUIRED.items() if type(event.get(name)) is not kind]
    if faults:
        return faults
    checks = {
        "class_uid": event["class_uid"] == 6005 and event["category_uid"] == 6,
        "activity_id": event["activity_id"] in ACTIVITIES,
        "activity_name": event["activity_id"] != 99 or bool(event.get("activity_name")),
        "type_uid": event["type_uid"] == 600500 + event["activity_id"],
        "severity_id": event["severity_id"] in {0, 1, 2, 3, 4, 5, 6, 99},
        "status_id": event["status_id"] in {0, 1, 2, 99},
        "metadata": event["metadata"]["version"] == "1.3.0" and event["metadata"]["product"]["vendor_name"] != "",
        "actor": bool({"user", "process", "session", "invoked_by", "app_name", "app_uid"} & event["actor"].keys()),
        "user": bool({"account", "name", "uid"} & event["actor"]["user"].keys()),
        "groups": all(group["name"] for group in event["actor"]["user"]["groups"]),
        "src_endpoint": bool(event["src_endpoint"]["name"]),
        "a store": bool({"database", "databucket", "table"} & event.keys()),
        "database": event["database"]["type_id"] in {0, 1, 2, 3, 4, 5, 6, 99} and bool(event["database"]["name"]),
        "attributes": event.keys() <= KNOWN,
        "nulls": None not in event.values() and None not in event["metadata"].values(),
    }
    return [name for name, held in checks.items() if not held]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("client", [None, "console"])
def test_every_record_is_an_event_with_all_that_the_schema_requires(kind, client):
    made = Record(
        actor="agent-1",
        client=client,
        kind=kind,
        outcome=Outcome.REFUSED,
        policy="p1",
        roles=("auditor",),
        decisions=(Decision(decision=Verdict.MASKED, fields=("profile.email",), reason=Reason.POLICY),),
        exceptions=(Deviation(fields=("profile.email",), reason=Reason.CONSENT, subjects=(0,)),),
        subjects=("A" * 22,),
        erasure=Erasure(fingerprint="f", leaf=3) if kind is Kind.ERASURE_DONE else None,
        time="2026-05-14T09:30:00.123456Z",
        trace="ab" * 16,
    )
    event = msgspec.json.decode(ocsf.line(LOG, "abababababab.7", msgspec.json.decode(encode_record(made))))
    assert faults_of(event) == []
    assert event["time"] == 1778751000123
    assert event["metadata"]["uid"] == "abababababab.7"
    assert event["metadata"]["correlation_uid"] == "ab" * 16
    assert event["unmapped"]["decisions"][0]["fields"] == ["profile.email"]


def test_activities_are_those_of_the_class():
    assert ocsf.ACTIVITIES.keys() == set(Kind)
    assert {kind: ocsf.ACTIVITIES[kind][0] for kind in ("read", "search", "write", "erasure_done", "export")} == {
        "read": 1, "search": 4, "write": 5, "erasure_done": 7, "export": 99,
    }  # fmt: skip


@pytest.mark.parametrize("name", [*REQUIRED, "database"])
def test_an_event_without_one_of_them_would_be_found(name):
    event = msgspec.json.decode(ocsf.line(LOG, "abababababab.7", msgspec.json.decode(encode_record(record(1)))))
    assert faults_of(event) == []
    del event[name]
    with_fault = (
        faults_of(event) if name != "database" else ["a store"] * (not {"databucket", "table"} & event.keys())
    )
    assert with_fault


def test_each_line_of_events_stands_for_a_line_of_records():
    members = make_log().bundle(form=BundleForm.OCSF)
    events = [msgspec.json.decode(line) for line in members["records.ocsf.jsonl"].splitlines()]
    entries = [msgspec.json.decode(line)["entry"] for line in members[RECORDS].splitlines()]
    assert [event["metadata"]["uid"] for event in events] == entries
