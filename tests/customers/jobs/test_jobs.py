"""Jobs on a real engine: each happens, at least once, and not again once it is done."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from customers.jobs import (
    Job,
    JobFailedError,
    JobHopelessError,
    JobPostponedError,
    JobRunner,
    JobState,
    JobStore,
    NewJob,
    Retries,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(seconds=60)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def after(self, **passed: int) -> None:
        self.now += timedelta(**passed)


class Shop:
    """A queue, a clock, and what was done."""

    def __init__(self, database) -> None:
        self.clock = Clock()
        self.store = JobStore(database, now=self.clock)
        self.documents = database["jobs"]
        self.done: list[str] = []
        self.unforeseen: list[Exception] = []
        self.ends: list[Exception] = []
        """What the next handlings raise."""

    async def handle(self, job: Job) -> None:
        self.done.append(job.id)
        if self.ends:
            raise self.ends.pop(0)

    def runner(self, process: str = "one", **changed) -> JobRunner:
        given = {
            "now": self.clock,
            "random": lambda size: b"\x80" + bytes(size - 1),
            "failed": self.unforeseen.append,
        }
        return JobRunner(self.store, {"write": self.handle}, process, **{**given, **changed})

    async def add(self, *keys: str, **fields) -> None:
        await self.store.add(NewJob("write", key, **{"due": START, **fields}) for key in keys)


@pytest.fixture
async def shop(databases):
    made = Shop(databases.main)
    await made.store.prepare()
    return made


async def test_a_job_is_done_when_it_is_due_and_once(shop):
    await shop.add("a")
    await shop.add("later", due=START + timedelta(hours=1))
    assert await shop.runner().run_due() == 1
    await shop.add("a")
    assert await shop.runner().run_due() == 0, "done, and known to be"
    shop.clock.after(hours=1)
    assert await shop.runner().run_due() == 1
    assert shop.done == ["write:a", "write:later"]


async def test_a_job_of_a_lost_process_is_taken_by_another_and_the_first_changes_nothing_any_more(shop):
    await shop.add("a")
    (held,) = await shop.store.take(["write"], "lost", limit=5, lease=LEASE)
    assert await shop.runner("other").run_due() == 0, "the control: it is held"
    shop.clock.after(seconds=61)
    assert await shop.runner("other").run_due() == 1
    assert not await shop.store.finish(held)
    assert not await shop.store.renew(held, LEASE)
    assert (await shop.store.get("write:a")).state is JobState.DONE


async def test_many_who_take_at_once_never_have_the_same_job(shop):
    await shop.add(*map(str, range(60)))
    stores = [JobStore(shop.documents.database, now=shop.clock) for _ in range(4)]
    taken = await asyncio.gather(
        *(each.take(["write"], f"p{n}", limit=20, lease=LEASE) for n, each in enumerate(stores))
    )
    names = [job.id for jobs in taken for job in jobs]
    assert len(names) == len(set(names)) > 0


async def test_of_a_long_queue_all_is_done(shop):
    await shop.add(*map(str, range(700)))
    assert await shop.runner(at_once=16).run_due() == 700
    assert len(set(shop.done)) == 700


async def test_a_failure_waits_longer_each_time_and_then_a_person_is_asked(shop):
    await shop.add("a")
    shop.ends = [JobFailedError("refused") for _ in range(3)]
    runner = shop.runner(retries=Retries(most=3, first=timedelta(seconds=10), longest=timedelta(seconds=15)))
    for pause in (10, 15):
        assert await runner.run_due() == 1
        waiting = await shop.store.get("write:a")
        assert (waiting.state, waiting.failure) == (JobState.WAITING, "refused")
        assert waiting.due == shop.clock.now + timedelta(seconds=pause), "by dice that show the middle"
        assert await runner.run_due() == 0
        shop.clock.after(seconds=pause)
    assert await runner.run_due() == 1
    (dead,) = await shop.store.dead()
    assert (dead.id, dead.failure, dead.attempt) == ("write:a", "refused", 3)
    shop.clock.after(days=1)
    assert await runner.run_due() == 0

    assert await shop.store.revive("write:a")
    assert not await shop.store.revive("write:a"), "it is no more among the dead"
    assert await runner.run_due() == 1
    assert await shop.store.dead() == []


async def test_what_the_other_side_says_to_wait_is_waited(shop):
    await shop.add("a")
    shop.ends = [JobFailedError("busy", after=timedelta(minutes=7))]
    await shop.runner().run_due()
    assert (await shop.store.get("write:a")).due == START + timedelta(minutes=7)


async def test_what_is_hopeless_is_not_tried_again(shop):
    await shop.add("a")
    shop.ends = [JobHopelessError("gone")]
    await shop.runner().run_due()
    assert [each.failure for each in await shop.store.dead()] == ["gone"]


async def test_what_is_postponed_has_not_been_tried(shop):
    await shop.add("a")
    shop.ends = [JobPostponedError(START + timedelta(hours=2))]
    await shop.runner().run_due()
    waiting = await shop.store.get("write:a")
    assert (waiting.due, waiting.attempt, waiting.failure) == (START + timedelta(hours=2), 0, None)


async def test_what_nobody_foresaw_is_told_and_tried_again_and_its_words_are_not_kept(shop):
    await shop.add("a")
    shop.ends = [ValueError("ada@example.org")]
    await shop.runner().run_due()
    assert [type(each) for each in shop.unforeseen] == [ValueError]
    assert (await shop.store.get("write:a")).failure == "unexpected"
    assert "ada@" not in str(await shop.documents.find({}).to_list(None))


async def test_a_job_that_kills_whoever_takes_it_is_given_up_on(shop):
    await shop.add("a")
    for number in range(3):
        assert await shop.store.take(["write"], f"p{number}", limit=1, lease=LEASE)
        shop.clock.after(seconds=61)
    await shop.runner(retries=Retries(most=3)).run_due()
    assert [each.failure for each in await shop.store.dead()] == ["process_lost"]
    assert shop.done == []


async def test_a_long_job_is_held_by_renewing_and_stopped_where_that_fails(shop):
    await shop.add("a")
    gate, stopped = asyncio.Event(), asyncio.Event()

    async def long(_: Job) -> None:
        gate.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    runner = JobRunner(
        shop.store, {"write": long}, "one", now=shop.clock, random=bytes, failed=shop.unforeseen.append,
        lease=timedelta(seconds=0.3),
    )  # fmt: skip
    running = asyncio.create_task(runner.run_due())
    await gate.wait()
    first = (await shop.documents.find_one({}))["lease_until"]
    shop.clock.after(seconds=5)
    while (await shop.documents.find_one({}))["lease_until"] == first:  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(0.02)
    assert not stopped.is_set()
    await shop.documents.update_one({}, {"$inc": {"fence": 1}})  # another took it
    assert await asyncio.wait_for(running, 5) == 1
    assert stopped.is_set()
    assert (await shop.store.get("write:a")).state is JobState.RUNNING, "as the other has it"


async def test_jobs_about_somebody_go_with_them(shop):
    await shop.add("a", about=("cus_a",))
    await shop.add("b", about=("cus_b", "cus_c"))
    await shop.store.forget(["cus_a", "cus_c"])
    assert await shop.documents.find({}).to_list(None) == []
    await shop.add("d", about=("cus_d",))
    await shop.store.forget(["cus_a"])
    assert await shop.store.get("write:d"), "the control: nobody else's"


async def test_what_was_done_long_ago_is_forgotten_and_cancelled_work_does_not_happen(shop):
    await shop.add("a", "b")
    await shop.store.cancel(["write:b"])
    await shop.runner().run_due()
    assert shop.done == ["write:a"]
    shop.clock.after(days=29)
    await shop.store.prune()
    assert await shop.store.get("write:a")
    shop.clock.after(days=2)
    await shop.store.prune()
    assert await shop.store.get("write:a") is None
