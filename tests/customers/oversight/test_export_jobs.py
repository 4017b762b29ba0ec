"""Exports of the access log belong to who asked, are recorded before they begin, and leave nothing half done."""

import asyncio
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from audit import AccessQuery, AuditUnavailableError, BundleForm, Kind, Outcome, Verdict, verify_bundle
from customers.errors import ExportNotAllowedError, ExportsBusyError, InputInvalidError, PurposeNotAllowedError
from customers.oversight.asking import access_of
from customers.oversight.export_files import ExportFiles, Job
from tests.customers.oversight.exporting import (
    ALL,
    SHIPPED,
    Stage,
    Wanted,
    access,
    ended,
    office_over,
    reached,
)
from tests.schema.world import new_databases


@pytest.fixture
async def office(mongo_client, tmp_path):
    async with new_databases(mongo_client) as (_main, _keys, audit), office_over(audit, tmp_path) as made:
        yield made


@pytest.mark.parametrize("form", BundleForm)
async def test_an_export_is_a_bundle_that_verifies_and_proves_its_own_record(office, form):
    await office.append(30)
    exports = await office.exports()
    job = await exports.start(access(case="AUD-7"), replace(ALL, form=form))
    assert (job.stage, job.actor, job.form) == (Stage.WAITING, "hugo.audit", form)
    done = await ended(exports, job)
    assert (done.stage, done.read, done.of, done.found, done.message) == (Stage.DONE, 31, 31, 31, None)
    bundle = await exports.download(access(), job.id)
    assert bundle.path.stat().st_size == bundle.size == done.size
    found = verify_bundle(bundle.path, office.public)
    assert found, found.faults
    assert (found.records, found.leaves) == (31, 31)
    assert bundle.name.startswith("confide-access-log-2")
    began, fetched = await office.exported()
    assert (began.actor, began.purpose, began.case, began.outcome) == (
        "hugo.audit",
        "audit",
        "AUD-7",
        Outcome.ALLOWED,
    )
    assert began.decisions == fetched.decisions
    fields = {field.path for field in SHIPPED.catalogue.object("access_entry")}
    assert {path for each in began.decisions for path in each.fields} == fields
    assert {each.decision for each in began.decisions} == {Verdict.CLEAR}
    assert all(each.rule for each in began.decisions)


async def test_what_is_filtered_by_is_in_the_records_and_the_customer_only_as_a_reference(office):
    await office.append(10)
    await office.append(3, subjects=("A" * 22,))
    exports = await office.exports()
    wanted = Wanted(
        query=AccessQuery(subject="A" * 22),
        form=BundleForm.CSV,
        filters=("access_entry.subjects",),
        conditions={"customer": "cus_secret", "actor": "agent-1"},
        subject=bytes(16),
    )
    job = await exports.start(access(), wanted)
    # The export's own record is about the customer too.
    assert (await ended(exports, job)).found == 4
    assert job.conditions == {"customer": "", "actor": "agent-1"}
    assert b"cus_secret" not in b"".join(each.read_bytes() for each in office.folder.iterdir())
    await exports.download(access(), job.id)
    for each in await office.exported():
        assert (each.filters, each.subjects) == (("access_entry.subjects",), ("A" * 22,))


async def test_files_are_readable_to_their_owner_alone(office):
    exports = await office.exports()
    office.gate.way.clear()
    job = await exports.start(access(), ALL)
    await reached(exports, job, Stage.RUNNING)
    assert stat.S_IMODE(office.folder.stat().st_mode) == 0o700
    assert office.files() == ["json", "part"]
    office.gate.way.set()
    await ended(exports, job)
    assert office.files() == ["json", "zip"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in office.folder.iterdir()} == {0o600}


# Who may


