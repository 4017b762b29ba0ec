"""A process with a vault of its own, for tests: it reads one customer on request.

Lines in: `hold` (begin a read and fetch the key), `use` (decrypt with it and end the read), `read` (a whole read),
`quit`. One line out for each. With `--careless` it never looks at its lease: the negative control.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from server.database import close, connect, database
from tests.vault.conftest import Site
from vault import DataKey, LeaseLostError


async def main(
    uri: str, main_name: str, keys_name: str, directory: Path, customer_id: str, *, careless: bool
) -> None:
    client = connect(uri)
    site = Site(
        database(client, main_name), database(client, keys_name), directory / "keys" / "ring", directory / "root.key"
    )
    vault = await site.vault().start()
    if careless:
        vault.fleet.check_lease = lambda: None
    documents = site.main["documents"]
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    say("ready")
    async with contextlib.AsyncExitStack() as stack:
        held = None
        while (line := (await lines.readline()).decode().strip()) and line != "quit":
            try:
                if line == "read":
                    async with vault.reading():
                        text = opened(await fetch(vault, customer_id), await documents.find_one({"_id": customer_id}))
                    say(text)
                elif line == "hold":
                    await stack.enter_async_context(vault.reading())
                    held = await fetch(vault, customer_id), await documents.find_one({"_id": customer_id})
                    say("holding")
                else:
                    text = opened(*held)
                    await stack.pop_all().aclose()
                    say(text)
            except LeaseLostError:
                say("LeaseLostError")
    await vault.stop()
    await close(client)


async def fetch(vault, customer_id):
    return (await vault.keys([customer_id])).get(customer_id)


def opened(key, document):
    if not isinstance(key, DataKey):
        return str(key)
    return key.open(document["sealed"]["contact"], "profiles", document["_id"], "contact", 1)["email"]


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the way its parent hears of it


if __name__ == "__main__":
    asyncio.run(
        main(os.environ["URI"], *sys.argv[1:3], Path(sys.argv[3]), sys.argv[4], careless="--careless" in sys.argv)
    )
