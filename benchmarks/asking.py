"""What is asked, how an answer is checked, and what answering cost."""

import json
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.loading import Load, Requests, http_request
from benchmarks.processes import CPUTime, Running

__all__ = [
    "FIELDS",
    "NAMES",
    "ONE",
    "PAGE",
    "Cost",
    "Question",
    "Taking",
    "fitting",
    "median",
    "question",
    "take",
]

NAMES: Mapping[str, str] = {
    "id": "_id",
    "givenName": "given_name",
    "familyName": "family_name",
    "email": "email",
    "phone": "phone",
    "street": "street",
    "city": "city",
    "country": "country",
    "language": "language",
    "loyaltyTier": "loyalty_tier",
    "totalSpent": "total_spent",
    "orderCount": "order_count",
}
FIELDS = " ".join(NAMES)
ONE = f"query One($id: ID!) {{ profile(id: $id) {{ {FIELDS} }} }}"
PAGE = f"query Page($first: Int!) {{ profiles(first: $first) {{ nodes {{ {FIELDS} }} }} }}"
_LOOKED_INTO = 64
_NOTHING = re.compile(rb'"data": ?\{"\w+": ?null')


@dataclass(frozen=True)
class Question:
    """Requests of one kind.

    Attributes:
        prepared: The bytes of each.
        right: Whether the `data` of an answer is what was asked for; every 64th answer is asked of it, and the first.
    """

    prepared: Sequence[bytes]
    right: Callable[[Any], bool]


def question(
    query: str, variables: Sequence[Mapping[str, Any]], headers: Mapping[str, str], right: Callable[[Any], bool]
) -> Question:
    """The same query with these variables in turn."""
    bodies = [json.dumps({"query": query, "variables": each}).encode() for each in variables]
    return Question([http_request("/graphql", body, dict(headers)) for body in bodies], right)


@dataclass(frozen=True)
class Cost:
    """What requests cost.

    Attributes:
        cpu: Processor time of the server's processes for each, in microseconds.
        p50: The median of how long they took, in milliseconds.
        p99: 99 of 100 took no longer, in milliseconds.
        rate: How many were answered in a second.
        count: How many were sent.
        database: Processor time of the database for each, in microseconds; 0 where it is not known.
    """

    cpu: float
    p50: float
    p99: float
    rate: float
    count: int
    database: float = 0.0


@dataclass
class Taking:
    """How long is measured.

    Attributes:
        rounds: How often each is measured, in turn.
        seconds: How long each time, about.
    """

    rounds: int = 7
    seconds: float = 0.4


class _Check:
    """Looks at every answer: at all for an error, at some for each value."""

    def __init__(self, right: Callable[[Any], bool]) -> None:
        self._right = right
        self._seen = 0

    def __call__(self, body: bytes) -> None:
        if b'"errors"' in body or b'"data"' not in body or _NOTHING.search(body):
            raise ValueError(body[:2000].decode(errors="replace"))
        if not self._seen % _LOOKED_INTO and not self._right(json.loads(body)["data"]):
            raise ValueError("not what was asked for: " + body[:2000].decode(errors="replace"))
        self._seen += 1


async def take(
    server: Running, asked: Question, connections: int, count: int, *, first: Question | None = None
) -> Cost:
    """Send `count` requests over so many connections, and say what they cost.

    Each connection is used once before; for that, `first` is asked where it is given.

    Raises:
        ValueError: An answer is wrong.
    """
    async with Load(server.port, connections) as load:
        before = first or asked
        await load.run(Requests(before.prepared, _Check(before.right)), connections)
        requests = Requests(asked.prepared, _Check(asked.right))
        database = None if server.database is None else CPUTime(server.database)
        cpu, began = CPUTime(server.pid), time.perf_counter()
        await load.run(requests, count)
        seconds, used = time.perf_counter() - began, cpu.passed()
        beside = 0.0 if database is None else 1e6 * database.passed() / count
    taken = sorted(requests.seconds)
    last = taken[min(len(taken) - 1, int(0.99 * len(taken)))]
    return Cost(1e6 * used / count, 1e3 * statistics.median(taken), 1e3 * last, count / seconds, count, beside)


async def fitting(server: Running, asked: Question, connections: int, taking: Taking) -> int:
    """How many requests take about as long as is to be measured; the server is warm after it."""
    least = max(20, connections)
    await take(server, asked, connections, least)
    tried = await take(server, asked, connections, least)
    return max(least, min(20_000, round(tried.rate * taking.seconds)))


def median(costs: Sequence[Cost]) -> Cost:
    """The medians of several measurements."""
    return Cost(
        statistics.median(each.cpu for each in costs),
        statistics.median(each.p50 for each in costs),
        statistics.median(each.p99 for each in costs),
        statistics.median(each.rate for each in costs),
        sum(each.count for each in costs),
        statistics.median(each.database for each in costs),
    )
