"""Taking events in: how many a second are acknowledged, what each costs our own process, and where that goes.

In one process, without HTTP: batches as an SDK's server sends them are decoded, accepted, and heard of by profiles. By
default on an embedded engine of its own, which does most of the work and is most of the limit: its share is shown too.
`CONFIDE_MONGO_URI` measures another database. docs/collection.md quotes what it prints.

    python -m benchmarks.collect [--people 1000] [--batches 40] [--size 100] [--spread 20] [--at-once 4] [--no-plan]
        [--rate 1000] [--seconds 10]
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from customers.collection.plans import EventRule, PropertyRule, TrackingPlan
from customers.collection.sources import Source
from customers.collection.wiring import Collecting
from customers.errors import IntakeBusyError
from server import garbage
from server.clock import utc_now
from server.engine import embedded_engine
from server.platform import Platform, open_platform
from server.settings import Settings

TICKS = os.sysconf("SC_CLK_TCK")
PLAN = TrackingPlan(
    name="shop",
    events={
        "Product Viewed": EventRule(
            properties={
                "sku": PropertyRule("user.behavior.purchase_history.items", {"type": "string"}, clear=True),
                "price": PropertyRule("user.behavior.purchase_history.items", {"type": "number"}, clear=True),
                "category": PropertyRule("user.behavior.activity", {"type": "string"}, clear=True),
                "search": PropertyRule("user.content"),
            }
        )
    },
    traits={"tier": PropertyRule("user.account.loyalty")},
)
# Where time goes: by the first of these that a function's file name holds.
ROOMS = {
    "understanding, dedupe, plan": ("customers/collection",),
    "who it is (identity, blind index)": (
        "customers/identity",
        "vault/blind",
        "vault/tokens",
        "vault/normal",
        "hmac.py",
    ),
    "profiles": ("customers/profiles", "customers/consent", "customers/disclosure", "customers/access"),
    "keys, sealing": ("vault/", "cryptography"),
    "audit log": ("audit/",),
    "database driver, BSON": ("pymongo", "bson"),
    "event loop": ("asyncio", "uvloop", "selectors", "ssl.py", "socket"),
}


@dataclass(frozen=True)
class Bench:
    """What is measured."""

    platform: Platform
    parts: Collecting
    source: Source
    engine: int | None


def event(number: int, who: int) -> dict[str, Any]:
    """One event as an SDK sends it, of about a thousand bytes."""
    shared = {
        "messageId": f"ajs-{number:032d}",
        "userId": f"{who}",
        "anonymousId": f"8f0b7c1e-4f5a-4a39-9d3c-{who:012d}",
        "timestamp": "2026-05-14T09:30:00.000Z",
        "context": {
            "ip": "192.0.2.7",
            "library": {"name": "analytics.js", "version": "4.1.0"},
            "locale": "en-GB",
            "page": {"path": "/tea", "referrer": "", "title": "Tea", "url": "https://shop.example/tea?x=1"},
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537",
            "timezone": "Europe/London",
            "consent": {"categoryPreferences": {"ads": True, "stats": False}},
        },
        "integrations": {},
    }
    if number % 20 == 0:
        traits = {"firstName": "Ada", "lastName": "Lovelace", "tier": "gold", "visits": number % 7}
        return {"type": "identify", "traits": traits, **shared}
    properties = {
        "sku": f"SKU-{number % 500}",
        "price": 12.5,
        "category": "tea",
        "search": "first flush darjeeling",
        "position": number % 24,
        "coupon": None,
        "variant": "100 g",
    }
    return {"type": "track", "event": "Product Viewed", "properties": properties, **shared}


@asynccontextmanager
async def opened(arguments: argparse.Namespace) -> AsyncIterator[Bench]:
    """A platform that takes events in."""
    with tempfile.TemporaryDirectory(prefix="confide-benchmark-") as directory:
        if os.environ.get("CONFIDE_MONGO_URI"):
            async with ready(Path(directory), arguments, None) as bench:
                yield bench
            return
        async with embedded_engine(Path(directory) / "engine") as engine:
            os.environ["CONFIDE_MONGO_URI"] = engine.uri
            async with ready(Path(directory), arguments, engine.pid) as bench:
                yield bench


@asynccontextmanager
async def ready(directory: Path, arguments: argparse.Namespace, engine: int | None) -> AsyncIterator[Bench]:
    """The same, over a database that is there."""
    run = f"collect_{os.getpid()}"
    names = {f"{part}_database": f"{run}_{part}" for part in ("main", "keys", "audit")}
    settings = Settings(data_dir=directory / "confide", **names)
    async with open_platform(settings) as platform:
        name = None if arguments.no_plan else PLAN.name
        await platform.collecting.plans.put(PLAN, by="benchmark")
        source, _ = await platform.sources.create(f"bench-{os.getpid()}", plan=name, consent={"ads": "marketing"})
        yield Bench(platform, platform.collecting, source, engine)


async def deliver(bench: Bench, bodies: list[bytes], at_once: int) -> list[float]:
    """Have batches accepted, so many at a time; how long each took. Busy ones are sent again, as SDKs do."""
    waiting = iter(bodies)
    taken: list[float] = []

    async def sender() -> None:
        for body in waiting:
            began = time.perf_counter()
            while True:
                try:
                    batch = msgspec.json.decode(body)["batch"]
                    await bench.parts.intake.accept(bench.source, batch, sent_at=None, received_at=utc_now())
                    break
                except IntakeBusyError:
                    await asyncio.sleep(0.05)
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(sender() for _ in range(at_once)))
    return taken


def batches(first: int, count: int, arguments: argparse.Namespace, people: int) -> list[bytes]:
    """Bodies of batches, encoded beforehand, each about so many people; the same in every run."""
    found = []
    for number in range(first, first + count):
        chance = random.Random(number)  # noqa: S311 - as said above
        whose = [chance.randrange(people) for _ in range(arguments.spread)]
        size = arguments.size
        sent = [event(number * size + each, whose[each % arguments.spread]) for each in range(size)]
        found.append(msgspec.json.encode({"batch": sent}))
    return found


async def measure(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run: everybody new, then everybody known."""
    size, count, people = arguments.size, arguments.batches, arguments.people
    new = batches(0, max(1, people // size), arguments, 10**9)
    began, cpu = time.perf_counter(), time.process_time()
    await deliver(bench, new, arguments.at_once)
    first = (time.perf_counter() - began, time.process_time() - cpu, len(new) * size)
    await bench.parts.applier.settle()
    everybody = [event(10**9 + each, each) for each in range(people)]
    warm = [msgspec.json.encode({"batch": everybody[each : each + 100]}) for each in range(0, people, 100)]
    await deliver(bench, warm, arguments.at_once)
    await bench.parts.applier.settle()

    bodies = batches(10**6, count, arguments, people)
    garbage.settle()  # as the server does
    engine = cpu_of(bench.engine)
    began, cpu = time.perf_counter(), time.process_time()
    taken = await deliver(bench, bodies, arguments.at_once)
    wall, accepting = time.perf_counter() - began, time.process_time() - cpu
    behind = bench.parts.applier.backlog
    await bench.parts.applier.settle()
    heard, whole = time.perf_counter() - began - wall, time.process_time() - cpu
    events = count * size
    return {
        "events": events,
        "acknowledged a second": round(events / wall),
        "new people: acknowledged a second": round(first[2] / first[0]),
        "new people: CPU us an event": round(first[1] / first[2] * 1e6),
        "load of the machine": round(os.getloadavg()[0], 1),
        "batch ms, median": round(statistics.median(taken) * 1000),
        "CPU us an event, until acknowledged": round(accepting / events * 1e6),
        "CPU us an event, with profiles told": round(whole / events * 1e6),
        "engine CPU us an event": per_event(bench, engine, events),
        "profiles behind at the end": behind,
        "seconds until all had heard": round(heard, 2),
        **(await visible(bench, arguments) if arguments.rate else {}),
    }


async def visible(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    """How long it takes, at a steady rate, until an event is durable and until its profile counts it.

    Each batch brings an event of somebody of whom there was one event before, and who does nothing else. All who are
    waited for are looked at together, twenty times a second.
    """
    size = arguments.size
    count = round(arguments.rate * arguments.seconds / size)
    probes = [f"probe-{number}" for number in range(count)]
    met = [{**event(10**10 + number, 0), "userId": each, "anonymousId": each} for number, each in enumerate(probes)]
    for start in range(0, count, 100):
        await deliver(bench, [msgspec.json.encode({"batch": met[start : start + 100]})], 1)
    await bench.parts.applier.settle()
    owners = {}
    for each in probes:
        owners[await bench.platform.vault.blind.find("external_id", f"user:{each}")] = each
    sent: dict[str, float] = {}
    durable: list[float] = []
    counted: dict[str, float] = {}
    bodies = []
    for number, body in enumerate(batches(3 * 10**6, count, arguments, arguments.people)):
        events = msgspec.json.decode(body)["batch"]
        events[0] |= {"userId": probes[number], "anonymousId": probes[number], "messageId": f"seen-{number}"}
        bodies.append(msgspec.json.encode({"batch": events}))

    async def send(number: int) -> None:
        await asyncio.sleep(number * size / arguments.rate)
        sent[probes[number]] = time.perf_counter()
        await deliver(bench, [bodies[number]], 1)
        durable.append(time.perf_counter() - sent[probes[number]])

    sending = [asyncio.create_task(send(number)) for number in range(count)]
    began, cpu = time.perf_counter(), time.process_time()
    engine = cpu_of(bench.engine)
    while len(counted) < count:
        await asyncio.sleep(0.05)
        waited = [owner for owner, each in owners.items() if each in sent and each not in counted]
        query = {"_id": {"$in": waited}, "event_count": {"$gt": 1}}
        for found in await bench.platform.main["profiles"].find(query, {"_id": 1}).to_list(None):
            counted[owners[found["_id"]]] = time.perf_counter() - sent[owners[found["_id"]]]
        if len(durable) == count and time.perf_counter() - began > 2 * arguments.seconds + 60:
            break
    await asyncio.gather(*sending)
    wall = max(durable[-1] + sent[probes[-1]] - began, 1e-9)
    return {
        "sent a second": round(count * size / wall),
        "durable after ms, p50": round(at(durable, 50)),
        "durable after ms, p99": round(at(durable, 99)),
        "counted on the profile after ms, p50": round(at(list(counted.values()), 50)),
        "counted on the profile after ms, p99": round(at(list(counted.values()), 99)),
        "never counted": count - len(counted),
        "CPU us an event at that rate, profiles told": round((time.process_time() - cpu) / (count * size) * 1e6),
        "engine CPU us an event at that rate": per_event(bench, engine, count * size),
    }


def at(seconds: list[float], percent: int) -> float:
    """A percentile, in milliseconds."""
    return sorted(seconds)[min(len(seconds) - 1, len(seconds) * percent // 100)] * 1000


def per_event(bench: Bench, before: float | None, events: int) -> int | None:
    """Microseconds that the engine took for each event since then."""
    return None if before is None else round(((cpu_of(bench.engine) or 0) - before) / events)


def cpu_of(pid: int | None) -> float | None:
    """Microseconds of processor time that a process has taken so far."""
    if pid is None:
        return None
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS * 1e6


async def where(bench: Bench, arguments: argparse.Namespace) -> dict[str, float]:
    """The share of our own processor time that each room takes, by the profiler."""
    bodies = batches(2 * 10**6, arguments.batches // 2 or 1, arguments, arguments.people)
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    await deliver(bench, bodies, arguments.at_once)
    await bench.parts.applier.settle()
    profiler.disable()
    taken: dict[str, float] = defaultdict(float)
    for (file, _, name), (_, _, own, _, callers) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if file != "~":
            taken[room_of(file)] += own
            continue
        # What is written in C is its callers'.
        whole = sum(each[2] for each in callers.values()) or 1.0
        for (caller, _, _), each in callers.items():
            room = room_of(name) if room_of(name) != "everything else" else room_of(caller)
            taken[room] += own * each[2] / whole
    whole = sum(taken.values())
    return {room: round(100 * each / whole, 1) for room, each in sorted(taken.items(), key=lambda pair: -pair[1])}


def room_of(file: str) -> str:
    """Which part of the house a file belongs to."""
    return next((room for room, parts in ROOMS.items() if any(part in file for part in parts)), "everything else")


async def run(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    async with opened(arguments) as bench:
        found = await measure(bench, arguments)
        shares = await where(bench, arguments)
    if arguments.json:
        print(json.dumps({**found, "where": shares}, indent=2))
        return
    for name, value in found.items():
        print(f"{name:<40} {value}")
    print("\n| where our own processor time goes | share |\n| --- | --- |")
    for room, share in shares.items():
        print(f"| {room} | {share} % |")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--spread", type=int, default=20, help="how many people a batch is about, at most")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument(
        "--rate", type=float, default=1000, help="events a second while it is seen when they are heard of"
    )
    parser.add_argument("--seconds", type=float, default=10, help="for how long; 0 events a second leaves it out")
    parser.add_argument("--no-plan", action="store_true")
    parser.add_argument("--json", action="store_true")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
