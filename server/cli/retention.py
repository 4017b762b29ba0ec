"""`confide retention`: remove what is kept for no purpose any longer."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.table import Table

from audit import timestamp
from customers.rights.inactivity import PURPOSE, ROLE, Due
from customers.rights.sweeping import Swept
from policies.limits import Limit
from policies.retention import is_period
from server.cli.output import err, out, print_json, progress
from server.cli.running import operator, with_platform
from server.platform import Platform
from server.retention import limits_of, people_of, sweep, sweep_of

app = typer.Typer(
    no_args_is_help=True, help="Remove what is kept for no purpose any longer: people, events, parts of records."
)


def _period(text: str) -> str:
    if not is_period(text):
        raise typer.BadParameter("a period is years, months or days, such as P3Y, P18M or P30D")
    return text


Period = Annotated[str, typer.Option(parser=_period, metavar="PERIOD", help="Such as P3Y, P18M or P30D.")]


@app.command("preview")
def preview(period: Period) -> None:
    """Say how many customers nothing was heard of for so long. Nobody is erased, and nothing sealed is opened.

    Example: confide retention preview --period P3Y
    """
    due = with_platform(lambda platform: people_of(platform).preview(period))
    print_json(_told(due))


@app.command("run")
def run(
    period: Period,
    limit: Annotated[int | None, typer.Option(min=1, help="How many to erase at most.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Erase for ever the customers of whom nothing was heard for so long, but for those who restricted processing.

    The same as `confide erase` of each, 25 at a time; what the law demands is kept. Recorded under the purpose retention.
    One that was interrupted goes on when it is run again.

    Example: confide retention run --period P3Y
    """
    if not yes:
        due = with_platform(lambda platform: people_of(platform).preview(period))
        err.print(f"Nothing was heard of {due.customers} customers since {timestamp(due.before)}.")
        typer.confirm("Erase them? This cannot be undone by anybody.", abort=True, err=True)
    with progress("Erasing") as advance:

        async def work(platform: Platform) -> int:
            access = platform.access(operator(), (ROLE,), PURPOSE, operation="confide retention run")
            return await people_of(platform).run(access, period, limit=limit, progress=advance)

        erased = with_platform(work)
    print_json({"erased": erased})


@app.command("status")
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:  # noqa: FBT002
    """Show each limit of limits.toml, and how far its last sweep came.

    Example: confide retention status
    """
    rows = with_platform(_status)
    if as_json:
        print_json(rows)
        return
    table = Table("limit", "what", "kept for", "how long", "last sweep", "looked at", "removed")
    for each in rows:
        looked = f"{each['looked_at']} of {each['of']}" if each["state"] == "running" else str(each["looked_at"])
        when = each["finished_at"] or each["started_at"] or "never"
        table.add_row(
            each["limit"],
            ", ".join(each["fields"]) or each["object"],
            each["purpose"],
            each["period"],
            when[:16] + (" (running)" if each["state"] == "running" else ""),
            looked,
            str(each["removed"]),
        )
    out.print(table)


@app.command("sweep")
def sweep_(
    limit: Annotated[list[str] | None, typer.Option(help="Only this limit; may be given more than once.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Remove for ever what the limits of limits.toml no longer let be kept. One that was interrupted goes on.

    Example: confide retention sweep --limit activity
    """
    named = frozenset(limit or ())
    if not yes:
        rows = [each for each in with_platform(_status) if not named or each["limit"] in named]
        for each in rows:
            err.print(f"{each['limit']}: {each['object']}, kept {each['period']} for {each['purpose']}.")
        typer.confirm("Remove what is older? This cannot be undone by anybody.", abort=True, err=True)

    async def work(platform: Platform) -> list[Swept]:
        limits = limits_of(platform)
        if named - {each.name for each in limits}:
            raise typer.BadParameter(f"the limits are {', '.join(each.name for each in limits)}")
        wanted = tuple(each for each in limits if not named or each.name in named)
        return await sweep(platform, wanted, actor=operator(), progress=advance_of)

    with progress("Sweeping") as advance:

        def advance_of(_limit: Limit) -> Callable[[int, int], None]:
            return advance

        done = with_platform(work)
    print_json([{"limit": each.limit, "looked_at": each.looked_at, "removed": each.removed} for each in done])


async def _status(platform: Platform) -> list[dict[str, Any]]:
    last = await sweep_of(platform).last()
    return [_row(each, last.get(each.name)) for each in limits_of(platform)]


def _row(limit: Limit, swept: Swept | None) -> dict[str, Any]:
    return {
        "limit": limit.name,
        "object": limit.object,
        "fields": [each.path for each in limit.fields],
        "purpose": limit.purpose,
        "period": limit.period,
        "state": None if swept is None else swept.state.value,
        "started_at": None if swept is None else timestamp(swept.started_at),
        "finished_at": None if swept is None or swept.finished_at is None else timestamp(swept.finished_at),
        "looked_at": 0 if swept is None else swept.looked_at,
        "of": 0 if swept is None else swept.of,
        "removed": 0 if swept is None else swept.removed,
    }


def _told(due: Due) -> dict[str, object]:
    return {
        "customers": due.customers,
        "looked_at": due.looked_at,
        "not_heard_of_since": timestamp(due.before),
        "oldest": None if due.oldest is None else timestamp(due.oldest),
    }
