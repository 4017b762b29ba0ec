"""PyMongo's asynchronous client and Motor, side by side: CPU of the client process for the calls stores make.

    python -m benchmarks.drivers

Runs on `CONFIDE_MONGO_URI`, or on an embedded engine of its own. The two drivers take turns, so that a busy machine
slows both; CPU is of all threads, since Motor runs its calls in a thread pool. docs/decisions/0001-database-driver.md
quotes what it prints.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from server.database import Database, Driver, close, connect, database
from server.engine import embedded_engine

ROUNDS = 9
READS, INSERTS, PAGES = 300, 60, 60
DOCUMENTS, PAGE, CONCURRENT = 2_000, 100, 16

Call = Callable[[int], Awaitable[object]]


def document(number: int) -> dict[str, Any]:
    """A document like a profile: clear fields, and sealed groups as bytes."""
    return {
        "_id": f"cus_{number:026d}",
        "seq": number,
        "version": 1,
        "region": "eu",
        "country": "DE",
        "order_count": 3,
        "total_spent": 12_345,
        "rights": {"consented": ["email_marketing"], "objected": [], "restricted": False},
        "sealed": {group: os.urandom(120) for group in ("name", "contact", "address", "demographic")},
    }


async def timed(call: Call, times: int, concurrent: int) -> tuple[float, float]:
    """CPU and wall seconds of one call, when `concurrent` run at a time."""
    numbers = iter(range(times))

    async def worker() -> None:
        for number in numbers:
            await call(number)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrent)))
    return (time.process_time() - cpu) / times, (time.perf_counter() - wall) / times


def calls(found: Database, tag: str) -> dict[str, tuple[Call, int, int]]:
    """What stores do, each with how often and how many at a time."""
    serial = iter(range(1_000_000))

    async def read(number: int) -> object:
        return await found["profiles"].find_one({"_id": f"cus_{number * 7 % DOCUMENTS:026d}"})

    async def insert(_: int) -> object:
        return await found["written"].insert_one({**document(0), "_id": f"{tag}{next(serial)}"})

    async def page(number: int) -> object:
        first = number * PAGE % (DOCUMENTS - PAGE)
        cursor = found["profiles"].find({"seq": {"$gt": first, "$lte": first + PAGE}})
        rows = await cursor.sort("seq", 1).to_list(None)
        if len(rows) != PAGE:
            raise RuntimeError(len(rows))
        return rows

    return {
        "point read": (read, READS, 1),
        f"point read, {CONCURRENT} at a time": (read, READS, CONCURRENT),
        "durable insert": (insert, INSERTS, 1),
        f"page of {PAGE}": (page, PAGES, 1),
    }


async def measure(uri: str) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """All rounds, the drivers taking turns within each."""
    drivers: tuple[Driver, ...] = ("pymongo", "motor")
    clients = {driver: connect(uri, driver) for driver in drivers}
    name = f"drivers_{os.getpid()}"
    main = database(clients["pymongo"], name)
    await main["profiles"].create_index("seq", unique=True)
    for first in range(0, DOCUMENTS, 100):
        await main["profiles"].insert_many([document(number) for number in range(first, first + 100)])
    work = {driver: calls(database(clients[driver], name), driver) for driver in drivers}
    results: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for turn in range(ROUNDS + 1):
        for what in work["pymongo"]:
            for driver in drivers if turn % 2 else reversed(drivers):
                call, times, concurrent = work[driver][what]
                result = await timed(call, times, concurrent)
                if turn:  # the first warms both up
                    results.setdefault((what, driver), []).append(result)
    await clients["pymongo"].drop_database(name)
    for client in clients.values():
        await close(client)
    return results


def show(results: dict[tuple[str, str], list[tuple[float, float]]]) -> None:
    """The medians, as a Markdown table."""
    print("| call | PyMongo CPU | Motor CPU | Motor / PyMongo | PyMongo wall | Motor wall |")
    print("| --- | --- | --- | --- | --- | --- |")
    for what in dict.fromkeys(what for what, _ in results):
        cpu, wall = (
            {
                driver: statistics.median(row[column] for row in results[what, driver])
                for driver in ("pymongo", "motor")
            }
            for column in (0, 1)
        )
        print(
            f"| {what} | {cpu['pymongo'] * 1e6:.0f} µs | {cpu['motor'] * 1e6:.0f} µs "
            f"| {cpu['motor'] / cpu['pymongo']:.2f} "
            f"| {wall['pymongo'] * 1e6:.0f} µs | {wall['motor'] * 1e6:.0f} µs |"
        )


async def main() -> None:
    """Measure and print."""
    if uri := os.environ.get("CONFIDE_MONGO_URI"):
        show(await measure(uri))
        return
    with tempfile.TemporaryDirectory() as directory:
        async with embedded_engine(Path(directory) / "data") as engine:
            show(await measure(engine.uri))


if __name__ == "__main__":
    uvloop.run(main())
