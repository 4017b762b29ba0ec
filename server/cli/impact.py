"""`confide audit impact`: whose data was read, for the notice of a personal data breach."""

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.table import Column, Table

from audit import AccessQuery, timestamp
from audit.spreadsheet import spreadsheet_safe
from customers.oversight.history import Progress
from customers.oversight.impact import Impact, Radius, Reached, radius
from customers.oversight.people import People
from customers.oversight.resolve import Affected, Resolution, resolve
from customers.profiles.store import CustomerStore
from server.cli.instants import instant
from server.cli.output import err, out, print_json, progress
from server.cli.running import operator, with_platform
from server.platform import Platform

COLUMNS = ("customer_id", "categories", "categories_masked", "first", "last")
OFFICER, AUDITOR = ("privacy_officer",), ("auditor",)

_OPERATION = "confide audit impact"
_CASE = re.compile(r"[A-Za-z0-9._:/#-]{1,64}", re.ASCII)
_NOTICE = (
    "A notice under GDPR Art. 33(3) must say (a) the nature of the breach with, where possible, the categories and "
    "approximate numbers of the people and of the records of data concerned, (b) the name and contact details of the "
    "data protection officer, (c) the likely consequences, and (d) the measures taken or proposed. The numbers above "
    "are for (a); the rest is yours to write, within 72 hours of becoming aware (Art. 33(1))."
)