@pytest.mark.parametrize(
    ("role", "purpose"),
    [
        ("support_agent", "customer_service"),
        ("administrator", "audit"),
        ("auditor", "customer_service"),
        ("privacy_officer", "privacy_request"),  # may export entries, but not who of the staff it was
        ("customer", "self_service"),  # theirs alone
    ],
)
async def test_who_may_not_take_every_field_along_is_refused_at_every_step(office, role, purpose):
    exports = await office.exports()
    job = await exports.start(access(), ALL)
    await ended(exports, job)
    before = len(await office.exported())

    def refused():
        # The same actor: whoever loses the role loses the exports.
        return access(role=role, purpose=purpose, customer="cus_1" if role == "customer" else None)

    for attempt in (exports.start, exports.state, exports.download, exports.cancel):
        who = refused()
        with pytest.raises(ExportNotAllowedError):
            await attempt(who, ALL if attempt == exports.start else job.id)
        record = who.disclosure.record(office.now(), Outcome.REFUSED)
        assert (record.kind, record.outcome) == (Kind.EXPORT, Outcome.REFUSED)
        assert Verdict.WITHHELD in {each.decision for each in record.decisions}
    assert len(await office.exported()) == before
    assert len(office.files()) == 2
    assert await exports.download(access(), job.id)  # control


def test_a_purpose_that_the_caller_may_not_state_and_a_case_that_is_a_sentence_are_refused():
    caller = replace(access().caller, purposes=frozenset({"marketing"}))
    with pytest.raises(PurposeNotAllowedError):
        access_of(SHIPPED, caller, "audit")
    with pytest.raises(InputInvalidError):
        access(case="because Ada asked")
    assert access(case=" AUD-7 ").disclosure.request.case == "AUD-7"  # control


async def test_somebody_elses_export_is_answered_like_one_that_never_was(office):
    exports = await office.exports()
    job = await exports.start(access(), ALL)
    await ended(exports, job)
    other = "otto.audit"
    for each in (job.id, "0" * 32, "../audit.keys", "..", "", job.id.upper(), f"{job.id}.json"):
        assert await exports.state(access(other), each) is None
        assert await exports.download(access(other), each) is None
        assert await exports.cancel(access(other), each) is False
    assert await exports.download(access(), job.id)  # control, and nothing was cancelled


# Recorded first


class Broken:
    """A log that cannot confirm."""

    async def append(self, _record):
        raise AuditUnavailableError("it was not confirmed")


async def test_an_export_that_cannot_be_recorded_leaves_no_file(office):
    exports = await office.exports(log=Broken())
    with pytest.raises(AuditUnavailableError):
        await exports.start(access(), ALL)
    assert office.files() == []


async def test_a_download_that_cannot_be_recorded_is_not_given(office):
    exports = await office.exports()
    job = await exports.start(access(), ALL)
    await ended(exports, job)
    broken = await office.exports(log=Broken())
    assert (await broken.state(access(), job.id)).stage is Stage.DONE
    with pytest.raises(AuditUnavailableError):
        await broken.download(access(), job.id)


async def test_the_record_is_durable_before_the_first_byte_is_written(office):
    exports = await office.exports()

    class Watching:
        async def append(self, record):
            entry = await office.log.append(record)
            seen.append((office.files(), (await office.log.get(entry)).record.kind))
            return entry

    seen = []
    exports._log = Watching()
    await exports.start(access(), ALL)
    assert seen == [([], Kind.EXPORT)]
    assert office.files() != []


# How many


async def test_so_many_are_made_at_a_time_and_the_others_wait(office):
    exports = await office.exports(running=2)
    office.gate.way.clear()
    jobs = [await exports.start(access(f"actor-{number}"), ALL) for number in range(4)]
    stages = []
    for _ in range(200):
        stages = [(await exports.state(access(f"actor-{number}"), job.id)).stage for number, job in enumerate(jobs)]
        if stages.count(Stage.RUNNING) == 2:
            break
        await asyncio.sleep(0.01)
    assert stages == [Stage.RUNNING, Stage.RUNNING, Stage.WAITING, Stage.WAITING]
    office.gate.way.set()
    for number, job in enumerate(jobs):
        assert (await ended(exports, job, who=lambda number=number: access(f"actor-{number}"))).stage is Stage.DONE


