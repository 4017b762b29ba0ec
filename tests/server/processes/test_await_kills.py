"""An erasure, and completing a request, killed where they wait: at some places here, at all with `scripts/faults`."""

import asyncio
import os

import pytest

from customers.rights.requests import Kind
from tests.server.processes.await_rounds import kill_awaits
from tests.server.processes.awaits import Watch
from tests.server.processes.erased_bytes import Scanner

SEED = int(os.environ.get("CONFIDE_FAULTS_SEED", "5"))


@pytest.mark.timeout(240)
async def test_an_erasure_that_is_killed_where_it_waits_is_finished_and_nothing_is_left(site):
    scanner = Scanner(site)
    outcome = await kill_awaits(site, most=2, seed=SEED, at_once=2, scanner=scanner)
    assert outcome.faults == [], outcome.note
    assert scanner.looks == 2


@pytest.mark.timeout(240)
async def test_a_request_whose_completion_is_killed_where_it_waits_is_met_when_it_is_completed_again(site):
    kinds = (Kind.ERASURE, Kind.ACCESS, Kind.RESTRICTION)
    outcome = await kill_awaits(site, erasures=False, kinds=kinds, most=1, seed=SEED, at_once=2)
    assert outcome.faults == [], outcome.note


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
