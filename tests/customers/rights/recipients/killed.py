"""Processes that deliver, each killed at another moment: `killed.py` reads what to do as JSON, and forks for each kill.

A kill is `os._exit` right before the n-th callback of the event loop: nothing is cleaned up, told or rolled back.
"""

import asyncio
import json
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from pymongo import AsyncMongoClient

from customers.outgoing import Allowed, OutgoingClient
from server.database import database
from tests.customers.rights.recipients.office import LIMITS, Office
from tests.schema.world import open_world

KILLED = 9


def main(told):
    counts = []
    for place, after in enumerate(told["kills"]):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(read)
            count = asyncio.run(one(told, place, after))
            os.write(write, str(count).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as said:
            counts.append(said.read())
        os.waitpid(child, 0)
    print(json.dumps(counts))  # noqa: T201 - the answer


async def one(told, place, after):
    """Deliver what is due then, until it is done or killed; gives how many callbacks that took."""
    client = AsyncMongoClient(told["uri"], tz_aware=True)
    parts = [database(client, name) for name in told["databases"]]
    async with open_world(*parts, Path(told["directory"])) as world:
        office = Office(world)
        office.now = datetime.fromisoformat(told["now"]) + timedelta(seconds=10 * place + 1)
        async with OutgoingClient(Allowed([told["origin"]]), LIMITS, random=os.urandom) as out:
            runner = office.runner(out, process=f"killed-{place}")
            killing(after)
            await runner.run_due()
            return killing(None)


def killing(after, _seen=[0], _run=asyncio.Handle._run):  # noqa: B006 - the count is the process's
    """Count the callbacks from here on and die before the `after`-th; None gives the count."""
    if after is None:
        return _seen[0]
    _seen[0] = 0

    def run(handle):
        _seen[0] += 1
        if _seen[0] == after:
            os._exit(KILLED)
        _run(handle)

    asyncio.Handle._run = run
    return 0


if __name__ == "__main__":
    main(json.load(sys.stdin))
