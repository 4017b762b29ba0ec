import asyncio
import contextlib
import signal
import sys

import pytest
from pymongo.errors import AutoReconnect

from tests.vault.conftest import utc_now
from vault.errors import FleetError, LeaseLostError, ReadDeadlineError
from vault.fleet import Epoch, Fleet, boot_seconds

pytestmark = pytest.mark.timeout(60)
LEASE = 0.8
POLL = 0.05


class Clock:
    """Seconds that go on as they do, and can be pushed on as if the process had been stopped."""

    def __init__(self):
        self.skipped = 0.0

    def __call__(self):
        return boot_seconds() + self.skipped


@pytest.fixture
async def fleets(databases):
    """Makes fleets over one key store, and stops all of them in the end."""
    made = []

    def make(**options):
        fleet = Fleet(databases.keys, now=utc_now, **({"lease_seconds": LEASE, "poll_seconds": POLL} | options))
        made.append(fleet)
        return fleet

    yield make
    for fleet in made:
        await fleet.stop()


async def test_a_process_that_never_started_reads_nothing(fleets):
    with pytest.raises(LeaseLostError):
        async with fleets().reading():
            pytest.fail("it read")


async def test_advance_returns_once_every_process_has_applied_the_change(fleets):
    loaded = []
    several = [fleets() for _ in range(3)]
    for number, fleet in enumerate(several):

        async def load(number=number):
            await asyncio.sleep(0.02 * number)
            loaded.append(number)

        fleet.on(Epoch.RING, load)
        await fleet.start()
    assert sorted(loaded) == [0, 1, 2], "each applies the state that it finds at its start"
    loaded.clear()
    assert await several[0].advance(Epoch.RING) == 1
    assert sorted(loaded) == [0, 1, 2]
    assert await several[1].advance(Epoch.RING) == 2
    assert sorted(loaded) == [0, 0, 1, 1, 2, 2]


async def test_epochs_of_one_name_leave_the_others_alone(fleets):
    loaded = []

    async def load():
        loaded.append("policy")

    fleet = fleets()
    fleet.on(Epoch.POLICY, load)
    await fleet.start()
    await fleet.advance(Epoch.RING)
    assert loaded == ["policy"], "once, at the start"
    await fleet.advance(Epoch.POLICY)
    assert loaded == ["policy", "policy"]


async def test_many_advances_at_once_all_return(fleets):
    one, other = fleets(), fleets()
    await one.start()
    await other.start()
    reached = await asyncio.gather(*(fleet.advance(Epoch.FENCE) for fleet in (one, other) for _ in range(5)))
    assert max(reached) == 10
    assert (await one._epochs())[Epoch.FENCE] == 10


@pytest.mark.parametrize("epoch", [Epoch.FENCE, Epoch.RING])
async def test_what_ends_a_key_waits_for_the_reads_in_flight_and_not_for_later_ones(fleets, epoch):
    one, other = fleets(), fleets()
    await one.start()
    await other.start()
    async with contextlib.AsyncExitStack() as later:
        async with other.reading():
            fence = asyncio.create_task(one.advance(epoch))
            await asyncio.sleep(4 * POLL)
            assert not fence.done()
            await later.enter_async_context(one.reading())
        await asyncio.wait_for(fence, 20)


async def test_a_policy_epoch_does_not_wait_for_reads(fleets):
    fleet = fleets()
    await fleet.start()
    async with fleet.reading():
        await asyncio.wait_for(fleet.advance(Epoch.POLICY), 20)


async def test_a_read_that_takes_too_long_is_given_up(fleets):
    fleet = fleets(read_seconds=0.1)
    await fleet.start()
    with pytest.raises(ReadDeadlineError):
        async with fleet.reading():
            await asyncio.sleep(5)
    clock = Clock()
    blocking = fleets(read_seconds=0.1, clock=clock)
    await blocking.start()
    with pytest.raises(ReadDeadlineError):
        async with blocking.reading():
            clock.skipped += 0.2