def impact(
    actor: Annotated[str | None, typer.Option(help="What this actor read.")] = None,
    client: Annotated[str | None, typer.Option(help="What was read through this application.")] = None,
    field: Annotated[str | None, typer.Option(help="Who read this field, such as profile.email.")] = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(help="From a day or moment on, and before another.", metavar="FROM TO"),
    ] = None,
    resolve_to: Annotated[
        Path | None, typer.Option("--resolve", help="Write the ids of the living customers to this new CSV file.")
    ] = None,
    purpose: Annotated[
        str, typer.Option(help="For which purpose the privacy officer resolves them.")
    ] = "privacy_request",
    case: Annotated[str | None, typer.Option(help="The case's number; --resolve needs one.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Report whose data of which categories was read: the figures of the notice of a breach (GDPR Art. 33).

    Name an actor, a client, a field or a span of time, or several: what fits all of them counts. Customers are counted
    by audit references, which lead to nobody. With --resolve the privacy officer has the living ones' ids written to
    a file. Recorded in the access log, the file as an export of each customer in it.

    Example: confide audit impact --actor agent-7 --between 2026-05-01 2026-05-15 --resolve people.csv --case IR-12
    """
    if (actor, client, field, between) == (None, None, None, None):
        raise typer.BadParameter("Name at least one of --actor, --client, --field and --between.")
    if resolve_to is not None and case is None:
        raise typer.BadParameter("--resolve needs the number of the case it is done for: --case.")
    if case is not None and not _CASE.fullmatch(case):
        raise typer.BadParameter("A case is a number of up to 64 letters, digits and . _ : / # -")
    since, until = (None, None) if between is None else (instant(between[0]), instant(between[1]))
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("--between has a span that ends before it begins.")
    query = AccessQuery(actor=actor, client=client, field=field, since=since, until=until)

    async def work(platform: Platform) -> tuple[Impact, Resolution | None]:
        if field is not None and field not in platform.policies.current.catalogue.fields:
            err.print("The catalogue has no such field today; what was recorded of it still counts.")
        found = await _radius(platform, query, OFFICER if resolve_to is not None else AUDITOR, case)
        report = found.result()
        if resolve_to is None:
            return report, None
        return report, await _resolve(platform, found, resolve_to, purpose, case)

    report, resolution = with_platform(work)
    if as_json:
        print_json(document(report, resolution))
    else:
        show(report)
        if resolution is not None and resolve_to is not None:
            _tell(resolution, resolve_to)


async def _radius(platform: Platform, query: AccessQuery, roles: tuple[str, ...], case: str | None) -> Radius:
    access = platform.access(operator(), roles, "audit", operation=_OPERATION, case=case)
    spanned = query.since is not None
    label = "Searching, percent of the time" if spanned else "Searching"
    with progress(label, 100 if spanned else None) as advance:

        def tell(told: Progress) -> None:
            advance(told.entries if told.share is None else int(100 * told.share))

        return await radius(
            platform.log,
            access,
            query,
            platform.policies.current.catalogue,
            people=People(CustomerStore(platform.main), platform.vault),
            now=platform.now(),
            progress=tell,
        )


async def _resolve(platform: Platform, found: Radius, to: Path, purpose: str, case: str | None) -> Resolution:
    access = platform.access(operator(), OFFICER, purpose, operation=f"{_OPERATION} --resolve", case=case)
    with _new_file(to) as file, progress("Looking at customers") as advance:
        rows = csv.writer(file, lineterminator="\r\n")
        rows.writerow(COLUMNS)
        return await resolve(
            found,
            access,
            lambda part: rows.writerows(map(_row, part)),
            log=platform.log,
            store=CustomerStore(platform.main),
            vault=platform.vault,
            now=platform.now,
            progress=advance,
        )


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A file that is new and its owner's alone; it stays only when it is whole."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _row(affected: Affected) -> Sequence[str]:
    trace = affected.trace
    cells = (
        affected.customer_id,
        " ".join(trace.clear),
        " ".join(trace.masked),
        timestamp(trace.first),
        timestamp(trace.last),
    )
    return [spreadsheet_safe(each) for each in cells]


def show(found: Impact) -> None:
    """Print the report: counts first."""
    out.print(f"What was read{_asked(found.query)}:", markup=False)
    out.print(f"  customers       {found.customers}, counted by audit references")
    out.print(f"  their values    {found.values}: a field of a customer counts once")
    out.print(f"  accesses        {found.read}, of {found.records} records that match")
    if found.first is not None and found.last is not None:
        out.print(f"  first, last     {timestamp(found.first)}, {timestamp(found.last)}")
    for name, counts in (
        ("purposes", found.purposes), ("roles", found.roles), ("kinds", found.kinds), ("outcomes", found.outcomes),
    ):  # fmt: skip
        if counts:
            out.print(f"  {name:<15} {_counts(counts)}", markup=False)
    if found:
        table = Table(
            Column("category, field", overflow="fold"), "label", "customers", "in clear", "masked", "found by it"
        )
        for category in found.categories:
            table.add_row(category.category, category.label, *_numbers(category.reached))
            for each in category.fields:
                table.add_row(f"  {each.field}", each.label, *_numbers(each.reached))
        out.print(table)
    out.print(_NOTICE)


def document(found: Impact, resolution: Resolution | None) -> dict[str, Any]:
    """The report as a JSON document."""
    query = found.query
    return {
        "asked": {
            "actor": query.actor,
            "client": query.client,
            "field": query.field,
            "since": None if query.since is None else timestamp(query.since),
            "until": None if query.until is None else timestamp(query.until),
        },
        "customers": found.customers,
        "values": found.values,
        "read": found.read,
        "records": found.records,
        "first": None if found.first is None else timestamp(found.first),
        "last": None if found.last is None else timestamp(found.last),
        "purposes": found.purposes,
        "roles": found.roles,
        "kinds": found.kinds,
        "outcomes": found.outcomes,
        "categories": [
            {
                "category": category.category,
                "label": category.label,
                **asdict(category.reached),
                "fields": [
                    {"field": each.field, "label": each.label, **asdict(each.reached)} for each in category.fields
                ],
            }
            for category in found.categories
        ],
        "notice": _NOTICE,
        "resolved": None if resolution is None else asdict(resolution),
    }


def _asked(query: AccessQuery) -> str:
    parts = [
        f" by {query.actor}" if query.actor is not None else "",
        f" through {query.client}" if query.client is not None else "",
        f" of {query.field}" if query.field is not None else "",
        f" from {timestamp(query.since)} to before {timestamp(query.until)}"
        if query.since is not None and query.until is not None
        else "",
    ]
    return "".join(parts)


def _numbers(reached: Reached) -> Iterator[str]:
    return map(str, (reached.customers, reached.clear, reached.masked, reached.found))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _tell(resolution: Resolution, path: Path) -> None:
    err.print(
        f"Customers written to {path}, which only you can read: {resolution.found}. Destroy it when it has served."
    )
    if resolution.refused:
        err.print(f"Customers left out, because their rights do not allow this purpose: {resolution.refused}.")
    err.print(f"References that belong to nobody living, whose customers were erased: {resolution.nobody}.")
