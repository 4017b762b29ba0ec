"""How the cost of a request grows: with customers, with the page, with the policy's rules, with clients at once."""

import random
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import policies
from benchmarks.asking import FIELDS, ONE, Cost, Question, Taking, fitting, median, question, take
from benchmarks.compare import interleaved, page_question, single_question, spread
from benchmarks.processes import Running
from benchmarks.world import World

__all__ = ["CLIENTS", "PAGES", "RULES", "by_clients", "by_customers", "by_page", "by_rules"]

PAGES = (1, 10, 25, 50, 100)
RULES = (10, 100, 300, 1000)
CLIENTS = (1, 2, 4, 8, 16, 32, 64)
_CONNECTIONS = 8
_FIRST_SIGHT = 70
_RULES_FILE = "rules.csv"
_AFTER = f"query Page($after: String) {{ profiles(first: 100, after: $after) {{ nodes {{ {FIELDS} }} }} }}"
_BY_EMAIL = f"query Find($email: String!) {{ profileByIdentifier(type: EMAIL, value: $email) {{ {FIELDS} }} }}"
# What is asked for in these measurements, in as few rules as it can be allowed.
_NEEDED = (
    "user.name", "user.contact", "user.unique_id", "user.location", "user.demographic.language", "user.account",
    "user.behavior", "system.operations",
)  # fmt: skip


def _point(x: float, costs: Sequence[Cost], **more: float) -> dict[str, float]:
    middle = median(costs)
    return {
        "x": x,
        "cpu_us": round(middle.cpu, 1),
        "low_us": round(min(each.cpu for each in costs), 1),
        "high_us": round(max(each.cpu for each in costs), 1),
        "p50_ms": round(middle.p50, 3),
        "p99_ms": round(middle.p99, 3),
        "rate": round(middle.rate, 1),
        **more,
    }


async def _curves(
    servers: Mapping[int, Running], asked: Mapping[int, Question], connections: int, taking: Taking
) -> list[dict[str, float]]:
    """A point for each server, measured in turn."""
    by_name = {server.name: x for x, server in servers.items()}
    if len(by_name) < len(servers):
        raise SystemExit("servers that are measured in turn have names of their own")
    named = {server.name: asked[x] for x, server in servers.items()}
    taken = await interleaved(list(servers.values()), named, connections, taking)
    return [_point(by_name[name], costs) for name, costs in taken.items()]


# ---- Customers