async def test_a_finished_export_makes_room_for_a_new_one_and_an_unfinished_one_does_not(office):
    exports = await office.exports(kept=2)
    first, second = [await exports.start(access(), ALL) for _ in range(2)]
    other = await exports.start(access("otto.audit"), ALL)
    for job in (first, second):
        await ended(exports, job)
    office.gate.way.clear()
    third = await exports.start(access(), ALL)
    assert await exports.state(access(), first.id) is None
    assert await exports.download(access(), second.id)
    fourth = await exports.start(access(), ALL)
    count = len(await office.exported())
    with pytest.raises(ExportsBusyError, match="2 exports"):
        await exports.start(access(), ALL)
    assert len(await office.exported()) == count
    office.gate.way.set()
    for job in (third, fourth):
        assert (await ended(exports, job)).stage is Stage.DONE
    assert await ended(exports, other, who=lambda: access("otto.audit"))


# How it ends


@pytest.mark.parametrize("stage", [Stage.WAITING, Stage.RUNNING, Stage.DONE])
async def test_a_cancelled_export_leaves_nothing(office, stage):
    exports = await office.exports(running=1)
    office.gate.way.clear()
    blocking = await exports.start(access("otto.audit"), ALL)
    if stage is not Stage.WAITING:
        await exports.cancel(access("otto.audit"), blocking.id)
    job = await exports.start(access(), ALL)
    if stage is Stage.DONE:
        office.gate.way.set()
    await reached(exports, job, stage)
    assert await exports.cancel(access(), job.id) is True
    assert await exports.state(access(), job.id) is None
    assert not [each for each in office.folder.iterdir() if each.name.startswith(job.id)]
    office.gate.way.set()
    assert (await ended(exports, await exports.start(access(), ALL))).stage is Stage.DONE


async def test_an_export_is_gone_after_its_time_whoever_is_there_to_remove_it(office):
    exports = await office.exports(lifetime=timedelta(hours=1))
    job = await exports.start(access(), ALL)
    done = await ended(exports, job)
    office.later = timedelta(minutes=59)
    assert await exports.download(access(), job.id)
    office.later = timedelta(minutes=61)
    assert done.until < office.now().isoformat()
    assert len(office.files()) == 2  # control
    await office.exports()  # another process starts
    assert office.files() == []
    assert await exports.state(access(), job.id) is None
    assert await exports.download(access(), job.id) is None


async def test_an_export_that_is_out_of_date_is_not_given_before_it_is_removed(office):
    exports = await office.exports(lifetime=timedelta(hours=1))
    job = await exports.start(access(), ALL)
    await ended(exports, job)
    office.later = timedelta(hours=2)
    assert await exports.download(access(), job.id) is None
    assert office.files() == []


async def test_a_stopping_server_leaves_a_failed_export_and_no_bundle(office):
    exports = await office.exports(running=1)
    office.gate.way.clear()
    jobs = [await exports.start(access(), ALL) for _ in range(2)]
    await reached(exports, jobs[0], Stage.RUNNING)
    await exports.close()
    assert office.files() == ["json", "json"]
    other = await office.exports()
    for job in jobs:
        found = await other.state(access(), job.id)
        assert (found.stage, found.message.split(".")[0]) == (
            Stage.FAILED,
            "The server was stopped before the export was finished",
        )


async def test_a_log_that_cannot_be_signed_or_read_fails_the_export_and_is_told(office, monkeypatch):
    exports = await office.exports()

    async def fails():
        raise AuditUnavailableError("the audit database failed: AutoReconnect")

    monkeypatch.setattr(office.checkpointer, "checkpoint", fails)
    found = await ended(exports, await exports.start(access(), ALL))
    assert (found.stage, found.message) == (Stage.FAILED, "The audit database failed: AutoReconnect.")

    async def breaks():
        raise RuntimeError("ada@example.org")

    monkeypatch.setattr(office.checkpointer, "checkpoint", breaks)
    found = await ended(exports, await exports.start(access(), ALL))
    assert (found.stage, found.message) == (
        Stage.FAILED,
        "Something went wrong on the server. Its own log says more.",
    )
    assert [type(each) for each in office.failures] == [AuditUnavailableError, RuntimeError]
    assert office.files() == ["json", "json"]


async def test_an_export_leaves_room_on_the_disk_for_what_matters_more(office):
    exports = await office.exports(reserve_bytes=1 << 62)
    found = await ended(exports, await exports.start(access(), ALL))
    assert (found.stage, "no room" in found.message) == (Stage.FAILED, True)
    assert office.files() == ["json"]


