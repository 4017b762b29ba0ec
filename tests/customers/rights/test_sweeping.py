"""What is kept for no purpose any longer goes, and nothing else: people, events, and the sealed parts of records."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from audit import Kind
from customers.errors import EraseNotAllowedError
from customers.rights.inactivity import PURPOSE, ROLE, InactivitySweep
from customers.rights.requests import Kind as Asked
from customers.rights.sweeping import RetentionSweep, SweepState
from policies.limits import load_limits
from tests.schema.world import OFFICER, SHIPPED, order, person, ticket, utc_now

LIMITS = {each.name: each for each in load_limits(None, SHIPPED)}
OLD = datetime(2019, 6, 1, tzinfo=UTC)


def sweep(world, now=utc_now):
    people = InactivitySweep(world.main, world.store, world.eraser, now=now)
    return RetentionSweep(world.main, world.store, people, world.vault, world.log, now=now)


def nothing(_done, _of):
    pass


async def run(world, name, progress=nothing):
    return await sweep(world).run(world.access(ROLE, PURPOSE), LIMITS[name], progress=progress)


async def customers(world, count, **given):
    """Customers with an old ticket and order and new ones of each."""
    recent = utc_now() - timedelta(days=30)
    drafts = [
        world.draft(
            person(number),
            tickets=(ticket(1, opened_at=OLD, closed_at=OLD), ticket(2, opened_at=recent, closed_at=recent)),
            orders=(order(1, placed_at=OLD), order(2, placed_at=recent)),
            **given,
        )
        for number in range(count)
    ]
    return await world.create(*drafts)


@pytest.mark.parametrize(
    ("limit", "collection", "group", "stays"),
    [("correspondence", "tickets", "content", None), ("payment_details", "orders", "financial", "address")],
)
async def test_the_sealed_parts_that_a_limit_names_go_from_old_records_and_from_no_other(
    world, limit, collection, group, stays
):
    ids = await customers(world, 3)
    before = await world.main[collection].find({}).to_list(None)
    told = []
    done = await run(world, limit, lambda *each: told.append(each))
    assert (done.removed, done.state, done.looked_at) == (3, SweepState.DONE, 3)
    assert told == [(3, 3)]
    after = {each["_id"]: each for each in await world.main[collection].find({}).to_list(None)}
    assert len(after) == len(before) == 6
    moment = LIMITS[limit].moment
    for each in before:
        left = after[each["_id"]]["sealed"]
        old = each[moment].replace(tzinfo=UTC) == OLD
        assert set(each["sealed"]) - set(left) == (set(LIMITS[limit].groups) if old else set())
        assert group in each["sealed"]
        assert stays is None or stays in left
    (record,) = await world.records(kind=Kind.WRITE, purpose=PURPOSE)
    assert {path for each in record.decisions for path in each.fields} == {each.path for each in LIMITS[limit].fields}
    assert set(record.subjects) == {await world.reference(each) for each in ids}
    again = await run(world, limit)
    assert again.removed == 0
    answer = await world.told("query ($id: ID!) { profile(id: $id) { email } }", *OFFICER, {"id": ids[0]})
    assert answer["profile"]["email"], "everything else can be read"


async def test_old_events_go_and_the_profile_counts_those_that_are_left(world):
    (one,) = await world.create(world.draft(person(1)))
    recent = utc_now() - timedelta(days=3)
    events = [{"_id": f"e{at}", "customer_id": one, "at": OLD if at < 150 else recent} for at in range(160)]
    await world.main["events"].insert_many(events)
    done = await run(world, "activity")
    assert done.removed == 150
    left = await world.main["events"].find({}).to_list(None)
    assert {each["_id"] for each in left} == {f"e{at}" for at in range(150, 160)}
    assert [each["_id"] for each in await world.main["event_recounts"].find({}).to_list(None)] == [one]
    await world.main["events"].delete_many({})
    await world.main["event_recounts"].delete_many({})


async def test_nothing_of_who_restricted_processing_or_is_under_legal_hold_is_removed(world):
    (restricted,) = await customers(world, 1, restricted=True)
    (held,) = await world.create(world.draft(person(7), tickets=(ticket(1, opened_at=OLD, closed_at=OLD),)))
    (free,) = await world.create(world.draft(person(8), tickets=(ticket(1, opened_at=OLD, closed_at=OLD),)))
    officer = world.access(*OFFICER)
    async with world.vault.reading():
        request = await world.services.requests.open(officer, Asked.ACCESS, held, source="letter")
        await world.services.requests.hold(officer, request.id, held=True)
    assert (await run(world, "correspondence")).removed == 1
    left = {
        each["customer_id"]
        for each in await world.main["tickets"].find({}).to_list(None)
        if "content" in each["sealed"]
    }
    assert left == {restricted, held}
    assert free not in left


@pytest.mark.parametrize("held", [True, False], ids=["held", "the control"])
async def test_a_legal_hold_on_one_profile_of_a_person_holds_all_that_was_merged_with_it(world, held):
    asked, survivor, third = await world.create(
        *(world.draft(person(each), tickets=(ticket(1, opened_at=OLD, closed_at=OLD),)) for each in (7, 8, 9))
    )
    officer = world.access(*OFFICER)
    async with world.vault.reading():
        request = await world.services.requests.open(officer, Asked.ACCESS, asked, source="letter")
        if held:
            await world.services.requests.hold(officer, request.id, held=True)
    merge = "mutation ($s: ID!, $a: ID!) { mergeProfiles(survivor: $s, absorbed: $a) { profile { id } } }"
    for part in (asked, third):
        await world.told(merge, "data_steward", "identity_resolution", {"s": survivor, "a": part})
    await run(world, "correspondence")
    left = {
        each["customer_id"]
        for each in await world.main["tickets"].find({}).to_list(None)
        if "content" in each["sealed"]
    }
    assert left == ({asked, survivor, third} if held else set())


async def test_people_of_whom_nothing_was_heard_are_erased_as_anybody_is(world):
    gone = await world.create(*(world.draft({"city": "Bremen"}) for _ in range(3)))
    await world.main["profiles"].update_many({}, {"$set": {"created_at": OLD, "updated_at": OLD}})
    stays = await customers(world, 1)
    told = []
    done = await run(world, "people", lambda *each: told.append(each))
    assert (done.removed, done.of) == (3, 3)
    assert told[0] == (3, 3)
    assert {each["_id"] for each in await world.main["profiles"].find({}).to_list(None)} == set(stays)
    states = await world.keys["data_keys"].find({"_id": {"$in": gone}}).to_list(None)
    assert {each["state"] for each in states} == {"erased"}


async def test_those_who_stay_do_not_keep_a_sweep_from_reaching_those_after_them(world, monkeypatch):
    monkeypatch.setattr("customers.rights.sweeping._AT_ONCE", 2)
    ids = await world.create(*(world.draft({"city": "Bremen"}) for _ in range(6)))
    officer = world.access(*OFFICER)
    async with world.vault.reading():
        for each in ids[:3]:
            request = await world.services.requests.open(officer, Asked.ACCESS, each, source="letter")
            await world.services.requests.hold(officer, request.id, held=True)
    await world.main["profiles"].update_many({}, {"$set": {"created_at": OLD, "updated_at": OLD}})
    assert (await run(world, "people")).removed == 3
    assert {each["_id"] for each in await world.main["profiles"].find({}).to_list(None)} == set(ids[:3])


async def test_who_may_not_erase_sweeps_nothing(world):
    await customers(world, 1)
    with pytest.raises(EraseNotAllowedError):
        await sweep(world).run(world.access("administrator", PURPOSE), LIMITS["correspondence"], progress=nothing)
    assert await sweep(world).last() == {}
    assert (await run(world, "correspondence")).removed == 1, "the control"


async def test_a_sweep_that_died_goes_on_where_it_was_and_one_that_lives_is_left_alone(world, monkeypatch):
    await customers(world, 4)
    monkeypatch.setattr("customers.rights.sweeping._PAGE", 2)
    append, count = world.log.append, 0

    async def dying(record):
        nonlocal count
        count += 1
        if count == 2:
            raise ConnectionError
        return await append(record)

    sweeping = sweep(world)
    monkeypatch.setattr(world.log, "append", dying)
    with pytest.raises(ConnectionError):
        await sweeping.run(world.access(ROLE, PURPOSE), LIMITS["correspondence"], progress=nothing)
    monkeypatch.setattr(world.log, "append", append)
    stopped = (await sweeping.last())["correspondence"]
    assert (stopped.state, stopped.removed, stopped.looked_at) == (SweepState.RUNNING, 2, 2)
    assert await sweeping.is_due(LIMITS["correspondence"], timedelta(hours=1))
    assert await run(world, "correspondence") is None, "another may be at it, until its lease is over"
    later = sweep(world, lambda: utc_now() + timedelta(minutes=6))
    told = []
    done = await later.run(
        world.access(ROLE, PURPOSE), LIMITS["correspondence"], progress=lambda *each: told.append(each)
    )
    assert (done.removed, done.state, told) == (4, SweepState.DONE, [(4, 4)])
    assert not await later.is_due(LIMITS["correspondence"], timedelta(hours=1))


async def test_two_sweeps_at_once_are_one(world):
    await customers(world, 2)
    done = await asyncio.gather(*(run(world, "correspondence") for _ in range(3)))
    assert [each.removed for each in done if each is not None] == [2]
