"""A process of a fleet for tests: it fetches a secret as a customer's key is fetched, and reads it on request.

Lines in: `hold` (begin a read and stay in it), `use` (use what the held read fetched and end it), `read` (a whole
read), `quit`. One line out for each. With `--careless` it never looks at its lease: the negative control.
"""

import asyncio
import sys
from datetime import UTC, datetime

from server.database import close, connect, database
from vault.errors import LeaseLostError
from vault.fleet import Epoch, Fleet


async def main(uri: str, name: str, lease: float, *, careless: bool) -> None:
    client = connect(uri)
    keys = database(client, name)
    fleet = Fleet(keys, now=lambda: datetime.now(UTC), lease_seconds=lease, poll_seconds=0.1)
    if careless:
        fleet.check_lease = lambda: None
    cache: dict[str, str] = {}

    async def reload() -> None:
        cache.clear()
        cache.update({one["_id"]: one["key"] for one in await keys["secrets"].find({}).to_list(None)})

    fleet.on(Epoch.RING, reload)
    await fleet.start()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    say("ready")
    held = None
    while (line := (await lines.readline()).decode().strip()) and line != "quit":
        try:
            if line == "read":
                async with fleet.reading():
                    found = cache.get("customer", "gone")
                say(found)
            elif line == "hold":
                held = fleet.reading()
                await held.__aenter__()
                found = cache.get("customer", "gone")
                say("holding")
            else:
                await held.__aexit__(None, None, None)
                say(found)
        except LeaseLostError:
            say("LeaseLostError")
    await fleet.stop()
    await close(client)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the way its parent hears of it


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), careless="--careless" in sys.argv))
