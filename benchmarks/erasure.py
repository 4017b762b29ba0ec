"""How long an erasure takes: `python -m benchmarks.erasure --customers 200 --events 1000`.

Against an embedded engine of its own: one customer with so many events and a few orders, then so many customers of whom
nothing was heard, in one sweep. Says the slowest of the parts that an erasure waits for as well.
"""

import argparse
import asyncio
import itertools
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from audit import moment
from customers.identity.model import IdentifierType
from customers.profiles.draft import OrderDraft
from customers.profiles.store import CustomerStore
from customers.rights.certificate import Certificate
from customers.rights.inactivity import PURPOSE, ROLE, InactivitySweep
from server.clock import utc_now
from server.platform import Platform, open_platform
from server.settings import Settings

_OLD = datetime(2015, 1, 1, tzinfo=UTC)
_AT_ONCE = 100
_ORDERS = 5


async def _create(platform: Platform, count: int, *, orders: int = 0) -> list[str]:
    writer = platform.services.writer
    made: list[str] = []
    bought = tuple(
        OrderDraft(
            {
                "placed_at": utc_now() - timedelta(days=each),
                "total": 2599,
                "currency": "EUR",
                "units": 1,
                "status": "delivered",
                "items": [{"sku": "LP-1", "quantity": 1}],
                "shipping_address": "Hafenweg 1, Bremen",
            }
        )
        for each in range(orders)
    )
    for start in range(0, count, _AT_ONCE):
        drafts = []
        for number in range(start, min(start + _AT_ONCE, count)):
            name = writer.identifier(IdentifierType.EXTERNAL_ID, f"user:bench{orders}-{number}", "external")
            values = {"given_name": "Ada", "city": "Bremen", "email": f"p{orders}-{number}@example.org"}
            drafts.append(replace(writer.draft(values, [name], ()), orders=bought))
        async with platform.vault.reading():
            made += await writer.create(platform.access("benchmark", ("client_app",), "data_import"), drafts)
    return made


async def _events(platform: Platform, user: str, count: int) -> None:
    source, _ = await platform.sources.create("bench")
    for start in range(0, count, _AT_ONCE):
        events = [
            {
                "type": "track",
                "event": "Product Viewed",
                "userId": user,
                "messageId": f"m-{number}",
                "properties": {"product_id": f"p-{number}"},
            }
            for number in range(start, min(start + _AT_ONCE, count))
        ]
        await platform.intake.accept(source, events, sent_at=None, received_at=utc_now())
    await platform.collecting.applier.settle()


def _longest(certificate: Certificate) -> str:
    times = [moment(certificate.begun), *(moment(each.at) for each in certificate.steps)]
    took = [after - before for before, after in itertools.pairwise(times)]
    at = max(range(len(took)), key=took.__getitem__)
    return f"{certificate.steps[at].step}, {took[at].total_seconds():.2f} s"


async def _run(directory: Path, customers: int, events: int) -> None:
    console = Console()
    async with open_platform(Settings(data_dir=directory)) as platform:
        eraser = platform.services.eraser
        (one,) = await _create(platform, 1, orders=_ORDERS)
        await _events(platform, f"bench{_ORDERS}-0", events)
        held = await platform.main["events"].count_documents({})
        began = time.perf_counter()
        certificate = await eraser.erase(platform.access("benchmark", (ROLE,), "privacy_request"), one)
        took = time.perf_counter() - began
        left = await platform.main["events"].count_documents({})
        console.print(f"one customer with {events} events ({held} documents, {left} left): {took:.2f} s")
        console.print(f"  the longest of its steps: {_longest(certificate)}")
        ids = await _create(platform, customers)
        for start in range(0, len(ids), _AT_ONCE):
            await platform.main["profiles"].update_many(
                {"_id": {"$in": ids[start : start + _AT_ONCE]}}, {"$set": {"created_at": _OLD, "updated_at": _OLD}}
            )
        sweep = InactivitySweep(platform.main, CustomerStore(platform.main), eraser, now=utc_now)
        access = platform.access("benchmark", (ROLE,), PURPOSE)
        began = time.perf_counter()

        def progress(done: int, of: int) -> None:
            console.print(f"  {done} of {of} after {time.perf_counter() - began:.1f} s")

        erased = await sweep.run(access, "P3Y", progress=progress)
        took = time.perf_counter() - began
        console.print(f"{erased} customers in one sweep: {took:.1f} s, {erased / took:.0f} a second")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--events", type=int, default=1000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_run(Path(directory), asked.customers, asked.events))


if __name__ == "__main__":
    main()
