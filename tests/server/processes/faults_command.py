"""`scripts/faults`: the rounds of the tests for as long as is asked, on an engine of their own."""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from customers.rights.requests import Kind
from server.database import close, connect, database
from server.engine import embedded_engine
from tests.audit.bundle_rounds import tamper_bundles
from tests.audit.stored_log import StoredLog
from tests.audit.stored_rounds import tamper
from tests.server.processes.await_rounds import kill_awaits
from tests.server.processes.collect_rounds import kill_collector
from tests.server.processes.deployment import deployed
from tests.server.processes.erased_bytes import Scanner
from tests.server.processes.erasure_rounds import kill_eraser
from tests.server.processes.kill_rounds import kill_server
from tests.server.processes.starting import Starter, starter
from tests.server.processes.worlds import Ground

# What is killed where it waits.
_WORKS = {
    "erase": ("erase", "tell"),
    "complete": (Kind.ERASURE, Kind.ACCESS, Kind.OBJECTION, Kind.RESTRICTION),
}
_ROUNDS = {"serve": kill_server, "collect": kill_collector, "erase": kill_eraser}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _kill(arguments: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="confide-faults-") as directory:
        async with embedded_engine(Path(directory) / "engine") as engine, starter() as processes:
            client = connect(engine.uri)
            async with deployed(Path(directory) / "site", processes, client, engine.uri) as site:
                began = time.monotonic()
                more = (
                    {"scanner": Scanner(site, engine=Path(directory) / "engine")}
                    if arguments.what == "erase"
                    else {"say": say, "every": arguments.every}
                )
                outcome = await _ROUNDS[arguments.what](site, kills=arguments.kills, seed=arguments.seed, **more)
                say(f"{outcome.summary} in {time.monotonic() - began:.0f} s, seed {arguments.seed}")
            await close(client)
    for fault in outcome.faults:
        say(f"FAULT: {fault}")
    return not outcome.faults


async def _kill_where_it_waits(arguments: argparse.Namespace) -> bool:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="confide-faults-") as name:
        async with starter() as processes:
            ended = await kill_awaits(
                _WORKS[arguments.what],
                lambda: _ground(processes, Path(name)),
                Path(name),
                most=None if arguments.awaits < 0 else arguments.awaits,
                seed=arguments.seed,
                at_once=arguments.at_once,
                say=say,
            )
    for each in ended:
        say(each.summary)
        for fault in each.faults:
            say(f"FAULT: {fault}")
    say(f"all in {time.monotonic() - began:.0f} s, seed {arguments.seed}")
    return not any(each.faults for each in ended)


