"""An erasure, and completing a request, killed where they wait: at some places here.

At all of them, and telling recipients, with `scripts/faults erase --awaits -1` and `scripts/faults complete --awaits -1`.
"""

import asyncio
import contextlib
import os
import random
import uuid

import pytest

from customers.rights.requests import Kind
from tests.customers.outgoing.answering import always, answering, response
from tests.server.processes.await_rounds import Rounds, kill_awaits, some
from tests.server.processes.awaits import Watch
from tests.server.processes.worlds import Ground

SEED = int(os.environ.get("CONFIDE_FAULTS_SEED", "5"))


@pytest.fixture
def grounds(processes, mongo_client, mongo_uri, tmp_path):
    @contextlib.asynccontextmanager
    async def ground():
        yield Ground(processes, mongo_client, mongo_uri, tmp_path / uuid.uuid4().hex)

    return ground


@pytest.mark.timeout(300)
async def test_an_erasure_that_is_killed_where_it_waits_is_finished_by_the_next_process_and_nothing_is_left(
    grounds, tmp_path
):
    async def spoil(site, ids):
        await site.main["quality_days"].insert_one({"_id": "planted", "whose": ids[1]})

    async with answering(always(response())) as server:
        killed, control = (Rounds("erase", grounds, server, asyncio.Semaphore(2)) for _ in range(2))
        snapshot, seen = await killed.prepared(tmp_path / "as-it-began")
        places = some(seen, 1, random.Random(SEED))  # noqa: S311 - dice
        await asyncio.gather(killed.kill(snapshot, places), control.kill(snapshot, ["nowhere"], spoil))
    assert (killed.result.killed, killed.result.looks, killed.result.faults) == (1, 2, [])
    assert len(seen) > 300, "it is seen wherever it waits"
    assert control.result.faults == ["the number of an erased customer is in ('main', 'quality_days', 'whose')"]


@pytest.mark.timeout(300)
async def test_a_request_whose_completion_is_killed_where_it_waits_is_met_when_it_is_completed_again(
    grounds, tmp_path
):
    kinds = (Kind.ERASURE, Kind.ACCESS, Kind.RESTRICTION)
    for each in await kill_awaits(kinds, grounds, tmp_path, most=1, seed=SEED):
        assert (each.killed, each.faults) == (1, []), each.summary


async def test_every_wait_of_some_work_is_seen_in_each_task_that_it_starts_and_no_other():
    from customers.jobs import runner  # noqa: PLC0415 - our own code that waits

    async def take(*_args, **_options):
        await asyncio.sleep(0)
        return []

    class Store:
        pass

    Store.take = staticmethod(take)
    made = runner.JobRunner(Store(), {}, "p", now=None, random=None, failed=None)

    async def work():
        await asyncio.gather(made.run_due(), made.run_due())

    beside = asyncio.create_task(made.run_due())
    watch = Watch()
    await watch.over(work())
    await beside
    asked = [each for each in watch.places if each.startswith("asked")]
    assert len(asked) == 2, watch.places
    assert all("customers/jobs/runner.py" in each for each in watch.places)
    assert len(watch.places) == 4, "each is asked and answered"
