"""How fast a policy is replayed and a radius counted: `python -m benchmarks.oversight --records 100000`.

Against an embedded engine of its own, with a log such as days of work leave: several roles, purposes and selections,
one record in ten a page of fifty customers, some with exceptions.
"""

import argparse
import asyncio
import os
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from rich.console import Console

from audit import AccessLog, AccessQuery, Deviation, Outcome, Reason, Record, Verdict
from customers.access import Access
from customers.caller import Caller
from customers.disclosure import Disclosure, Request
from customers.oversight.impact import radius
from customers.oversight.replay import replay
from policies import PolicySet, load_policies
from policies import Verdict as Decided
from policies.loading import build
from policies.source import read_sources
from server.database import close, connect, database
from server.engine import embedded_engine

START = datetime(2026, 5, 1, tzinfo=UTC)
WHO = (
    ("support_agent", "customer_service"), ("support_agent", "order_support"), ("marketer", "marketing"),
    ("sales_rep", "sales"), ("executive", "business_reporting"), ("client_app", "order_support"),
)  # fmt: skip
_AT_ONCE = 2000


def _access(policy: PolicySet, role: str, purpose: str) -> Access:
    caller = Caller("benchmark", (role,), "console", None, None, frozenset(), None)
    grant = policy.decide(caller.roles, purpose)
    return Access(caller, grant, Disclosure(Request(caller, purpose, "T-1", "Look", None, None), grant))


def _record(policy: PolicySet, number: int, random: Random, customers: int) -> Record:
    role, purpose = random.choice(WHO)
    access = _access(policy, role, purpose)
    # Applications send a few dozen documents, and each always asks for the same fields.
    fields = Random(number % 40).sample(sorted(access.grant.read), 12)  # noqa: S311 - as above
    access.disclosure.add_fields(
        {
            path: (way.alternatives[0].verdict, way.alternatives[0].rule) if way else (Decided.WITHHELD, way.rule)
            for path in fields
            if (way := access.grant.read[path]) is not None
        }
    )
    for _ in range(50 if number % 10 == 0 else 1):
        access.disclosure.add_subject(random.randrange(customers).to_bytes(16, "big"))
    made = access.disclosure.record(START + timedelta(milliseconds=200 * number), Outcome.ALLOWED)
    if number % 20:
        return made
    apart = Deviation(decision=Verdict.WITHHELD, fields=tuple(fields[:6]), reason=Reason.CONSENT, subjects=(0,))
    return Record(**{name: getattr(made, name) for name in made.__struct_fields__} | {"exceptions": (apart,)})


async def _run(directory: Path, count: int, customers: int) -> None:
    console = Console()
    policy = load_policies()
    sources = read_sources()
    rules = sources["rules.csv"].replace(b"user.contact, read, any, allow", b"user.contact, read_masked, any, allow")
    other = build({**sources, "rules.csv": rules})
    random = Random(1)  # noqa: S311 - the same log each time
    async with embedded_engine(directory / "data", authenticate=False) as engine:
        client = connect(engine.uri, "pymongo")
        log = await AccessLog.open(database(client, "audit"), now=lambda: datetime.now(UTC), random=os.urandom)
        began = time.perf_counter()
        for first in range(0, count, _AT_ONCE):
            records = [_record(policy, n, random, customers) for n in range(first, min(first + _AT_ONCE, count))]
            await asyncio.gather(*(log.append(each) for each in records))
        console.print(f"wrote {count} records in {time.perf_counter() - began:.0f} s")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name, changed in (("the same policy", policy), ("a changed policy", other)):
            began, spent = time.perf_counter(), time.process_time()
            found = await replay(
                log, _access(policy, "auditor", "audit"), changed, [policy],
                since=START, until=None, now=datetime.now(UTC),
            )  # fmt: skip
            _told(console, f"replay, {name}", count, began, spent)
            console.print(f"  {found.changed} changed, {len(found.groups)} groups, {found.customers} customers")
        began, spent = time.perf_counter(), time.process_time()
        counted = await radius(
            log, _access(policy, "auditor", "audit"), AccessQuery(since=START), policy.catalogue,
            now=datetime.now(UTC),
        )  # fmt: skip
        impact = counted.result()
        _told(console, "radius", count, began, spent)
        console.print(f"  {impact.customers} customers, {impact.values} values")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        console.print(f"memory grew by {grown / 1024:.0f} MiB")
        await log.close()
        await close(client)


def _told(console: Console, what: str, count: int, began: float, spent: float) -> None:
    wall, used = time.perf_counter() - began, time.process_time() - spent
    console.print(f"{what}: {count / wall:,.0f} records a second ({1e6 * used / count:.0f} µs of CPU each)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--customers", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_run(Path(directory), asked.records, asked.customers))
