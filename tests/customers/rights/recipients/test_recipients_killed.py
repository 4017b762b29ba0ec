"""A delivery that is killed at any time, or whose writes fail, happens at least once, and its receipt is kept once."""

import asyncio
import contextlib
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from pymongo.errors import AutoReconnect

from customers.rights.recipients import State
from tests.customers.faults import Failing, Faults, FaultyDatabase
from tests.customers.outgoing.answering import always, answering, response
from tests.customers.rights.recipients.office import Office, heard
from tests.schema.world import new_databases, open_world

KILLS = int(os.environ.get("CONFIDE_DELIVERY_KILLS", "3"))
TAKEN = always(response("204 No Content", b""))
NEVER = 1_000_000


async def test_a_delivery_killed_at_any_time_happens_and_its_receipt_is_kept_once(mongo_client, mongo_uri, tmp_path):
    async with (
        new_databases(mongo_client) as parts,
        open_world(*parts, tmp_path) as world,
        answering(TAKEN) as server,
    ):
        office = await Office(world).empty()
        for place in range(KILLS + 1):
            await office.add(server, name=f"r{place:03}")
        await office.erase(await world.one(1))
        ids = sorted(each.delivery.id for each in await office.service.deliveries(None, None, 1000))
        for place, each in enumerate(ids):  # one after the other, so that each process has its own to die of
            due = office.now + timedelta(seconds=10 * place)
            await world.main["jobs"].update_one({"_id": f"recipient_delivery:{each}"}, {"$set": {"due": due}})
        told = {
            "uri": mongo_uri,
            "databases": [each.name for each in parts],
            "directory": str(tmp_path),
            "now": office.now.isoformat(),
            "origin": server.url("").rstrip("/"),
        }
        [whole] = await killed(told, [NEVER])
        steps = [max(1, int(whole) * (place + 1) // (KILLS + 1)) for place in range(KILLS)]
        told["now"] = (office.now + timedelta(seconds=10)).isoformat()
        counts = await killed(told, steps)
        assert "" in counts, "somebody was killed"
        waiting = await office.service.deliveries(None, State.WAITING, 1000)
        for _ in range(10):
            office.wait(hours=1)
            await office.run(server)
        assert waiting, "something was left to do by those who were killed"
        found = [each.delivery for each in await office.service.deliveries(None, None, 1000)]
    bodies = {}
    for request in server.heard:
        headers, body = heard(request)
        bodies.setdefault(headers["webhook-id"], []).append(body)
    assert sorted(bodies) == ids, "each happened at least once"
    assert all(body == each[0] for each in bodies.values() for body in each), "and said the same"
    assert {each.state for each in found} == {State.TOLD}
    assert all(each.receipt is not None and each.sealed is None for each in found)


async def killed(told, kills):
    """What processes said that were killed at these steps: nothing, or how many steps it took."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.customers.rights.recipients.killed",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    )
    out, _ = await process.communicate(json.dumps({**told, "kills": kills}).encode())
    assert process.returncode == 0
    return json.loads(out)


@pytest.mark.parametrize("how", list(Failing))
async def test_whichever_write_of_a_delivery_fails_it_happens_and_its_receipt_is_kept_once(office, how):
    world, faults = office.world, Faults()
    faulty = Office(world, main=FaultyDatabase(world.main, faults))
    async with answering(TAKEN) as server:
        await office.add(server)
        for at in range(4):
            await world.main["recipient_deliveries"].delete_many({})
            server.heard.clear()
            await office.erase(await world.one(at + 1))
            faults.arm(at, how)
            faulty.now = office.now
            async with faulty.client(server.url("")) as client:
                with contextlib.suppress(AutoReconnect):  # as the worker, which looks again
                    await faulty.runner(client, failed=lambda _: None).run_due()
            faults.disarm()
            for _ in range(3):
                office.wait(hours=7)
                await office.run(server)
            [found] = await office.service.deliveries(None, None, 10)
            assert found.standing == "told", at
            assert 1 <= len(server.heard) <= 2, "twice at most, of one fault"
            receipts = await world.main["recipient_deliveries"].find({"receipt": {"$exists": True}}).to_list(None)
            assert len(receipts) == 1


@pytest.mark.parametrize("how", list(Failing))
async def test_whichever_write_of_its_preparing_fails_an_erasure_goes_on_and_everybody_is_told(office, how):
    world, faults = office.world, Faults()
    async with answering(TAKEN) as server:
        await office.add(server)
        for at in range(4):
            await world.main["recipient_deliveries"].delete_many({})
            await world.main["recipient_notices"].delete_many({})
            server.heard.clear()
            gone = await world.one(at + 1)
            broken = Office(world, main=FaultyDatabase(world.main, faults))
            broken.now = office.now
            faults.arm(at, how)
            with contextlib.suppress(AutoReconnect):  # it is finished below
                await broken.erase(gone)
            faults.disarm()
            await office.eraser.resume()
            await office.run(server)
            assert len(server.heard) == 1, at
            assert await office.sweep() == 1
