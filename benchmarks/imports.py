"""Importing files: how many rows a second, what each costs our own process, and how much memory a long file takes.

A file is made and imported, by default into an embedded engine of its own, which does most of the work and is most of
the limit; `CONFIDE_MONGO_URI` measures another database. Then a longer one is checked without a database, and the most
memory that took is put beside what a short one takes. docs/imports.md quotes what it prints.

    python -m benchmarks.imports [--of orders] [--rows 20000] [--dry-rows 1000000] [--customers 2000]
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from customers.collection import ImportKind, ImportMapping, ImportReport, RowWriter, import_rows, parse_mapping
from customers.collection.counted_import import Importing, OrderImportWriter, Parts, TicketImportWriter
from customers.collection.event_import import EventImportWriter
from customers.collection.service import ImportWriter
from customers.profiles.store import CustomerStore
from server.clock import utc_now
from server.engine import embedded_engine
from server.platform import Platform, open_platform
from server.settings import Settings

SHORT = 10_000
HEADERS = {
    ImportKind.PROFILES: "email,first,city,country,born,shoe",
    ImportKind.ORDERS: "email,no,placed,currency,status,sku,qty,price,address,shop",
    ImportKind.TICKETS: "email,no,opened,closed,status,subject,body,via",
    ImportKind.EVENTS: "user,event,at,sku,price,search",
}
MAPPINGS: dict[ImportKind, dict[str, Any]] = {
    ImportKind.PROFILES: {
        "columns": {
            "email": "email",
            "first": "given_name",
            "city": "city",
            "country": "country",
            "born": "birth_date",
            "shoe": {"to": "traits.shoe", "type": "decimal"},
        }
    },
    ImportKind.ORDERS: {
        "unknown_columns": "extra",
        "columns": {
            "email": "email",
            "no": "order_number",
            "placed": "placed_at",
            "currency": "currency",
            "status": "status",
            "sku": "item.sku",
            "qty": "item.quantity",
            "price": "item.price",
            "address": "shipping_address",
        },
    },
    ImportKind.TICKETS: {
        "unknown_columns": "extra",
        "columns": {
            "email": "email",
            "no": "ticket_number",
            "opened": "opened_at",
            "closed": "closed_at",
            "status": "status",
            "subject": "subject",
            "body": "body",
        },
    },
    ImportKind.EVENTS: {
        "columns": {
            "user": "user_id",
            "event": "name",
            "at": "timestamp",
            "sku": "properties.sku",
            "price": {"to": "properties.price", "type": "decimal"},
            "search": "properties.search",
        }
    },
}


def lines(of: ImportKind, rows: int, customers: int) -> Iterator[str]:
    """The rows of a file; of orders every second one has a second row."""
    yield HEADERS[of]
    for number in range(rows):
        day = f"2025-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:00:00Z"
        who = f"person{number * 7919 % customers}@mail.example"
        match of:
            case ImportKind.PROFILES:
                yield f"person{number}@mail.example,Ada {number},London,GB,19{number % 90 + 10}-12-10,38.5"
            case ImportKind.ORDERS:
                order = number // 3 * 2 + (0 if number % 3 < 2 else 1)
                who = f"person{order * 7919 % customers}@mail.example"
                day = f"2025-{order % 12 + 1:02}-{order % 28 + 1:02}T{order % 24:02}:00:00Z"
                sku = f"SKU-{number % 500}"
                cells = f'{sku},{number % 5 + 1},{number % 90}.95,"Hafenweg {order}, Bremen",north'
                yield f"{who},N-{order},{day},EUR,shipped,{cells}"
            case ImportKind.TICKETS:
                yield f'{who},T-{number},{day},,open,Where is parcel {number},"It should have come, on day {number}",web'
            case ImportKind.EVENTS:
                yield f"{number * 7919 % customers + 1},Product Viewed,{day},SKU-{number % 500},12.5,first flush {number}"


def made(directory: Path, of: ImportKind, rows: int, customers: int) -> Path:
    """A file of so many rows."""
    path = directory / f"{of.value}-{rows}.csv"
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in lines(of, rows, customers))
    return path


def mapping_of(of: ImportKind) -> ImportMapping:
    """The mapping of the files made here."""
    return parse_mapping(MAPPINGS[of], consent_purposes=frozenset(), of=of)


async def checked(path: Path, of: ImportKind) -> ImportReport:
    """A dry run."""
    return await import_rows(path, mapping_of(of), None, now=utc_now, dry_run=True)


def _check(path: str, of: str, answer: Any) -> None:
    """In a process of its own, whose peak is this file's alone."""
    began, cpu = time.perf_counter(), time.process_time()
    report = asyncio.run(checked(Path(path), ImportKind(of)))
    taken, used = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.put((report.rows, report.accepted, taken, used, peak))