@contextlib.asynccontextmanager
async def _ground(processes: Starter, directory: Path) -> AsyncIterator[Ground]:
    """An engine for some worlds, which goes with them."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        files = Path(name) / "engine"
        async with embedded_engine(files, authenticate=False) as engine:
            # While bytes are looked at, a heartbeat that waits for an answer would be late, and the driver would break off.
            client = connect(f"{engine.uri}&serverMonitoringMode=poll", timeout_ms=120_000)
            yield Ground(processes, client, engine.uri, Path(name) / "worlds", files)
            await close(client)


async def _everything(arguments: argparse.Namespace) -> bool:
    """What was asked for, one after the other."""
    whole = True
    if arguments.what in _ROUNDS and arguments.kills:
        whole = await _kill(arguments)
    if arguments.what in ("erase", "complete") and arguments.awaits:
        whole = await _kill_where_it_waits(arguments) and whole
    return whole


async def _tamper(arguments: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="confide-faults-") as name:
        directory = Path(name)
        found = [_tamper_bundles(arguments, directory)] if arguments.bundles else []
        if arguments.stored:
            async with embedded_engine(directory / "engine", authenticate=False) as engine:
                client = connect(engine.uri)
                (directory / "log").mkdir()
                stored = await StoredLog.make(database(client, "audit"), directory / "log")
                found.append(await _tamper_stored(arguments, stored, directory))
                await close(client)
    return all(found)


def _tamper_bundles(arguments: argparse.Namespace, directory: Path) -> bool:
    began = time.monotonic()
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Bundles", total=arguments.bundles)
        tally = tamper_bundles(
            random.Random(arguments.seed),  # noqa: S311 - tamperings, not secrets
            arguments.bundles,
            directory,
            second=arguments.second,
            said=lambda number: progress.update(task, completed=number),
        )
    table = _table(f"{arguments.bundles:,} tamperings with a bundle, seed {arguments.seed}", began)
    for heading in ("missed", "not located"):
        table.add_column(heading, justify="right")
    for name, made in sorted(tally.made.items()):
        table.add_row(name, f"{made:,}", str(tally.missed[name]), str(tally.lost[name]))
    Console().print(table)
    say(
        f"missed {tally.missed.total()}, not located {tally.lost.total()}; {tally.harmless} changed no member's bytes; "
        f"the second verifier was asked {tally.asked} times and disagreed {tally.disagreed} times"
    )
    return not tally.missed and not tally.lost and not tally.disagreed


async def _tamper_stored(arguments: argparse.Namespace, stored: StoredLog, directory: Path) -> bool:
    began = time.monotonic()
    path = directory / "export.zip"
    whole = [*await stored.check(), *await stored.verify(path)]
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("Database", total=arguments.stored)
        tally = await tamper(
            stored,
            path,
            random.Random(arguments.seed),  # noqa: S311 - tamperings, not secrets
            arguments.stored,
            said=lambda number: progress.update(task, completed=number),
        )
    whole += [*await stored.check(), *await stored.verify(path)]
    table = _table(f"{arguments.stored:,} tamperings with the database, seed {arguments.seed}", began)
    for heading in ("by check", "by export", "missed", "not located"):
        table.add_column(heading, justify="right")
    for name, made in sorted(tally.made.items()):
        columns = (tally.by_log, tally.by_bundle, tally.missed, tally.lost)
        table.add_row(name, f"{made:,}", *(f"{column[name]:,}" for column in columns))
    Console().print(table)
    for line in (*tally.examples[:20], *(f"the log that nobody tampered with: {each}" for each in whole)):
        say(f"FAULT: {line}")
    untouched = f"{len(whole)} faults are found" if whole else "nothing is found"
    say(f"missed {tally.missed.total()}, not located {tally.lost.total()}; in the log as it was, {untouched}")
    return not tally.missed and not tally.lost and not whole


def _table(title: str, began: float) -> Table:
    table = Table(title=f"{title}, {time.monotonic() - began:,.0f} s")
    table.add_column("tampering")
    table.add_column("made", justify="right")
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parts = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    audit = parts.add_parser(
        "audit",
        help="tamper with the access log",
        description="Tampers at random with bundles, then with the database, and shows that each is found and located.",
    )
    audit.add_argument("--bundles", type=int, default=1000, help="tamperings with bundles (default 1,000)")
    audit.add_argument("--stored", type=int, default=200, help="tamperings with the database (default 200)")
    audit.add_argument("--second", type=int, default=20, help="ask the second verifier for every so many (0: never)")
    serve = parts.add_parser(
        "serve",
        help="kill the server under load",
        description="Kills `confide serve` under load. After each kill the log is recomputed and every answer's "
        "record is looked up; at the end all of it is exported and verified.",
    )
    serve.add_argument("--kills", type=int, default=20, help="how often (default 20)")
    serve.add_argument("--every", type=int, default=100, help="export and verify after so many kills (default 100)")
    collect = parts.add_parser(
        "collect",
        help="kill the server while events come in",
        description="Kills `confide serve` while batches of events come in. In the end every acknowledged event is "
        "stored once and counted once on its profile, and the access log is exported and verified.",
    )
    collect.add_argument("--kills", type=int, default=20, help="how often (default 20)")
    collect.add_argument(
        "--every", type=int, default=100, help="compare and verify after so many kills (default 100)"
    )
    erase = parts.add_parser(
        "erase",
        help="kill an erasure",
        description="Kills an erasure at any moment; it must be finished by others. What the law demands must be kept "
        "once, the certificate must be in the log, and no byte of files and databases may hold anything of the person.",
    )
    erase.add_argument("--kills", type=int, default=6, help="how often at any moment, by the dice (default 6)")
    erase.add_argument(
        "--awaits",
        type=int,
        default=24,
        help="at how many of the places where an erasure waits, and of those where recipients are told of it, from the "
        "first to the last (default 24; -1: all)",
    )
    erase.add_argument("--at-once", type=int, default=6, help="how many are killed together (default 6)")
    complete = parts.add_parser(
        "complete",
        help="kill the completion of requests",
        description="Kills the completion of privacy requests where it waits. Completed again, each must be met, with "
        "the evidence in the log.",
    )
    complete.add_argument(
        "--awaits", type=int, default=12, help="at how many places of each kind (default 12; -1: all)"
    )
    complete.add_argument("--at-once", type=int, default=6, help="how many are killed together (default 6)")
    for part in (audit, serve, collect, erase, complete):
        part.add_argument("--seed", type=int, default=1, help="of the dice (default 1)")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    sys.exit(not asyncio.run((_tamper if arguments.what == "audit" else _everything)(arguments)))


if __name__ == "__main__":
    main()
