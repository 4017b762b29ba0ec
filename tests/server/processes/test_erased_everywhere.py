"""An erasure, while several processes serve, stand still, or die."""

import asyncio
import os
import signal
import time

import httpx
import pytest

from tests.server.processes.deployment import ERASE, NAMES, READER
from tests.server.processes.erased_bytes import Scanner
from tests.server.processes.erasure_rounds import NAME, given_out, kill_eraser, remains, step_of

EMAIL = "wilhelmina@example.org"


@pytest.fixture
async def pair(site):
    """Two servers of one deployment."""
    servers = [await site.serve(), await site.serve()]
    return [await server.ready() for server in servers]


async def test_once_an_erasure_has_returned_no_process_gives_anything_out_again_and_again(site, pair):
    first, second = pair
    for number in range(3):
        customer = await site.create(first, givenName=NAME, email=EMAIL)
        for server in pair:
            answer = await site.ask(server, READER, NAMES, id=customer)
            assert answer.data["profile"]["givenName"] == NAME, "each has the key in its cache"
        assert len(await remains(site, customer, EMAIL, first)) > 3, "the control: everything is still there"
        assert (await site.ask(pair[number % 2], READER, ERASE, id=customer)).code is None
        for _ in range(3):
            assert await given_out(site, second, customer, EMAIL) == []
            assert await given_out(site, first, customer, EMAIL) == []
        assert await remains(site, customer, EMAIL) == []


@pytest.mark.timeout(60)
async def test_a_process_that_stood_still_during_an_erasure_gives_nothing_out_and_ends_while_others_finish_it(
    site, pair
):
    erasing, still = pair
    customer = await site.create(erasing, givenName=NAME, email=EMAIL)
    token = site.token("gro", "privacy_officer")

    async def read():
        try:
            answer = await still.ask(NAMES, {"id": customer}, token=token, purpose="privacy_request")
        except httpx.TransportError:
            answer = None  # it closed its connections at its end
        return answer, time.monotonic()

    assert (await read())[0].data["profile"]["givenName"] == NAME
    # Some of these are in the middle of a read when the process stops, with the key in hand.
    reads = [asyncio.create_task(read()) for _ in range(40)]
    await asyncio.sleep(0.03)
    still.process.signal(signal.SIGSTOP)
    reads += [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.sleep(0.2)
    stopped = time.monotonic()
    erasure = asyncio.create_task(site.ask(erasing, READER, ERASE, id=customer))
    await asyncio.sleep(0.5)
    assert await step_of(site, customer) == "fenced"
    # It finds the erasure open and takes it up as well: both go through every step.
    late = await site.served()
    answer = await erasure
    assert answer.code is None
    assert answer.seconds < 10, "it waits for a lease and no longer"
    assert time.monotonic() - stopped > 3, "the control: it did wait for the process that stood still"
    assert await site.keys["erasures"].find_one({"open": True}) is None

    still.process.signal(signal.SIGCONT)
    answers = await asyncio.gather(*reads)
    after = [answer for answer, at in answers if at > stopped]
    assert len(after) >= 3
    for answer in filter(None, after):
        assert answer.code in {"KEYS_UNAVAILABLE", "TIMEOUT"}
        assert not any((answer.data or {}).values())
        assert NAME not in str(answer.body)
    assert await still.process.wait(20) == 1, "it ends: it may never read again"
    assert still.process.err.splitlines()[-1].startswith("confide: this process lost its lease")
    assert await remains(site, customer, EMAIL, erasing, late) == []


@pytest.mark.timeout(120)
async def test_an_erasure_whose_process_is_killed_at_any_moment_is_finished_by_another(site):
    scanner = Scanner(site)
    seed = int(os.environ.get("CONFIDE_FAULTS_SEED", "3"))
    outcome = await kill_eraser(site, kills=6, seed=seed, scanner=scanner)
    assert outcome.faults == [], outcome.note
    assert scanner.looks == 2
    # The negative control: what is written down somewhere is found, backwards too.
    (site.directory / "left.log").write_bytes(NAME[::-1].encode())
    assert await scanner.faults([NAME]) == ["an erased value is in left.log"]
