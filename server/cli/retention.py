"""`confide retention`: erase customers of whom nothing was heard for longer than the house keeps them."""

from typing import Annotated

import typer

from audit import timestamp
from customers.profiles.store import CustomerStore
from customers.rights.inactivity import PURPOSE, ROLE, Due, InactivitySweep
from policies.retention import is_period
from server.cli.output import err, print_json, progress
from server.cli.running import operator, with_platform
from server.platform import Platform

app = typer.Typer(
    no_args_is_help=True, help="Erase customers of whom nothing was heard for longer than they are kept."
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
    due = with_platform(lambda platform: _sweep(platform).preview(period))
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
        due = with_platform(lambda platform: _sweep(platform).preview(period))
        err.print(f"Nothing was heard of {due.customers} customers since {timestamp(due.before)}.")
        typer.confirm("Erase them? This cannot be undone by anybody.", abort=True, err=True)
    with progress("Erasing") as advance:

        async def work(platform: Platform) -> int:
            access = platform.access(operator(), (ROLE,), PURPOSE, operation="confide retention run")
            return await _sweep(platform).run(access, period, limit=limit, progress=advance)

        erased = with_platform(work)
    print_json({"erased": erased})


def _sweep(platform: Platform) -> InactivitySweep:
    return InactivitySweep(CustomerStore(platform.main), platform.services.eraser, now=platform.now)


def _told(due: Due) -> dict[str, object]:
    return {
        "customers": due.customers,
        "looked_at": due.looked_at,
        "not_heard_of_since": timestamp(due.before),
        "oldest": None if due.oldest is None else timestamp(due.oldest),
    }
