"""Who was not heard of for the period is erased, in groups; nobody else is, and nobody by who may not."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from audit import Kind
from customers.errors import EraseNotAllowedError
from customers.rights.inactivity import PURPOSE, ROLE, InactivitySweep
from tests.schema.world import OFFICER, order, person

OLD = datetime(2015, 1, 1, tzinfo=UTC)
PERIOD = "P3Y"


def sweep(world, now=lambda: datetime.now(UTC)):
    return InactivitySweep(world.store, world.eraser, now=now)


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


async def test_a_limit_is_kept_and_the_next_run_goes_on(world):
    await silent(world, 5)
    access = world.access(ROLE, PURPOSE)
    assert await sweep(world).run(access, PERIOD, limit=3, progress=lambda *_: None) == 3
    assert await sweep(world).run(access, PERIOD, progress=lambda *_: None) == 2


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
