"""`confide sources secret`, `requests` and `seen-to`: what sources of webhooks have beside a write key."""

import sys
from datetime import timedelta
from typing import Annotated

import typer

from customers.errors import SourceNotFoundError
from server.cli.output import err, out, print_json
from server.cli.recording import record
from server.cli.running import with_platform
from server.platform import Platform
from server.webhooks import privacy_intake

_MOST_GRACE_HOURS = 24.0 * 90

Name = Annotated[str, typer.Argument(help="The source.")]


def secret(
    name: Name,
    grace_hours: Annotated[
        float,
        typer.Option(
            "--grace-hours",
            min=0.0,
            max=_MOST_GRACE_HOURS,
            help="How long the secret before it is good for, in hours.",
        ),
    ] = 24.0,
    generate: Annotated[  # noqa: FBT002 - an option of a command line
        bool,
        typer.Option("--generate", help="Make one and print it, for a sender of Standard Webhooks or CloudEvents."),
    ] = False,
) -> None:
    """Set the secret that a sender of webhooks signs with. It is read from standard input, or asked for.

    It is stored sealed. The one before it goes on for a while, so that the sender can change without a gap.

    Example: confide sources secret records < secret.txt
    """
    given = None if generate else _read()

    async def work(platform: Platform) -> str | None:
        # The record first, as for a write key; and a name that is none is told.
        if await platform.sources.named(name) is None:
            raise SourceNotFoundError
        await record(platform, f"confide sources secret {name}")
        grace = timedelta(hours=grace_hours)
        if given is None:
            return await platform.sources.new_secret(name, grace=grace)
        await platform.sources.set_secret(name, given, grace=grace)
        return None

    made = with_platform(work)
    if made is not None:
        out.print(made, markup=False)
    else:
        err.print("Set.")


def requests() -> None:
    """List the privacy requests that came by webhook, as JSON, the one that is due first first.

    The worker makes each a request of `confide requests`; of a whole shop it does not. Somebody sees to that, and says so
    with `confide sources seen-to`.

    Example: confide sources requests
    """

    async def work(platform: Platform) -> list[dict[str, object]]:
        return [
            {
                "kind": each.kind.value,
                "customer_id": each.customer_id,
                "shop": each.shop,
                "source": each.source,
                "received_at": each.received_at.isoformat(),
                "due_at": each.due_at.isoformat(),
                "settled_at": None if each.settled_at is None else each.settled_at.isoformat(),
            }
            for each in await privacy_intake(platform).all()
        ]

    print_json(with_platform(work))


def seen_to(
    name: Name,
    shop: Annotated[str, typer.Argument(help="The shop, as `confide sources requests` names it.")],
) -> None:
    """Say that somebody has seen to what a source asked of a whole shop's customers. It erases nobody.

    Example: confide sources seen-to records old-shop.myshopify.com
    """

    async def work(platform: Platform) -> int:
        await record(platform, f"confide sources seen-to {name}")
        return await privacy_intake(platform).met_for_shop(name, shop.lower())

    found = with_platform(work)
    err.print("Noted." if found else "There is no such request that is not settled.")
    if not found:
        raise typer.Exit(1)


def _read() -> str:
    """The secret, never from the command line, where every process of the machine could read it."""
    if sys.stdin.isatty():
        return str(typer.prompt("Secret", hide_input=True, err=True)).strip()
    return sys.stdin.readline().strip()


__all__ = ["requests", "secret", "seen_to"]