# Several processes


async def test_another_process_sees_an_export_may_fetch_it_and_may_end_it(office):
    one, two = await office.exports(), await office.exports()
    office.gate.way.clear()
    job = await one.start(access(), ALL)
    await reached(one, job, Stage.RUNNING)
    await reached(two, job, Stage.RUNNING)
    office.gate.way.set()
    assert (await ended(two, job)).stage is Stage.DONE
    bundle = await two.download(access(), job.id)
    assert verify_bundle(bundle.path, office.public)
    office.gate.way.clear()
    again = await one.start(access(), ALL)
    await reached(two, again, Stage.RUNNING)
    assert await two.cancel(access(), again.id)
    office.gate.way.set()
    assert await ended(one, again, seconds=5) is None
    assert office.files() == ["json", "zip"]


_MAKER = """
import sys, time
from pathlib import Path
from audit import BundleForm
from customers.oversight.export_files import ExportFiles, Job, Stage
files = ExportFiles(Path(sys.argv[1]))
job = Job(id="ab" * 16, actor="hugo.audit", form=BundleForm.CSV, stage=Stage.RUNNING,
          created="2026-01-01T00:00:00.000000Z", until="9999-01-01T00:00:00.000000Z")
with files.begin(job) as making:
    making.write(b"half of it")
    if sys.argv[2] == "whole":
        making.finish()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("how_far", ["half", "whole"])
async def test_a_killed_process_leaves_no_file_that_can_be_fetched(office, how_far):
    exports, mark = await office.exports(), "ab" * 16
    maker = subprocess.Popen(  # noqa: ASYNC220 - ends with this test
        [sys.executable, "-c", _MAKER, str(office.folder), how_far], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    with maker:
        assert maker.stdout.readline() == b"ready\n"
        assert (await exports.state(access(), mark)).stage is Stage.RUNNING  # control: its maker lives
        assert await exports.download(access(), mark) is None
        await exports.sweep()
        assert len(office.files()) == 2
        maker.kill()
    assert await exports.download(access(), mark) is None
    assert (await exports.state(access(), mark)).stage is Stage.FAILED
    assert office.files() == ["json"]


async def test_what_belongs_to_no_export_is_removed_once_it_is_old(office):
    exports, lost = await office.exports(), "cd" * 16
    for kind in ("part", "zip", "new"):
        (office.folder / f"{lost}.{kind}").write_bytes(b"half")
    (office.folder / "notes.txt").write_bytes(b"somebody's")
    await exports.sweep()
    assert len(office.files()) == 4  # it may be an export that is just being begun
    office.later = timedelta(minutes=2)
    await exports.sweep()
    assert office.files() == ["txt"]


async def test_what_is_stored_and_is_no_export_of_ours_is_none(office):
    exports = await office.exports()
    job = await exports.start(access(), ALL)
    await ended(exports, job)
    path = office.folder / f"{job.id}.json"
    good = path.read_bytes()
    for bad in (b"", b"{", good.replace(b'"v":1', b'"v":2'), good.replace(job.id.encode(), b"0" * 32), b"\xff" * 9):
        path.write_bytes(bad)
        assert await exports.state(access(), job.id) is None
        assert await exports.download(access(), job.id) is None
    path.write_bytes(good)
    bundle = await exports.download(access(), job.id)  # control
    bundle.path.write_bytes(b"PK")
    assert await exports.download(access(), job.id) is None
    path.unlink()
    path.symlink_to(office.directory / "audit.keys")
    assert await exports.state(access(), job.id) is None


def test_the_last_of_two_notes_about_an_export_counts_and_none_is_ever_half(tmp_path):
    files = ExportFiles(tmp_path)
    job = Job(id="ab" * 16, actor="a", form=BundleForm.CSV, created="2026", until="2027")
    files.write(job)
    (tmp_path / f"{job.id}.new").write_bytes(b"half of a note, by a process that was killed")
    assert files.read(job.id) == job
    files.write(job)
    assert files.read(job.id) == job
