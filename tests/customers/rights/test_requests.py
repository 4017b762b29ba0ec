"""Privacy requests: who may open, see and work on them, what they lead to, and what is left of them."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from audit import EntryId
from audit import Kind as RecordKind
from customers.errors import (
    InputInvalidError,
    ProfileConflictError,
    ProfileNotFoundError,
    ReadNotAllowedError,
    WriteNotAllowedError,
)
from customers.jobs import JobStore
from customers.rights.inactivity import PURPOSE, ROLE, InactivitySweep
from customers.rights.portability import Copies
from customers.rights.requests.errors import (
    RequestChangedError,
    RequestHeldError,
    RequestNotFoundError,
    RequestStateError,
    SecondPersonNeededError,
)
from customers.rights.requests.model import Denial, Extension, Kind, Regime, State, Verification, What
from customers.rights.requests.service import RequestService
from customers.rights.requests.steps import Steps
from customers.rights.requests.store import Queued, RequestStore
from tests.schema.world import CUSTOMER, OFFICER, SUPPORT
from vault import DataKey
from vault.keys import KeyStore
from vault.shred import Shredder

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
REASON = "I never want to hear of you again"


class Office:
    """The service over a world, at a time that the test says."""

    def __init__(self, world):
        self.world = world
        self.now = START
        self.store = RequestStore(world.main)
        self.jobs = JobStore(world.main, now=lambda: self.now)
        self.service = RequestService(
            self.store,
            world.store,
            world.vault,
            world.log,
            world.writer,
            world.eraser,
            self.jobs,
            lambda: world.policies,
            now=lambda: self.now,
            random=os.urandom,
        )

    def officer(self, actor="ana"):
        return self.world.access(*OFFICER, actor=actor)

    def person(self, customer_id):
        return self.world.access(*CUSTOMER, customer=customer_id)

    async def do(self, what, *args, by=None, **kwargs):
        async with self.world.vault.reading():
            return await getattr(self.service, what)(by or self.officer(), *args, **kwargs)

    async def open(self, kind, customer_id, **kwargs):
        by = kwargs.pop("by", None) or self.person(customer_id)
        return await self.do("open", kind, customer_id, source="portal", by=by, **kwargs)

    async def begun(self, kind, customer_id, **kwargs):
        request = await self.open(kind, customer_id, **kwargs)
        return await self.do("begin", request.id)

    async def complete(self, request, actor="ana"):
        return await self.service.complete(self.officer(actor), request.id)

    async def kept(self, request):
        return await self.world.main["privacy_requests"].find_one({"_id": request.id})


@pytest.fixture
async def office(world):
    return Office(world)


async def test_a_person_opens_a_request_and_sees_its_clock_and_what_they_said(office):
    mine, other = await office.world.one(1), await office.world.one(2)
    request = await office.open(Kind.ERASURE, mine, reason=REASON)
    assert (request.state, request.verification) == (State.CONFIRMED, Verification.SIGNED_IN)
    assert request.due_at == datetime(2026, 12, 23, 9, 0, tzinfo=UTC)
    [shown] = await office.do("list_of", mine, by=office.person(mine))
    assert (shown.request, shown.told[0].reason) == (request, REASON)
    assert await office.do("list_of", other, by=office.person(other)) == []


async def test_nobody_opens_sees_or_cancels_a_request_of_somebody_else(office):
    mine, other = await office.world.one(1), await office.world.one(2)
    request = await office.open(Kind.ERASURE, mine)
    for what, args in (
        ("open", (Kind.ERASURE, mine)),
        ("list_of", (mine,)),
    ):
        with pytest.raises(ProfileNotFoundError):
            await office.do(what, *args, by=office.person(other), **({"source": "x"} if what == "open" else {}))
    with pytest.raises(RequestNotFoundError):
        await office.do("cancel", request.id, by=office.person(other))
    with pytest.raises(RequestNotFoundError):
        await office.do("cancel", "req_none", by=office.person(other))
    assert (await office.do("cancel", request.id, by=office.person(mine))).state is State.CANCELLED


@pytest.mark.parametrize(
    ("what", "args", "refusal"),
    [
        ("queue", (Queued(), None, 10), ReadNotAllowedError),
        ("get", (), ReadNotAllowedError),
        ("confirm", (Verification.DOCUMENT,), WriteNotAllowedError),
        ("begin", (), WriteNotAllowedError),
        ("extend", (Extension.NUMBER,), WriteNotAllowedError),
        ("deny", (Denial.UNFOUNDED,), WriteNotAllowedError),
    ],
)
async def test_only_who_answers_for_privacy_works_on_requests(office, what, args, refusal):
    mine = await office.world.one(1)
    request = await office.open(Kind.ERASURE, mine)
    args = args if what == "queue" else (request.id, *args)
    for by in (office.person(mine), office.world.access(*SUPPORT), office.world.access("auditor", "audit")):
        with pytest.raises(refusal):
            await office.do(what, *args, by=by)
    with pytest.raises(WriteNotAllowedError):
        await office.service.complete(office.person(mine), request.id)
    if what != "confirm":  # which is done: they are signed in
        assert await office.do(what, *args)


async def test_what_was_said_and_who_an_agent_is_is_sealed(office):
    mine = await office.world.one(1)
    request = await office.open(Kind.ACCESS, mine, reason=REASON, agent="Permission Ltd", by=office.officer())
    kept = str(await office.kept(request))
    assert (request.agent, request.state) == (True, State.RECEIVED)
    assert REASON not in kept
    assert "Permission" not in kept
    [told] = (await office.do("get", request.id)).told
    assert (told.reason, told.agent) == (REASON, "Permission Ltd")
    assert "Permission" not in repr(told)
    confirmed = await office.do("confirm", request.id, Verification.AUTHORITY)
    assert confirmed.state is State.CONFIRMED


async def test_a_duplicate_is_joined_to_the_open_one_also_when_asked_for_at_once(office):
    mine = await office.world.one(1)
    made = await asyncio.gather(
        *(office.open(Kind.ERASURE, mine, reason=f"{each}") for each in range(2)), return_exceptions=True
    )
    ids = {each.id for each in made if not isinstance(each, RequestChangedError)}
    again = await office.open(Kind.ERASURE, mine, reason="again")
    assert ids == {again.id}
    assert again.steps[-1].what is What.JOINED
    assert "again" in {each.reason for each in (await office.do("get", again.id)).told}
    assert (await office.open(Kind.ACCESS, mine)).id != again.id
    await office.do("cancel", again.id)
    assert (await office.open(Kind.ERASURE, mine)).id != again.id


async def test_every_step_has_an_entry_in_the_log_that_says_who_and_when(office):
    mine = await office.world.one(1)
    request = await office.begun(Kind.RECTIFICATION, mine)
    await office.do("extend", request.id, Extension.COMPLEXITY)
    done = await office.complete(request)
    assert [each.what for each in done.steps] == [
        What.OPENED,
        What.CONFIRMED,
        What.BEGUN,
        What.EXTENDED,
        What.COMPLETED,
    ]
    reference = await office.world.reference(mine)
    for step in done.steps:
        record = (await office.world.log.get(EntryId.parse(step.entry))).record
        assert (record.kind, record.subjects, record.case) == (RecordKind.WRITE, (reference,), None)
    assert record.operation == "privacy_request.completed"
    assert record.actor == "ana"


async def test_the_records_of_an_erasure_name_the_request_and_not_the_person(office):
    request = await office.open(Kind.ERASURE, await office.world.one(1))
    record = (await office.world.log.get(EntryId.parse(request.steps[0].entry))).record
    assert (record.subjects, record.case) == ((), request.id)


async def test_an_erasure_takes_two_persons_and_leaves_the_proof_without_the_person(office):
    mine = await office.world.one(1)
    await office.open(Kind.ACCESS, mine, reason=REASON)
    request = await office.begun(Kind.ERASURE, mine, reason=REASON)
    assert (await office.complete(request)).agreed_by == "ana"
    with pytest.raises(SecondPersonNeededError):
        await office.complete(request)
    assert await office.world.main["profiles"].find_one({"_id": mine})
    done = await office.complete(request, "ben")
    assert (done.state, done.customer_id) == (State.COMPLETED, None)
    assert done.result == (await office.world.main["certificates"].find_one({}))["_id"]
    assert await office.world.main["profiles"].find_one({"_id": mine}) is None
    for kept in await office.world.main["privacy_requests"].find({}).to_list(None):
        assert mine not in str(kept)
        assert "sealed" not in kept
        assert kept["keep_until"].year == kept["closed_at"].year + 2
    asked = await office.world.main["privacy_requests"].find_one({"kind": "access"})
    assert asked["state"] == "cancelled"
    assert [each["entry"] for each in asked["steps"]] == [None] * 3


@pytest.mark.parametrize("into", [True, False])
async def test_nobody_is_erased_to_whom_one_person_alone_agreed_by_merging_them_in_between(office, into):
    world, (mine, other) = office.world, [await office.world.one(1), await office.world.one(2)]
    request = await office.begun(Kind.ERASURE, mine)
    assert (await office.complete(request)).agreed_by == "ana"
    pair = (mine, other) if into else (other, mine)
    async with world.vault.reading():
        await world.reviewer.merge(world.access("data_steward", "identity_resolution", actor="ben"), *pair)
    by_another_way = world.access(*OFFICER, actor="ben")
    with pytest.raises(SecondPersonNeededError):
        await office.service.erase(by_another_way, other)
    with pytest.raises(SecondPersonNeededError):
        await office.complete(request, "ben")
    assert {each["_id"] for each in await world.main["profiles"].find({}).to_list(None)} >= {mine, other}
    done = await office.complete(request)  # the control: now that two have agreed to both
    assert done.state is State.COMPLETED
    assert await world.main["profiles"].find({"_id": {"$in": [mine, other]}}).to_list(None) == []
    assert (await office.kept(request))["agreed_to"] is None


async def test_a_merge_in_the_moment_in_which_the_second_person_completes_has_nobody_erased(office, monkeypatch):
    world, (mine, other) = office.world, [await office.world.one(1), await office.world.one(2)]
    request = await office.begun(Kind.ERASURE, mine)
    assert (await office.complete(request)).agreed_by == "ana"
    record = Steps.record

    async def merged_meanwhile(steps, access, about, what, key):
        if what is What.COMPLETED:
            monkeypatch.undo()
            async with world.vault.reading():
                await world.reviewer.merge(world.access("data_steward", "identity_resolution"), mine, other)
        return await record(steps, access, about, what, key)

    monkeypatch.setattr(Steps, "record", merged_meanwhile)
    with pytest.raises(ProfileConflictError):
        await office.complete(request, "ben")
    assert len(await world.main["profiles"].find({"_id": {"$in": [mine, other]}}).to_list(None)) == 2
    async with world.vault.reading():
        assert {*map(type, (await world.vault.keys([mine, other])).values())} == {DataKey}
    assert (await office.complete(request, "ben")).agreed_by == "ben"
    assert (await office.complete(request)).state is State.COMPLETED  # the control


async def test_an_erasure_that_is_done_otherwise_ends_the_request(office):
    mine = await office.world.one(1)
    request = await office.open(Kind.ERASURE, mine)
    await office.world.erase(mine)
    kept = await office.kept(request)
    assert (kept["state"], kept["customer_id"]) == ("completed", None)
    with pytest.raises(RequestStateError):
        await office.complete(request)


async def test_under_legal_hold_nothing_is_erased(office):
    mine = await office.world.one(1)
    request = await office.begun(Kind.ERASURE, mine)
    await office.do("hold", request.id, held=True)
    with pytest.raises(RequestHeldError):
        await office.complete(request)
    await office.do("hold", request.id, held=False)
    assert (await office.complete(request)).agreed_by == "ana"


async def test_whoever_is_under_legal_hold_is_erased_by_nobody_and_by_no_way(office):
    mine, other = await office.world.one(1), await office.world.one(2)
    request = await office.open(Kind.ACCESS, mine, by=office.officer())
    await office.do("hold", request.id, held=True)
    with pytest.raises(RequestHeldError):
        await office.world.erase(mine)
    erasure = await office.begun(Kind.ERASURE, mine)
    await office.complete(erasure)
    with pytest.raises(RequestHeldError):
        await office.complete(erasure, "ben")
    old = {"created_at": datetime(2015, 1, 1, tzinfo=UTC), "updated_at": datetime(2015, 1, 1, tzinfo=UTC)}
    await office.world.main["profiles"].update_many({}, {"$set": old})
    sweep = InactivitySweep(office.world.main, office.world.store, office.world.eraser, now=lambda: START)
    access = office.world.access(ROLE, PURPOSE)
    assert await sweep.run(access, "P3Y", progress=lambda *_: None) == 1
    left = {each["_id"] for each in await office.world.main["profiles"].find({}).to_list(None)}
    assert (mine in left, other in left) == (True, False), "the control: who is not held goes"
    await office.do("hold", request.id, held=False)
    assert await sweep.run(access, "P3Y", progress=lambda *_: None) == 0, "they wait for an answer"
    assert (await office.complete(erasure, "ben")).state is State.COMPLETED


async def test_a_hold_that_is_said_while_an_erasure_begins_holds_it(office, monkeypatch):
    mine, other = await office.world.one(1), await office.world.one(2)
    request = await office.open(Kind.ACCESS, mine)
    append = office.world.log.append

    async def slow(record):
        entry = await append(record)
        if record.kind is RecordKind.ERASURE_INTENT and not (await office.kept(request))["hold"]:
            await office.do("hold", request.id, held=True, by=office.officer("bea"))
        return entry

    monkeypatch.setattr(office.world.log, "append", slow)
    with pytest.raises(RequestHeldError):
        await office.world.erase(mine)
    assert await office.world.main["profiles"].find_one({"_id": mine})
    await office.world.erase(other)
    assert await office.world.main["profiles"].find_one({"_id": other}) is None, "the control"


@pytest.mark.parametrize(
    ("before", "owner", "name", "said", "gone"),
    [
        (True, Shredder, "_begin", True, False),
        (False, Shredder, "_begin", False, False),
        (True, KeyStore, "fence", False, True),
    ],
    ids=["before it is written down that it begins", "after that", "after it has looked for holds"],
)
async def test_no_hold_that_was_acknowledged_is_passed_over(office, monkeypatch, before, owner, name, said, gone):
    mine = await office.world.one(1)
    request, work, answers = await office.open(Kind.ACCESS, mine), getattr(owner, name), []

    async def hold():
        try:
            answers.append((await office.do("hold", request.id, held=True)).hold)
        except RequestChangedError:
            answers.append(False)

    async def slow(self, *arguments):
        if before:
            await hold()
        answer = await work(self, *arguments)
        if not before:
            await hold()
        return answer

    monkeypatch.setattr(owner, name, slow)
    if gone:
        await office.world.erase(mine)
    else:
        with pytest.raises(RequestHeldError):
            await office.world.erase(mine)
    monkeypatch.undo()
    assert answers == [said], "a hold that was passed over was not acknowledged"
    assert (await office.world.main["profiles"].find_one({"_id": mine}) is None) is gone
    if not gone:
        assert await office.world.keys["erasures"].find_one({"_id": mine}) is None
        assert (await office.kept(request))["hold"]
        await office.do("hold", request.id, held=False)
        await office.world.erase(mine)
        assert await office.world.main["profiles"].find_one({"_id": mine}) is None


async def test_a_hold_that_comes_too_late_says_so(office, monkeypatch):
    mine, other = await office.world.one(1), await office.world.one(2)
    late, early = await office.open(Kind.ACCESS, mine), await office.open(Kind.ACCESS, other)
    save, begun = RequestStore.save, []

    async def slow(self, stored):
        begun.append(asyncio.create_task(office.world.erase(mine)))
        while (await office.world.keys["data_keys"].find_one({"_id": mine}))["state"] != "erasing":  # noqa: ASYNC110 - in a database
            await asyncio.sleep(0.01)
        return await save(self, stored)

    assert (await office.do("hold", early.id, held=True)).hold, "the control"
    monkeypatch.setattr(RequestStore, "save", slow)
    with pytest.raises(RequestChangedError):
        await office.do("hold", late.id, held=True)
    await asyncio.gather(*begun)


@pytest.mark.parametrize(
    ("kind", "extra", "felt"),
    [
        (Kind.RESTRICTION, {}, lambda rights: rights["restricted"]),
        (Kind.OBJECTION, {"purposes": ["sales"]}, lambda rights: rights["objected"] == ["sales"]),
        (Kind.OBJECTION, {}, lambda rights: {"sales", "analytics"} <= set(rights["objected"])),
        (Kind.OPT_OUT, {}, lambda rights: rights["objected"] == ["partner_advertising"]),
    ],
)
async def test_what_is_completed_is_felt(office, kind, extra, felt):
    mine = await office.world.one(1)
    request = await office.begun(kind, mine, **extra)
    before = (await office.world.main["profiles"].find_one({"_id": mine}))["rights"]
    assert not felt(before)
    done = await office.complete(request)
    assert done.state is State.COMPLETED
    assert felt((await office.world.main["profiles"].find_one({"_id": mine}))["rights"])


async def test_a_denial_names_its_law_and_who_lost_the_race_changes_nothing(office):
    mine = await office.world.one(1)
    request = await office.open(Kind.ERASURE, mine)
    denied = await office.do("deny", request.id, Denial.LEGAL_OBLIGATION)
    assert denied.law == "GDPR Art. 17(3)(b)"
    stored = await office.store.get(request.id)
    stale = replace(stored, request=replace(stored.request, version=1))
    with pytest.raises(RequestChangedError):
        await office.store.save(stale)


async def test_texts_that_are_too_long_and_purposes_that_are_unknown_are_refused(office):
    mine = await office.world.one(1)
    for extra in ({"reason": "x" * 2001}, {"agent": ""}, {"purposes": ["sales"]}):
        with pytest.raises(InputInvalidError):
            await office.open(Kind.ACCESS, mine, **extra)
    with pytest.raises(InputInvalidError):
        await office.open(Kind.OBJECTION, mine, purposes=["spying"])


async def test_the_queue_is_by_due_date_in_pages_and_reads_keys_once(office, monkeypatch):
    ids = [await office.world.one(number) for number in range(5)]
    made = []
    for number, customer_id in enumerate(reversed(ids)):
        office.now = START - timedelta(days=number, microseconds=1)  # more than the database keeps
        made.append(await office.open(Kind.ACCESS, customer_id, regime=Regime.CPRA))
    office.now = START
    await office.do("deny", made.pop().id, Denial.UNFOUNDED)
    keys, asked = office.world.vault.keys, []

    async def counting(wanted):
        asked.append(wanted)
        return await keys(wanted)

    monkeypatch.setattr(office.world.vault, "keys", counting)
    by, seen, after = office.officer(), [], None
    while True:
        page = await office.do("queue", Queued(), after, 3, by=by)
        seen += page.requests
        if (after := page.end) is None:
            break
    assert [each.id for each in seen] == [each.id for each in reversed(made)]
    assert len(asked) == 2
    assert len(by.disclosure.record(START).subjects) == 4
    due = await office.do("queue", Queued(due_before=made[1].due_at), None, 10)
    assert [each.id for each in due.requests] == [made[3].id, made[2].id]
    assert (await office.do("queue", Queued(kind=Kind.ERASURE), None, 10)).requests == ()
    assert len((await office.do("queue", Queued(state=State.DENIED), None, 10)).requests) == 1


async def test_reminders_wait_as_jobs_that_name_the_request_alone(office):
    mine = await office.world.one(1)
    request = await office.open(Kind.ACCESS, mine, by=office.officer(), regime=Regime.CPRA)
    jobs = await office.world.main["jobs"].find({}).to_list(None)
    assert {each["kind"] for each in jobs} == {"request_reminder"}
    assert len(jobs) == 3
    assert mine not in str(jobs)
    assert all(each["payload"] == {"request": request.id} for each in jobs)


async def test_the_proof_is_kept_two_years_and_then_goes(office):
    mine = await office.world.one(1)
    request = await office.open(Kind.ACCESS, mine)
    await office.do("deny", request.id, Denial.UNFOUNDED)
    still = await office.open(Kind.PORTABILITY, mine)
    office.now = datetime(2028, 11, 23, 8, 59, tzinfo=UTC)
    assert await office.service.prune() == 0
    office.now += timedelta(minutes=1)
    assert await office.service.prune() == 1
    assert await office.kept(request) is None
    assert await office.kept(still)


async def test_an_access_request_is_met_with_a_copy_of_the_data(office, tmp_path):
    world = office.world
    copies = Copies(
        tmp_path, world.services.gateway, None, world.consents, world.log, world.vault, world.policies.catalogue,
        now=lambda: START, random=os.urandom,
    )  # fmt: skip
    office.service._exporting = copies
    mine = await world.one(1)
    done = await office.complete(await office.begun(Kind.ACCESS, mine))
    assert (done.state, done.result) == (State.COMPLETED, next(tmp_path.iterdir()).name)
    async with world.vault.reading():
        assert b"".join(await copies.parts(office.person(mine), mine, done.result))[:2] == b"PK"


async def test_an_objection_that_is_joined_is_about_what_both_are_about(office):
    mine = await office.world.one(1)
    for purposes, joined in (
        (["sales"], ("sales",)),
        (["analytics"], ("analytics", "sales")),
        ([], ()),
        (["sales"], ()),
    ):
        request = await office.open(Kind.OBJECTION, mine, purposes=purposes)
        assert (await office.do("get", request.id)).purposes == joined
