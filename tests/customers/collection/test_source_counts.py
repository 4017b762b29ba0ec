"""How much each source has sent is counted, without a write for each event, and says nothing of anybody."""

from datetime import timedelta

import pytest
from pymongo.errors import AutoReconnect

from customers.collection.plan_file import parse_plan
from customers.collection.source_counts import SourceCount, SourceCountStore
from tests.customers.collection.gathering import DAY, gathering, track
from tests.customers.faults import Failing, Faults, FaultyDatabase
from tests.schema.world import utc_now


@pytest.fixture
async def shop(world):
    await world.main["source_counts"].delete_many({})
    async with gathering(world, plan="counted") as found:
        plan = b'{"name": "counted", "modes": {"unplanned_event": "omit"}, "events": {"Product Viewed": {}, "Blocked": {}}}'
        await found.parts.plans.put(parse_plan(plan, world.policies.catalogue, is_toml=False), by="tester")
        yield found
        assert found.errors == []


async def test_what_became_of_each_event_is_counted_for_its_source(shop):
    first, last = utc_now() - timedelta(hours=3), utc_now()
    first, last = (each.replace(microsecond=0) for each in (first, last))
    till, _ = await shop.sources.create("till")
    await shop.send(track(message="m"), track(message="m"), track("Unplanned"), 5, received_at=first)
    await shop.send(track(message="m"), track(message="n"), received_at=last)
    await shop.send(received_at=utc_now())  # a batch without events says nothing
    await shop.send({"type": "nonsense"}, source=till, received_at=last)
    found = await shop.parts.source_counts.all()
    assert found == {
        "shop": SourceCount(stored=2, duplicates=2, omitted=1, refused=1, first_at=first, last_at=last),
        "till": SourceCount(refused=1, first_at=last, last_at=last),
    }
    assert (found["shop"].received, found["shop"].accepted) == (6, 4)
    assert await shop.parts.source_counts.of("shop") == found["shop"]
    assert await shop.parts.source_counts.of("nobody's") == SourceCount()
    documents = await shop.world.main["source_counts"].find({}).to_list(None)
    assert {name for each in documents for name in each} == {
        "_id", "stored", "duplicates", "omitted", "refused", "first_at", "last_at"
    }  # fmt: skip


async def test_counting_writes_once_however_many_batches_there_were(world):
    store = SourceCountStore(world.main)
    for _ in range(1000):
        store.note("busy", SourceCount(stored=100, first_at=DAY, last_at=DAY))
    assert await store.of("busy") == SourceCount(), "nothing is written for a batch"
    assert await store.flush() == 1
    assert (await store.of("busy")).stored == 100_000
    assert await store.flush() == 0


async def test_a_count_that_could_not_be_written_is_kept_for_the_next_time(world):
    faults = Faults()
    store = SourceCountStore(FaultyDatabase(world.main, faults))
    faults.arm(0, Failing.LOST)
    store.note("flaky", SourceCount(stored=1, first_at=DAY, last_at=DAY))
    with pytest.raises(AutoReconnect):
        await store.flush()
    store.note("flaky", SourceCount(stored=2, first_at=DAY, last_at=DAY + timedelta(hours=1)))
    await store.flush()
    assert await store.of("flaky") == SourceCount(stored=3, first_at=DAY, last_at=DAY + timedelta(hours=1))