async def test_an_error_of_the_read_itself_comes_through(fleets):
    fleet = fleets()
    await fleet.start()
    with pytest.raises(TimeoutError) as caught:
        async with fleet.reading():
            raise TimeoutError
    assert not isinstance(caught.value, ReadDeadlineError)
    assert not fleet._reads


async def test_a_lease_that_ends_during_a_read_is_noticed_at_its_end(fleets):
    clock = Clock()
    fleet = fleets(clock=clock)
    await fleet.start()
    with pytest.raises(LeaseLostError):
        async with fleet.reading():
            clock.skipped += 2 * LEASE


async def test_without_the_check_at_the_end_the_same_read_would_be_answered(fleets):
    clock = Clock()
    fleet = fleets(clock=clock)
    await fleet.start()
    fleet.check_lease = lambda: None
    async with fleet.reading():
        clock.skipped += 2 * LEASE


async def test_a_process_that_stops_renewing_is_put_out_and_stays_out(fleets):
    one, other = fleets(), fleets()
    forgotten = []
    other.on_lost(lambda: forgotten.append(True))
    await one.start()
    await other.start()
    renew, other._renew = other._renew, never
    other._acknowledge = never
    began = boot_seconds()
    await asyncio.wait_for(one.advance(Epoch.RING), 5)
    assert boot_seconds() - began > LEASE / 2
    with pytest.raises(LeaseLostError):
        other.check_lease()
    other._renew = renew
    await asyncio.wait_for(other.lost.wait(), 2)
    assert forgotten == [True]
    with pytest.raises(LeaseLostError):
        other.check_lease()
    with pytest.raises(FleetError):
        await other.start()
    assert [process.process_id for process in await one.processes()] == [one.process_id]
    anew = fleets()
    await anew.start()
    anew.check_lease()


async def never(*_):
    """A write that gets nowhere."""
    raise AutoReconnect


async def test_a_lease_ends_for_its_holder_before_it_ends_for_others(fleets):
    one, other = fleets(), fleets()
    await one.start()
    await other.start()
    other._renew = never
    held_until_others_knew = True
    while len(await one.processes()) == 2:
        try:
            other.check_lease()
        except LeaseLostError:
            held_until_others_knew = False
        await asyncio.sleep(0.01)
    assert not held_until_others_knew


async def test_a_process_cut_off_for_a_while_reads_again_when_nobody_missed_it(fleets):
    fleet = fleets()
    await fleet.start()
    renew, fleet._renew = fleet._renew, never
    await asyncio.sleep(1.5 * LEASE)
    with pytest.raises(LeaseLostError):
        fleet.check_lease()
    fleet._renew = renew
    await asyncio.sleep(LEASE)
    fleet.check_lease()


async def test_after_all_slept_at_once_nobody_puts_anybody_out(fleets):
    clock = Clock()
    several = [fleets(clock=clock) for _ in range(2)]
    for fleet in several:
        await fleet.start()
    await asyncio.sleep(LEASE / 2)
    clock.skipped += 3600
    await asyncio.sleep(LEASE)
    for fleet in several:
        fleet.check_lease()


async def test_a_process_that_cannot_follow_gives_up_its_lease_and_holds_nobody_up(fleets):
    one, other = fleets(), fleets(read_seconds=0.2)
    broken = []

    async def load():
        if broken:
            raise OSError

    other.on(Epoch.RING, load)
    await one.start()
    await other.start()
    broken.append(True)
    await asyncio.wait_for(one.advance(Epoch.RING), 5)
    assert other.lost.is_set()
    with pytest.raises(LeaseLostError):
        other.check_lease()


async def test_a_passing_fault_while_following_is_tried_again(fleets):
    fleet = fleets()
    faults = [OSError(), OSError()]

    async def load():
        if started and faults:
            raise faults.pop()

    started = []
    fleet.on(Epoch.RING, load)
    await fleet.start()
    started.append(True)
    await asyncio.wait_for(fleet.advance(Epoch.RING), 5)
    assert not faults
    fleet.check_lease()