def _pages_everywhere(made: World) -> Question:
    """Pages of 100 from ten places of the list."""
    people = made.people
    last = len(people) - 101
    starts = sorted({max(0, last * tenth // 10) for tenth in range(1, 11)})
    shown = {
        people[start + 1].id: [dict(each.values) for each in people[start + 1 : start + 101]] for start in starts
    }

    def right(data: Any) -> bool:
        nodes = data["profiles"]["nodes"]
        return bool(nodes == shown[nodes[0]["id"]])

    return question(_AFTER, [{"after": people[start].cursor} for start in starts], made.headers, right)


def _by_email(made: World) -> Question:
    """Customers by their e-mail address, through the blind index."""
    people = {each.values["email"]: dict(each.values) for each in spread(made.people) if each.values["email"]}
    ids = {each["id"] for each in people.values()}

    def right(data: Any) -> bool:
        found = data["profileByIdentifier"]
        return bool(found["id"] in ids and found == people[found["email"]])

    return question(_BY_EMAIL, [{"email": email} for email in people], made.headers, right)


def _strangers(made: World, rounds: int) -> list[Question]:
    """Customers that no other question asks for, some for each round: their keys have not been opened yet."""
    known = {each.id for each in spread(made.people)}
    strangers = [each for each in made.people if each.named and each.id not in known]
    random.Random(0).shuffle(strangers)  # noqa: S311 - an order, the same each time
    size = min(_FIRST_SIGHT, len(strangers) // rounds)
    parts = []
    for number in range(rounds):
        people = {each.id: dict(each.values) for each in strangers[number * size : (number + 1) * size]}
        parts.append(_of(made, people))
    return parts


def _of(made: World, people: Mapping[str, Any]) -> Question:
    def right(data: Any) -> bool:
        return bool(data["profile"] == people[data["profile"]["id"]])

    return question(ONE, [{"id": each} for each in people], made.headers, right)


async def by_customers(worlds: Mapping[int, World], taking: Taking) -> dict[str, list[dict[str, float]]]:
    """Curves over the number of customers: one profile, a page, a look-up by identifier, and somebody not seen before."""
    curves: dict[str, list[dict[str, float]]] = {}
    async with AsyncExitStack() as stack:
        servers = {
            count: await stack.enter_async_context(made.confide(f"{count} customers"))
            for count, made in worlds.items()
        }
        strangers: dict[int, list[Cost]] = {count: [] for count in worlds}
        for count, made in worlds.items():
            await fitting(servers[count], single_question(made), _CONNECTIONS, taking)
        parts = {count: _strangers(made, taking.rounds) for count, made in worlds.items()}
        for number in range(taking.rounds):
            for count in worlds:
                asked, known = parts[count][number], single_question(worlds[count])
                count_asked = len(asked.prepared)
                cost = await take(servers[count], asked, _CONNECTIONS, count_asked, first=known)
                strangers[count].append(cost)
        curves["first sight"] = [_point(count, costs) for count, costs in strangers.items()]
        for name, make in (("one", single_question), ("page", _pages_everywhere), ("by e-mail", _by_email)):
            asked_by = {count: make(made) for count, made in worlds.items()}
            curves[name] = await _curves(servers, asked_by, _CONNECTIONS, taking)
    return curves


# ---- The page


async def by_page(server: Running, made: World, taking: Taking) -> dict[str, list[dict[str, float]]]:
    """CPU for each profile of a page, by how many a page has."""
    questions = {first: page_question(made, first) for first in PAGES}
    counts = {first: await fitting(server, asked, _CONNECTIONS, taking) for first, asked in questions.items()}
    taken: dict[int, list[Cost]] = {first: [] for first in PAGES}
    for _ in range(taking.rounds):
        for first, asked in questions.items():
            taken[first].append(await take(server, asked, _CONNECTIONS, counts[first]))
    points = [_point(first, costs) for first, costs in taken.items()]
    return {
        "page": points,
        "profile": [{"x": each["x"], "cpu_us": round(each["cpu_us"] / each["x"], 1)} for each in points],
    }


# ---- Rules


@contextmanager
def policy_directory(rules: int) -> Iterator[Path]:
    """A policy of so many rules, of which the same few allow what is asked; the others are the agent's and others' too.

    The others stand in front, and are of roles, purposes and categories that there are.
    """
    found = policies.load_policies()
    roles = sorted(found.roles)
    categories = sorted({field.category for field in found.catalogue.fields.values()})
    purposes = sorted(found.purposes)
    needed = [f"p, support_agent, customer_service, {each}, read, any, allow" for each in _NEEDED]
    needed += [
        "p, support_agent, customer_service, user.contact.email, filter, any, allow",
        "p, support_agent, customer_service, user.unique_id, filter, any, allow",
    ]
    chosen = random.Random(rules)  # noqa: S311 - the same policy each time
    others: dict[str, None] = {}
    while len(others) < rules - len(needed):
        role = "support_agent" if chosen.random() < 1 / 4 else chosen.choice(roles)
        line = f"p, {role}, {chosen.choice(purposes)}, {chosen.choice(categories)}, read, any, allow"
        if line not in needed:
            others[line] = None
    directory = Path(tempfile.mkdtemp(prefix="confide-policy-"))
    try:
        (directory / _RULES_FILE).write_text("\n".join([*others, *needed]) + "\n")
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def by_rules(made: World, taking: Taking) -> dict[str, list[dict[str, float]]]:
    """Curves over the number of the policy's rules; four servers of the same customers, in turn."""
    curves: dict[str, list[dict[str, float]]] = {}
    async with AsyncExitStack() as stack:
        servers = {}
        for count in RULES:
            directory = stack.enter_context(policy_directory(count))
            served = made.confide(f"{count} rules", CONFIDE_POLICY_DIR=str(directory))
            servers[count] = await stack.enter_async_context(served)
        for name, asked in (("one", single_question(made)), ("page", page_question(made))):
            names = {server.name: count for count, server in servers.items()}
            taken = await interleaved(list(servers.values()), dict.fromkeys(names, asked), _CONNECTIONS, taking)
            least = taken[f"{RULES[0]} rules"]
            curves[name] = [
                _point(count, taken[f"{count} rules"], ratio=_ratio(taken[f"{count} rules"], least))
                for count in RULES
            ]
    return curves


def _ratio(costs: Sequence[Cost], least: Sequence[Cost]) -> float:
    """The median of the ratios, round by round."""
    ratios = sorted(one.cpu / other.cpu for one, other in zip(costs, least, strict=True))
    return round(ratios[len(ratios) // 2], 3)


# ---- Clients


async def by_clients(server: Running, made: World, taking: Taking) -> dict[str, list[dict[str, float]]]:
    """Curves over how many clients ask at once."""
    curves: dict[str, list[dict[str, float]]] = {}
    for name, asked in (("one", single_question(made)), ("page", page_question(made))):
        counts = {clients: await fitting(server, asked, clients, taking) for clients in CLIENTS}
        taken: dict[int, list[Cost]] = {clients: [] for clients in CLIENTS}
        for _ in range(taking.rounds):
            for clients in CLIENTS:
                taken[clients].append(await take(server, asked, clients, counts[clients]))
        curves[name] = [_point(clients, costs) for clients, costs in taken.items()]
    return curves
