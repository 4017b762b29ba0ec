"""Measures whether signing in to the portal tells who is a customer; `scripts/sign-in-timing` runs it."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from server.database import close, connect
from server.engine import embedded_engine
from tests.server.entry.doors import open_door
from tests.server.entry.timing import compared, leaking, samples


async def measured(count, *, control):
    """The verdict on the door as it is, and on one that leaks."""
    with tempfile.TemporaryDirectory() as found:
        directory = Path(found)
        async with embedded_engine(directory / "data", authenticate=False) as engine:
            client = connect(engine.uri)
            try:
                async with open_door(engine.uri, client, directory / "door") as door:
                    verdict = compared(*await samples(door, count))
                    sys.stdout.write(f"as it is:  {verdict}\n")
                    if not control:
                        return not verdict.tells
                    door.entry.keeper = leaking(door)
                    door.app = door.made(door.entry)
                    leak = compared(*await samples(door, count))
                    sys.stdout.write(f"a leak:    {leak}\n")
                    return leak.tells and not verdict.tells
            finally:
                await close(client)


def main():
    """Exit with 1 where the door tells, or where a leak is not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000, help="half of known addresses (2000)")
    parser.add_argument("--no-control", action="store_true", help="do not measure a door that leaks beside it")
    asked = parser.parse_args()
    sys.exit(0 if asyncio.run(measured(asked.samples, control=not asked.no_control)) else 1)


if __name__ == "__main__":
    main()
