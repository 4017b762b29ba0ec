"""Confide against servers without any privacy: the same engine, the same values, the same two questions.

All run side by side and are asked in turn, so that a ratio is of two measurements of the same second of the machine.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.asking import ONE, PAGE, Cost, Question, Taking, fitting, median, question, take
from benchmarks.loading import Load, Requests
from benchmarks.processes import CPUTime, Running, free_port, running
from benchmarks.world import Person, World

__all__ = [
    "COLD_STARTS",
    "CONFIDE",
    "CONNECTIONS",
    "QUERIES",
    "compare",
    "page_question",
    "rival",
    "single_question",
    "spread",
]

CONFIDE = "Confide"
CONNECTIONS = (1, 8, 32)
QUERIES = ("one", "page")
COLD_STARTS = 3
_SAMPLE = 500
_IDLE_SECONDS = 4.0
_REST_SECONDS, _RESTING, _LONGEST_START = 0.25, 0.05, 60
_HERE = Path(__file__).parent
_PYTHON = {
    "Confide, privacy off": "privacy_off",
    "Strawberry, default": "strawberry_default",
    "Strawberry, tuned": "strawberry_tuned",
    "Ariadne": "ariadne_app",
    "graphql-core": "graphql_core_app",
}
_NODE = {"GraphQL Yoga": "yoga", "Apollo Server": "apollo", "Mercurius, JIT": "mercurius"}
_SDL = """
type Profile { id: ID! givenName: String familyName: String email: String phone: String street: String city: String
  country: String language: String loyaltyTier: String totalSpent: String orderCount: Int }
type ProfileConnection { nodes: [Profile!]! }
type Query { profile(id: ID!): Profile profiles(first: Int! = 25): ProfileConnection! }
"""


def spread(people: Sequence[Person]) -> Sequence[Person]:
    """Up to 500 from everywhere in the list, and at most half of them; all with an id to ask for."""
    return [each for each in people[:: max(2, len(people) // _SAMPLE)] if each.named]


def single_question(made: World) -> Question:
    """One profile of 12 fields by its id: customers from everywhere in the list, in turn."""
    people = {person.id: dict(person.values) for person in spread(made.people)}

    def right(data: Any) -> bool:
        return bool(data["profile"] == people[data["profile"]["id"]])

    return question(ONE, [{"id": each} for each in people], made.headers, right)


def page_question(made: World, first: int = 100) -> Question:
    """The first customers of the list, 12 fields of each."""
    shown = [dict(person.values) for person in made.people[:first]]

    def right(data: Any) -> bool:
        return bool(data["profiles"]["nodes"] == shown)

    return question(PAGE, [{"first": first}], made.headers, right)


def _command(name: str) -> tuple[list[str], Path | None]:
    if name in _PYTHON:
        return [sys.executable, "-m", f"benchmarks.rivals.{_PYTHON[name]}"], _HERE.parent
    return ["node", f"{_NODE[name]}.mjs"], _HERE / "rivals" / "node"


@asynccontextmanager
async def rival(made: World, name: str) -> AsyncIterator[Running]:
    """One of the servers, Confide too, by its name in the report."""
    if name == CONFIDE:
        async with made.confide() as server:
            yield server
        return
    port = free_port()
    command, cwd = _command(name)
    environment = {
        "BENCHMARK_URI": made.uri,
        "BENCHMARK_PORT": str(port),
        "BENCHMARK_SDL": _SDL,
        "NODE_ENV": "production",
        "PATH": os.environ["PATH"],
    }
    async with running(name, command, environment, port, cwd=cwd) as server:
        yield replace(server, database=made.engine)


async def compare(made: World, taking: Taking, *, cold_starts: int = COLD_STARTS) -> dict[str, Any]:
    """The figures of all servers: CPU in microseconds, latencies in milliseconds, and ratios round by round."""
    names = [CONFIDE, *_PYTHON, *_NODE]
    questions = {"one": single_question(made), "page": page_question(made)}
    cold = {name: await _cold(made, name, questions["one"], cold_starts) for name in names}
    rows: list[dict[str, Any]] = []
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(rival(made, name)) for name in names]
        for query, asked in questions.items():
            for connections in CONNECTIONS:
                taken = await interleaved(servers, dict.fromkeys(names, asked), connections, taking)
                rows.extend(_rows(query, connections, taken))
        memory = {server.name: round(server.memory() / 2**20) for server in servers}
        idle = await _idle(servers)
    return {
        "customers": len(made.people),
        "rounds": taking.rounds,
        "rows": rows,
        "cold": cold,
        "memory_mib": memory,
        "idle_ms": idle,
    }


async def _idle(servers: Sequence[Running]) -> dict[str, float]:
    """CPU of each server in a second in which nobody asks, in milliseconds."""
    await asyncio.sleep(0.5)
    before = {server.name: CPUTime(server.pid) for server in servers}
    await asyncio.sleep(_IDLE_SECONDS)
    return {name: round(1e3 * cpu.passed() / _IDLE_SECONDS, 2) for name, cpu in before.items()}


async def interleaved(
    servers: Sequence[Running], asked: Mapping[str, Question], connections: int, taking: Taking
) -> dict[str, list[Cost]]:
    """Measure all servers in turn, round by round."""
    counts = {server.name: await fitting(server, asked[server.name], connections, taking) for server in servers}
    taken: dict[str, list[Cost]] = {server.name: [] for server in servers}
    for number in range(taking.rounds):
        # Who comes first in one round comes last in the next.
        for server in servers if number % 2 else reversed(servers):
            name = server.name
            taken[name].append(await take(server, asked[name], connections, counts[name]))
    return taken


def _rows(query: str, connections: int, taken: Mapping[str, Sequence[Cost]]) -> list[dict[str, Any]]:
    rows = []
    for name, costs in taken.items():
        middle = median(costs)
        ratios = [own.cpu / other.cpu for own, other in zip(taken[CONFIDE], costs, strict=True)]
        rows.append(
            {
                "query": query,
                "connections": connections,
                "server": name,
                "cpu_us": round(middle.cpu, 1),
                "database_us": round(middle.database, 1),
                "p50_ms": round(middle.p50, 3),
                "p99_ms": round(middle.p99, 3),
                "rate": round(middle.rate, 1),
                # Confide's CPU by this server's
                "ratio": round(statistics.median(ratios), 4),
                "ratio_low": round(min(ratios), 4),
                "ratio_high": round(max(ratios), 4),
            }
        )
    return rows


async def settled(server: Running) -> None:
    """Return when a server that accepts connections has come to rest: a socket may listen before what is behind it."""
    for _ in range(_LONGEST_START):
        cpu = CPUTime(server.pid)
        await asyncio.sleep(_REST_SECONDS)
        if cpu.passed() < _REST_SECONDS * _RESTING:
            return


async def _cold(made: World, name: str, asked: Question, starts: int) -> dict[str, float]:
    """What the first request after a start takes: milliseconds until its answer, and CPU of it; medians."""
    taken, used = [], []
    for _ in range(starts):
        async with rival(made, name) as server, Load(server.port, 1) as load:
            await settled(server)
            cpu, began = CPUTime(server.pid), time.perf_counter()
            await load.run(Requests(asked.prepared, lambda _: None), 1)
            taken.append(1e3 * (time.perf_counter() - began))
            used.append(1e3 * cpu.passed())
    return {"ms": round(statistics.median(taken), 2), "cpu_ms": round(statistics.median(used), 2)}
