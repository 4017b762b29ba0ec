"""`scripts/faults`: the rounds of the tests for as long as is asked, on an engine of their own."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from server.database import close, connect
from server.engine import embedded_engine
from tests.server.processes.deployment import deployed
from tests.server.processes.erasure_rounds import kill_eraser
from tests.server.processes.kill_rounds import kill_server
from tests.server.processes.starting import starter

_ROUNDS = {"serve": kill_server, "erase": kill_eraser}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _run(arguments: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="confide-faults-") as directory:
        async with embedded_engine(Path(directory) / "engine") as engine, starter() as processes:
            client = connect(engine.uri)
            async with deployed(Path(directory) / "site", processes, client, engine.uri) as site:
                began = time.monotonic()
                more = {"say": say} if arguments.what == "serve" else {}
                outcome = await _ROUNDS[arguments.what](site, kills=arguments.kills, seed=arguments.seed, **more)
                say(f"{outcome.summary} in {time.monotonic() - began:.0f} s, seed {arguments.seed}")
            await close(client)
    for fault in outcome.faults:
        say(f"FAULT: {fault}")
    return not outcome.faults


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("what", choices=_ROUNDS, help="what is killed")
    parser.add_argument("--kills", type=int, default=6, help="how often")
    parser.add_argument("--seed", type=int, default=1, help="of the dice that say when")
    sys.exit(not asyncio.run(_run(parser.parse_args())))


if __name__ == "__main__":
    main()
