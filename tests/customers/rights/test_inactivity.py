"""Who was not heard of for the period is erased, in groups; nobody else is, and nobody by who may not."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from audit import Kind
from customers.errors import EraseNotAllowedError
from customers.rights.inactivity import PURPOSE, ROLE, InactivitySweep
from customers.rights.requests import Kind as Asked
from tests.schema.world import CUSTOMER, OFFICER, order, person, ticket

OLD = datetime(2015, 1, 1, tzinfo=UTC)
PERIOD = "P3Y"


def sweep(world, now=lambda: datetime.now(UTC)):
    return InactivitySweep(world.main, world.store, world.eraser, now=now)


async def silent(world, count, **given):
    """Customers of whom nothing was heard since 2015."""
    ids = await world.create(*(world.draft({"city": "Bremen"}, **given) for _ in range(count)))
    await world.main["profiles"].update_many({"_id": {"$in": ids}}, {"$set": {"created_at": OLD, "updated_at": OLD}})
    return ids


async def there(world):
    return {each["_id"] for each in await world.main["profiles"].find({}, {"_id": 1}).to_list(None)}


async def test_who_was_not_heard_of_is_erased_with_progress_and_nobody_else(world):
    gone = await silent(world, 30)
    stays = set(await world.create(world.draft(person(1)), world.draft(person(2), orders=(order(1),))))
    (restricted,) = await silent(world, 1, restricted=True)
    for name in ("last_order_at", "last_event_at"):
        (heard,) = await silent(world, 1)
        recent = {name: datetime.now(UTC) - timedelta(days=900)}
        await world.main["profiles"].update_one({"_id": heard}, {"$set": recent})
        stays.add(heard)
    stays.add(restricted)
    due = await sweep(world).preview(PERIOD)
    assert (due.customers, due.looked_at, due.oldest) == (30, 35, OLD)
    assert await there(world) == stays | set(gone), "a preview erases nobody"
    told = []
    done = await sweep(world).run(world.access(ROLE, PURPOSE), PERIOD, progress=lambda *each: told.append(each))
    assert done == 30
    assert told == [(25, 30), (30, 30)]
    assert await there(world) == stays
    assert len(await world.records(kind=Kind.ERASURE_INTENT)) == 30
    assert {each.purpose for each in await world.records(kind=Kind.ERASURE_INTENT)} == {PURPOSE}
    assert (await sweep(world).preview(PERIOD)).customers == 0


async def test_who_has_signed_in_since_is_not_erased_nor_whose_merged_profile_did(world):
    came, long_ago, survivor, part, gone = await silent(world, 5)
    recent, now = datetime.now(UTC) - timedelta(days=900), datetime.now(UTC)
    await world.store.heard(long_ago, now - timedelta(days=2000))
    for each in (came, part):
        await world.store.heard(each, recent)
        await world.store.heard(each, recent - timedelta(days=300))  # what is told late makes nobody older
    kept = (await world.main["profiles"].find_one({"_id": came}))["heard_at"]
    assert kept.isoformat()[:19] == f"{recent.date()}T00:00:00", "the day, and not the minute"
    merge = "mutation ($s: ID!, $a: ID!) { mergeProfiles(survivor: $s, absorbed: $a) { profile { id } } }"
    await world.told(merge, "data_steward", "identity_resolution", {"s": survivor, "a": part})
    await world.main["profiles"].update_many({}, {"$set": {"created_at": OLD, "updated_at": OLD}})
    assert await sweep(world).run(world.access(ROLE, PURPOSE), PERIOD, progress=lambda *_: None) == 2
    assert await there(world) == {came, survivor, part}
    assert not {long_ago, gone} & await there(world), "the control"


async def test_a_limit_is_kept_and_the_next_run_goes_on(world):
    await silent(world, 5)
    access = world.access(ROLE, PURPOSE)
    assert await sweep(world).run(access, PERIOD, limit=3, progress=lambda *_: None) == 3
    assert await sweep(world).run(access, PERIOD, progress=lambda *_: None) == 2


async def test_who_waits_for_an_answer_or_asked_for_something_since_is_not_erased(world):
    waits, asked, gone, merged, survivor = await silent(world, 5)
    async with world.vault.reading():
        open_ = world.services.requests.open
        request = await open_(world.access(*CUSTOMER, customer=waits), Asked.ACCESS, waits, source="portal")
        again = await open_(world.access(*CUSTOMER, customer=asked), Asked.ACCESS, asked, source="portal")
        await world.services.requests.cancel(world.access(*CUSTOMER, customer=asked), again.id)
        await open_(world.access(*CUSTOMER, customer=merged), Asked.ACCESS, merged, source="portal")
    merge = "mutation ($s: ID!, $a: ID!) { mergeProfiles(survivor: $s, absorbed: $a) { profile { id } } }"
    await world.told(merge, "data_steward", "identity_resolution", {"s": survivor, "a": merged})
    aged = {"$set": {"created_at": OLD, "updated_at": OLD}}
    await world.main["profiles"].update_many({}, aged)
    assert (await sweep(world).preview(PERIOD)).customers == 1
    access = world.access(ROLE, PURPOSE)
    assert await sweep(world).run(access, PERIOD, progress=lambda *_: None) == 1
    assert await there(world) == {waits, asked, merged, survivor}
    assert gone not in await there(world), "the control"
    kept = await world.main["privacy_requests"].find_one({"_id": request.id})
    assert (kept["open"], kept["customer_id"]) == (True, waits)
    long_ago = {"$set": {"received_at": OLD, "open": False}}
    await world.main["privacy_requests"].update_many({}, long_ago)
    assert await sweep(world).run(access, PERIOD, progress=lambda *_: None) == 3, "the control: what is long answered"


async def test_what_a_profile_does_not_count_yet_keeps_its_person(world):
    shopper, writer, browser, gone = await silent(world, 4)
    (fresh,) = await world.create(world.draft(person(1), orders=(order(1),), tickets=(ticket(1),)))
    for collection, moment, whose in (("orders", "placed_at", shopper), ("tickets", "opened_at", writer)):
        found = {"$set": {"customer_id": whose, moment: datetime.now(UTC) - timedelta(days=3)}}
        await world.main[collection].update_one({"customer_id": fresh}, found)
    event = {"_id": "e1", "customer_id": browser, "at": datetime.now(UTC) - timedelta(days=3)}
    await world.main["events"].insert_one(event)
    assert await sweep(world).run(world.access(ROLE, PURPOSE), PERIOD, progress=lambda *_: None) == 1
    assert await there(world) == {shopper, writer, browser, fresh}
    assert gone not in await there(world), "the control"
    await world.main["events"].delete_many({})


async def test_two_sweeps_at_once_erase_each_once(world):
    gone = await silent(world, 6)
    access = world.access(ROLE, PURPOSE)
    runs = (sweep(world).run(access, PERIOD, progress=lambda *_: None) for _ in range(2))
    await asyncio.gather(*runs)
    assert await there(world) == set()
    assert len({each.erasure.leaf for each in await world.records(kind=Kind.ERASURE_DONE)}) == len(gone)


async def test_who_may_not_erase_may_not_sweep(world):
    gone = await silent(world, 1)
    for who in (("administrator", "data_management"), ("support_agent", PURPOSE), ("data_enricher", PURPOSE)):
        with pytest.raises(EraseNotAllowedError):
            await sweep(world).run(world.access(*who), PERIOD, progress=lambda *_: None)
    assert await there(world) == set(gone)
    assert await sweep(world).run(world.access(*OFFICER), PERIOD, progress=lambda *_: None) == 1, "the control"


async def test_what_is_no_period_erases_nobody(world):
    gone = await silent(world, 1)
    with pytest.raises(ValueError, match="period"):
        await sweep(world).run(world.access(ROLE, PURPOSE), "3 years", progress=lambda *_: None)
    assert await there(world) == set(gone)
