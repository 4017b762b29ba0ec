"""What appending to the access log costs: `python -m benchmarks.audit`, against an embedded engine of its own.

Many appenders each append one record after another, as requests do. Measured is the CPU time of this process; then
the driver alone inserts the very same batches again, and the difference, by record, is the log's own.
"""

import argparse
import asyncio
import itertools
import os
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from audit import AccessLog, AccessQuery, AccessReader, Decision, Kind, Outcome, Reason, Record, Verdict, timestamp
from server.database import close, connect, database
from server.engine import embedded_engine

_CLEAR = tuple(f"profile.field_{number:02d}" for number in range(12))


def _now() -> datetime:
    return datetime.now(UTC)


def _record(number: int, subjects: int) -> Record:
    """A read of 12 fields of one profile, or of a page of profiles, one in four agents masked."""
    masked = number % 4 == 0
    return Record(
        actor=f"agent-{number % 40}",
        roles=("support_agent",),
        client="console",
        purpose="customer_service",
        case=f"T-{number % 500}",
        kind=Kind.READ,
        operation="Profile",
        document="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        decisions=(
            Decision(decision=Verdict.CLEAR, fields=_CLEAR[:10], rule=3),
            Decision(
                decision=Verdict.MASKED if masked else Verdict.WITHHELD, fields=_CLEAR[10:], reason=Reason.POLICY
            ),
        ),
        subjects=tuple(f"{number * subjects + each:022d}" for each in range(subjects)),
        policy="1f3a",
        trace=f"{number:032x}",
        outcome=Outcome.ALLOWED,
        time=timestamp(_now()),
    )


@dataclass(frozen=True)
class _Measured:
    appenders: int
    subjects: int
    records: int
    commits: int
    seconds: float
    cpu: float
    driver_cpu: float

    def row(self) -> tuple[str, ...]:
        return (
            str(self.appenders),
            str(self.subjects),
            f"{self.records / self.seconds:,.0f}",
            f"{self.records / self.commits:.1f}",
            f"{1e6 * self.cpu / self.records:.1f}",
            f"{1e6 * self.driver_cpu / self.records:.1f}",
            f"{1e6 * (self.cpu - self.driver_cpu) / self.records:.1f}",
        )


async def _measure(store: Any, replay: Any, appenders: int, subjects: int, records: int) -> _Measured:
    log = await AccessLog.open(store, now=_now, random=os.urandom)
    numbers = itertools.count()
    prepared = [_record(number, subjects) for number in range(records)]

    async def appender() -> None:
        while (number := next(numbers)) < records:
            await log.append(prepared[number])

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(appender() for _ in range(appenders)))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    await log.close()
    batches = await store.batches.find({"shard": log.shard}).to_list(None)
    await replay.batches.insert_one({})
    driver_cpu = time.process_time()
    for batch in batches:
        await replay.batches.insert_one(batch)
    driver_cpu = time.process_time() - driver_cpu
    return _Measured(appenders, subjects, records, len(batches), seconds, cpu, driver_cpu)


async def _read(store: Any, console: Console) -> None:
    reader = AccessReader.over(store, now=_now)
    started = time.perf_counter()
    for number in range(50):
        await reader.search(AccessQuery(actor=f"agent-{number % 40}"), limit=20)
    by_actor = (time.perf_counter() - started) / 50
    started = time.perf_counter()
    for number in range(50):
        await reader.search(AccessQuery(subject=f"{number:022d}"), limit=20)
    by_subject = (time.perf_counter() - started) / 50
    console.print(f"A page of 20 by actor {1e3 * by_actor:.1f} ms, by subject {1e3 * by_subject:.1f} ms")
    started, size = time.process_time(), 0
    for shard in await reader.shards():
        checked = await reader.verify_shard(shard)
        if not checked:
            raise SystemExit(f"a shard is not whole: {checked.fault}")
        size += checked.head.size
    console.print(f"Recomputed {size:,} records at {size / (time.process_time() - started):,.0f} a CPU second")


async def _run(records: int) -> None:
    console = Console()
    table = Table(title="Appending to the access log; CPU in µs a record, this process only")
    for heading in ("appenders", "subjects", "records/s", "records/commit", "CPU", "of it driver", "of it the log"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory() as directory:
        async with embedded_engine(Path(directory) / "data") as engine:
            client = connect(engine.uri)
            store, replay = database(client, "audit"), database(client, "replay")
            await _measure(database(client, "warm"), replay, 8, 1, 200)
            for appenders, subjects in ((1, 1), (8, 1), (64, 1), (256, 1), (64, 100)):
                count = records if appenders > 1 else max(records // 20, 100)
                count = count if subjects == 1 else max(count // 10, 100)
                table.add_row(*(await _measure(store, replay, appenders, subjects, count)).row())
            console.print(table)
            await _read(store, console)
            await close(client)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000, help="how many to append in each run (default 20,000)")
    asyncio.run(_run(parser.parse_args().records))


if __name__ == "__main__":
    main()
