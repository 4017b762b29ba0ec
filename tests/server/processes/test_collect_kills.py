"""kill -9 of the server while events come in: what was acknowledged is there, once."""

import os

import pytest

from tests.server.processes.collect_rounds import Senders, kill_collector, new_source

KILLS = 20


@pytest.mark.timeout(240)
async def test_every_acknowledged_event_is_stored_and_counted_once_after_kills(site):
    outcome = await kill_collector(
        site, kills=KILLS, answers=10, seed=int(os.environ.get("CONFIDE_FAULTS_SEED", "4"))
    )
    assert outcome.faults == []
    assert outcome.answers > 2 * KILLS, "there was load"
    assert outcome.writes > 30 * KILLS


async def test_the_comparison_finds_a_lost_a_doubled_and_an_uncounted_event(site):
    """The negative controls of the test above: what it looks for is planted, and found."""
    senders = Senders(site, await new_source(site))
    server = await site.served()
    assert await senders._deliver(server, list(range(30)))
    assert await senders._deliver(server, list(range(30))), "once more: as a library that did not hear the answer"
    assert await senders.applied() == []
    assert await senders.faults() == []
    events = site.main["events"]

    one, two = await events.find({}).limit(2).to_list(None)
    await events.delete_one({"_id": one["_id"]})
    await events.insert_one({**two, "_id": "evt_another"})
    assert await senders.faults() == ["1 acknowledged events are lost", "1 events are stored twice"]
    await events.delete_one({"_id": "evt_another"})
    await events.insert_one(one)
    assert await senders.faults() == [], "and nothing else"

    await site.main["profiles"].update_one({"_id": one["customer_id"]}, {"$inc": {"event_count": 1}})
    assert await senders.faults() == ["the profiles count 31 events, and there are 30"]
    await site.main["event_batches"].insert_one({"_id": "left", "process": "gone", "events": []})
    assert await senders.applied(seconds=0.3) == ["1 batches are never applied"]
    senders.sent.discard(3)
    assert "1 events are stored that nobody sent" in await senders.faults()