async def test_a_process_whose_state_cannot_be_loaded_does_not_start(fleets, databases):
    async def load():
        raise OSError

    fleet = fleets()
    fleet.on(Epoch.RING, load)
    with pytest.raises(OSError):  # noqa: PT011 - the very one that was raised
        await fleet.start()
    assert await fleet.processes() == []
    with pytest.raises(LeaseLostError):
        fleet.check_lease()


async def test_a_process_that_joins_during_an_advance_is_either_waited_for_or_up_to_date(fleets, databases):
    state = {"version": 0}
    first = fleets()
    await first.start()

    async def join():
        fleet = fleets()
        seen = {}

        async def load():
            version = state["version"]
            await asyncio.sleep(0.01)
            seen["version"] = version

        fleet.on(Epoch.RING, load)
        await fleet.start()
        return fleet, seen

    for _ in range(5):
        joining = asyncio.create_task(join())
        await asyncio.sleep(0.005)
        state["version"] += 1
        await first.advance(Epoch.RING)
        reached = state["version"]
        fleet, seen = await joining
        assert seen["version"] == reached
        await fleet.stop()


async def test_a_stopped_fleet_waits_for_its_reads_and_leaves(fleets):
    fleet, other = fleets(), fleets()
    await fleet.start()
    await other.start()
    async with fleet.reading():
        stopping = asyncio.create_task(fleet.stop())
        await asyncio.sleep(POLL)
        assert not stopping.done()
        with pytest.raises(LeaseLostError):
            async with fleet.reading():
                pytest.fail("a read began while the process was stopping")
    await stopping
    assert [process.process_id for process in await other.processes()] == [other.process_id]


@contextlib.asynccontextmanager
async def subprocess(uri, name, *options):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.vault.fleet_process", uri, name, "1.0", *options,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip

    async def ask(line):
        process.stdin.write(f"{line}\n".encode())
        return await hear()

    async def hear():
        return (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()

    try:
        assert await hear() == "ready"
        yield process, ask
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()
        process._transport.close()


@pytest.mark.parametrize("careless", [False, True])
async def test_a_process_stopped_across_an_erasure_reads_nothing_when_it_wakes(
    databases, mongo_uri, fleets, careless
):
    """Stopped in the middle of a read and outside of one; the careless process is the negative control."""
    secrets = databases.keys["secrets"]
    await secrets.insert_one({"_id": "customer", "key": "secret"})
    options = ["--careless"] if careless else []
    async with (
        subprocess(mongo_uri, databases.keys.name, *options) as (stopped, ask_stopped),
        subprocess(mongo_uri, databases.keys.name) as (_, ask_other),
    ):
        fleet = fleets()
        await fleet.start()
        assert await ask_stopped("read") == "secret"
        assert await ask_stopped("hold") == "holding"
        stopped.send_signal(signal.SIGSTOP)
        await secrets.delete_one({"_id": "customer"})
        await asyncio.wait_for(fleet.advance(Epoch.FENCE), 10)
        await asyncio.wait_for(fleet.advance(Epoch.RING), 10)
        assert len(await fleet.processes()) == 2, "the stopped one was put out, the other one followed"
        assert await ask_other("read") == "gone"
        stopped.send_signal(signal.SIGCONT)
        expected = "secret" if careless else "LeaseLostError"
        assert await ask_stopped("use") == expected
        assert await ask_stopped("read") == expected


async def test_a_killed_process_holds_an_advance_up_for_a_lease_and_no_longer(databases, mongo_uri, fleets):
    fleet = fleets()
    await fleet.start()
    async with subprocess(mongo_uri, databases.keys.name) as (process, _):
        process.kill()
        await process.wait()
        began = boot_seconds()
        await asyncio.wait_for(fleet.advance(Epoch.RING), 5)
        assert boot_seconds() - began < 3
