"""Holds a server at saturation and looks whether it stays what it was: no error, memory flat, the access log complete.

64 connections send a mix of the two questions, look-ups by e-mail address and some writes; every answer is looked at. At
the end the access log must hold exactly one record more for each answer, and for each write another: the write itself,
beside the reading of what it became. Memory in the last third of the time may not be more than 5 % above the middle third.

Usage: scripts/stress [--minutes 10] [--customers 1000] [--connections 64]
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from audit import AccessReader
from benchmarks.asking import FIELDS, ONE, PAGE
from benchmarks.loading import Load, Requests, http_request
from benchmarks.processes import CPUTime, Running
from benchmarks.world import World, world
from server.clock import utc_now
from server.database import close, connect, database
from server.settings import Settings

_FIND = f"query Find($email: String!) {{ profileByIdentifier(type: EMAIL, value: $email) {{ {FIELDS} }} }}"
_WRITE = "mutation Write($input: UpdateProfileInput!) { updateProfile(input: $input) { profile { id city } } }"
_MOST_GROWTH = 1.05
_WARM_SECONDS = 10.0


def mix(made: World) -> list[bytes]:
    """What is sent, over and over: of 40 requests 24 for one profile, 12 by e-mail, 2 pages and 2 writes."""
    prepared = []
    people = [each for each in made.people if each.named]
    for number, person in enumerate(people):
        kind = number % 40
        headers: Mapping[str, str] = made.headers
        if kind in {0, 20}:
            body: dict[str, Any] = {"query": PAGE, "variables": {"first": 100}}
        elif kind in {10, 30}:
            headers = made.writer_headers
            change = {"id": person.id, "values": {"city": person.values["city"] or "Berlin"}}
            body = {"query": _WRITE, "variables": {"input": change}}
        elif kind % 3 == 1 and person.values["email"]:
            body = {"query": _FIND, "variables": {"email": person.values["email"]}}
        else:
            body = {"query": ONE, "variables": {"id": person.id}}
        prepared.append(http_request("/graphql", json.dumps(body).encode(), dict(headers)))
    return prepared


class Seen:
    """Every answer, looked at."""

    def __init__(self) -> None:
        self.answers = 0
        self.kinds: Counter[str] = Counter()
        self.entries: set[str] = set()

    def __call__(self, body: bytes) -> None:
        """Take one answer.

        Raises:
            ValueError: It holds an error, or nothing, or names no entry of the access log, or one named before.
        """
        answer = json.loads(body)
        if answer.get("errors") or not answer.get("data"):
            raise ValueError(body[:2000].decode())
        name, shown = next(iter(answer["data"].items()))
        if not shown:
            raise ValueError("an answer is empty: " + body[:2000].decode())
        entry = answer["extensions"]["privacy"]["entry"]
        if not entry or entry in self.entries:
            raise ValueError(f"the entry {entry} is named twice, or none is: " + body[:2000].decode())
        self.entries.add(entry)
        self.kinds[name] += 1
        self.answers += 1


async def records(made: World) -> int:
    """How many records the access log holds."""
    client = connect(made.uri)
    names = Settings(data_dir=made.directory, mongo_uri=SecretStr(made.uri))
    reader = AccessReader.over(database(client, names.audit_database), now=utc_now)
    size = 0
    for shard in await reader.shards():
        checked = await reader.verify_shard(shard)
        if not checked:
            raise SystemExit(f"a shard of the access log is not whole: {checked.fault}")
        size += checked.head.size
    await close(client)
    return size


async def _watch(server: Running, samples: list[tuple[float, int]]) -> None:
    began = time.monotonic()
    while True:
        samples.append((time.monotonic() - began, server.memory()))
        await asyncio.sleep(1)


async def stress(minutes: float, customers: int, connections: int) -> dict[str, Any]:
    """Run, and say what was seen."""
    async with world(customers) as made:
        prepared, seen, samples = mix(made), Seen(), list[tuple[float, int]]()
        async with made.confide() as server:
            before = await records(made)
            async with Load(server.port, connections) as load:
                # Until every key is open and every plan made, memory grows as it should.
                warm = Requests(prepared, seen)
                end = time.monotonic() + min(_WARM_SECONDS, 6 * minutes)
                while time.monotonic() < end:
                    await load.run(warm, len(prepared))
                sampling = asyncio.create_task(_watch(server, samples))
                cpu, began, counted = CPUTime(server.pid), time.monotonic(), seen.answers
                while time.monotonic() - began < 60 * minutes:
                    requests = Requests(prepared, seen)
                    await load.run(requests, len(prepared))
                seconds, used = time.monotonic() - began, cpu.passed()
                sampling.cancel()
        found = await records(made) - before
    expected = seen.answers + seen.kinds["updateProfile"]
    third = seconds / 3
    middle = statistics.median(each for at, each in samples if third <= at < 2 * third)
    last = statistics.median(each for at, each in samples if at >= 2 * third)
    return {
        "minutes": round(seconds / 60, 2),
        "answers": seen.answers,
        "rate": round((seen.answers - counted) / seconds, 1),
        "busy": round(used / seconds, 3),
        "kinds": dict(seen.kinds),
        "records": found,
        "expected": expected,
        "memory_mib": {"middle": round(middle / 2**20, 1), "last": round(last / 2**20, 1)},
        "growth": round(last / middle, 4),
        "complete": found == expected,
        "flat": last / middle <= _MOST_GROWTH,
    }


def main() -> None:
    """Run, print, and fail where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=64)
    arguments = parser.parse_args()
    try:
        found = asyncio.run(stress(arguments.minutes, arguments.customers, arguments.connections))
    except (ValueError, OSError) as error:
        raise SystemExit(f"an answer was not as it should be: {error}") from None
    print(json.dumps(found, indent=2))
    if not found["complete"]:
        print(f"the access log holds {found['records']} records, and not {found['expected']}", file=sys.stderr)
    if not found["flat"]:
        print(f"memory grew by the factor {found['growth']}", file=sys.stderr)
    sys.exit(0 if found["complete"] and found["flat"] else 1)


if __name__ == "__main__":
    main()