def dry(path: Path, of: ImportKind) -> dict[str, Any]:
    """What checking a file takes."""
    context = multiprocessing.get_context("spawn")
    answer: Any = context.Queue()
    process = context.Process(target=_check, args=(str(path), of.value, answer))
    process.start()
    rows, accepted, taken, used, peak = answer.get()
    process.join()
    return {
        "rows": rows,
        "accepted": accepted,
        "rows_per_second": round(rows / taken),
        "cpu_us_per_row": round(1e6 * used / rows, 1),
        "peak_mib": round(peak, 1),
        "file_mib": round(path.stat().st_size / 2**20, 1),
    }


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Platform]:
    """A platform on a database."""
    run = f"imports_{os.getpid()}"
    names = {f"{part}_database": f"{run}_{part}" for part in ("main", "keys", "audit")}
    if os.environ.get("CONFIDE_MONGO_URI"):
        async with open_platform(Settings(data_dir=directory / "confide", **names)) as platform:
            yield platform
        return
    async with embedded_engine(directory / "engine") as engine:
        os.environ["CONFIDE_MONGO_URI"] = engine.uri
        async with open_platform(Settings(data_dir=directory / "confide", **names)) as platform:
            yield platform


async def writer_of(platform: Platform, of: ImportKind, label: str = "benchmark") -> RowWriter:
    """What the command writes with; `label` is what the file is called."""
    access = platform.access("benchmark", ("client_app",), "data_import", operation="benchmark")
    writer, vault = platform.services.writer, platform.vault
    profiles = ImportWriter(writer, vault, access, now=platform.now, source=label)
    if of is ImportKind.PROFILES:
        return profiles
    if of is ImportKind.EVENTS:
        source, _ = await platform.sources.create("benchmark")
        return EventImportWriter(platform.intake, source, writer, access, now=platform.now)
    store = CustomerStore(platform.main)
    parts = Parts(platform.main, store, writer, vault, lambda: platform.policies.current, platform.now)
    kind = OrderImportWriter if of is ImportKind.ORDERS else TicketImportWriter
    return kind(parts, access, Importing("benchmark"))


async def written(directory: Path, of: ImportKind, rows: int, customers: int) -> None:
    """Say what importing a file takes: for the first time, and again."""
    async with opened(directory) as platform:
        if of in (ImportKind.ORDERS, ImportKind.TICKETS):
            people = made(directory, ImportKind.PROFILES, customers, customers)
            writer = await writer_of(platform, ImportKind.PROFILES)
            await import_rows(people, mapping_of(ImportKind.PROFILES), writer, now=utc_now, batch=100)
        writer = await writer_of(platform, of)
        path = made(directory, of, rows, customers)
        for run in ("first", "again", "as another source") if of is ImportKind.PROFILES else ("first", "again"):
            if run == "as another source":
                writer = await writer_of(platform, of, "another")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            began, cpu = time.perf_counter(), time.process_time()
            report = await import_rows(path, mapping_of(of), writer, now=utc_now)
            await platform.collecting.applier.settle()
            taken, used = time.perf_counter() - began, time.process_time() - cpu
            say(
                {
                    "of": of.value,
                    "run": run,
                    "rows": report.rows,
                    "created": report.created,
                    "updated": report.updated,
                    "unchanged": report.unchanged,
                    "rejected": report.rejected,
                    "rows_per_second": round(report.rows / taken),
                    "cpu_us_per_row": round(1e6 * used / report.rows, 1),
                    "peak_mib_before": round(before, 1),
                    "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
                }
            )


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", type=ImportKind, choices=list(ImportKind), default=ImportKind.ORDERS)
    parser.add_argument("--rows", type=int, default=20_000, help="how many are written; 0 for none")
    parser.add_argument("--dry-rows", type=int, default=1_000_000, help="how many are checked; 0 for none")
    parser.add_argument("--customers", type=int, default=2_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="confide-benchmark-") as directory:
        place = Path(directory)
        for rows in (SHORT, arguments.dry_rows) if arguments.dry_rows else ():
            path = made(place, arguments.of, rows, arguments.customers)
            say({"of": arguments.of.value, "run": "checked", **dry(path, arguments.of)})
            path.unlink()
        if arguments.rows:
            asyncio.run(written(place, arguments.of, arguments.rows, arguments.customers))


def say(found: dict[str, Any]) -> None:
    """Print what was measured, as soon as it was."""
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
