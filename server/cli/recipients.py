"""`confide recipients`: to whom personal data is disclosed, and what they were told of its correction and its end."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from audit import timestamp
from customers.rights.recipients import Followed, Recipient, RecipientKind, State
from server.cli.output import err, out, print_json
from server.cli.recording import record
from server.cli.running import with_platform
from server.enrichment import allowed_hosts
from server.errors import SettingsError
from server.platform import Platform
from server.recipients import recipients
from server.signed_answers import LONGEST, check_certificate

app = typer.Typer(
    no_args_is_help=True,
    help="Recipients of personal data, who are told when it is rectified, erased or restricted.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_PROVEN: Final = {None: "", True: "yes", False: "no"}
Name = Annotated[str, typer.Argument(help="What the recipient is called: lower-case letters, digits, - and _.")]


@app.command("add")
def add(
    name: Name,
    url: Annotated[str, typer.Option(help="Where they are told, by https.")],
    known_by: Annotated[
        list[str],
        typer.Option(
            "--known-by",
            help="What they know people by: email, phone, customer_id, or external_id:system; repeatable.",
        ),
    ],
    kind: Annotated[RecipientKind, typer.Option(help="How they are told.")] = RecipientKind.WEBHOOK,
    field: Annotated[
        list[str] | None,
        typer.Option(
            help="What they are given of people, such as profile.email; repeatable. Told when it is corrected."
        ),
    ] = None,
    authorization: Annotated[  # noqa: FBT002 - an option of a command line
        bool,
        typer.Option(
            "--authorization", help="Of OpenDSR: read the header that lets us in from standard input, or ask for it."
        ),
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="Of OpenDSR: a file in PEM with their certificate or public key, against which their answers are checked."
        ),
    ] = None,
    purpose: Annotated[
        list[str] | None,
        typer.Option(
            help="For which alone they are given data, such as marketing; repeatable. Every one if none is named."
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="From which source alone what they are given comes; repeatable. Every one if none is named."
        ),
    ] = None,
) -> None:
    """Add a recipient. Of a webhook the secret that it checks signatures with is printed, only now.

    Example: confide recipients add newsletter --url https://mail.example/told --known-by email --field profile.email
    """
    secret = _read() if authorization else None
    proof = None if certificate is None else _certificate(certificate)

    async def work(platform: Platform) -> str:
        made = Recipient(
            name,
            kind,
            url,
            tuple(known_by),
            tuple(field or ()),
            platform.now(),
            purposes=tuple(purpose or ()),
            sources=tuple(source or ()),
            certificate=proof,
        )
        allowed = allowed_hosts(platform.settings)
        await recipients(platform).check(made, allowed, secret)
        await record(platform, f"confide recipients add {name}")  # before anybody is told anything
        return await recipients(platform).add(made, allowed, secret)

    if made := with_platform(work):
        out.print(made, markup=False)
    else:
        err.print("Added.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002 - an option of a command line
    """List recipients, without their secrets.

    Example: confide recipients list
    """
    found = with_platform(lambda platform: recipients(platform).all())
    if as_json:
        print_json([_recipient(each) for each in found])
        return
    table = Table("name", "kind", "known by", "fields", "only of", "told at", "")
    for each in found:
        only = [f"purpose {name}" for name in each.purposes] + [f"source {name}" for name in each.sources]
        told = ("\n".join(each.known_by), "\n".join(each.fields), "\n".join(only), each.url)
        table.add_row(each.name, each.kind.value, *told, "disabled" if each.disabled else "")
    out.print(table)


@app.command("disable")
def disable(
    name: Name,
    enable: Annotated[bool, typer.Option("--enable", help="Tell them again.")] = False,  # noqa: FBT002 - an option
) -> None:
    """Tell a recipient nothing any more, for they have nothing any more; what waits for them is given up.

    Example: confide recipients disable newsletter
    """

    async def work(platform: Platform) -> None:
        await record(platform, f"confide recipients disable {name}{' --enable' if enable else ''}")
        await recipients(platform).disable(name, disabled=not enable)

    with_platform(work)
    err.print("Enabled." if enable else "Disabled.")


@app.command("deliveries")
def deliveries(
    recipient: Annotated[str | None, typer.Option(help="Only of this recipient.")] = None,
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    as_json: AsJson = False,  # noqa: FBT002 - an option of a command line
) -> None:
    """List what recipients were told, the latest first; nothing of whom it is about.

    Example: confide recipients deliveries --state waiting
    """
    found = with_platform(lambda platform: recipients(platform).deliveries(recipient, state, limit))
    if as_json:
        print_json([_followed(each) for each in found])
        return
    table = Table("id", "recipient", "of", "at", "state", "tried", "failed with", "proven")
    for each in found:
        one = each.delivery
        at = timestamp(one.told_at or one.at)[:19]
        tried, failure = str(each.attempts), each.failure or ""
        proven = "" if one.receipt is None else _PROVEN[one.receipt.verified]
        table.add_row(one.id, one.recipient, one.kind.value, at, each.standing, tried, failure, proven)
    out.print(table)


@app.command("retry")
def retry(delivery: Annotated[str, typer.Argument(help="The delivery's id, dlv_….")]) -> None:
    """Have a delivery that was given up on tried again, by the worker.

    Example: confide recipients retry dlv_5b3k2mffzq4n7u6wy2x3c4d5ea
    """

    async def work(platform: Platform) -> None:
        await record(platform, f"confide recipients retry {delivery}")
        await recipients(platform).retry(delivery)

    with_platform(work)
    err.print("It is tried again.")


def _recipient(each: Recipient) -> dict[str, Any]:
    return {
        "name": each.name,
        "kind": each.kind.value,
        "url": each.url,
        "known_by": list(each.known_by),
        "fields": list(each.fields),
        "created_at": timestamp(each.created_at),
        "disabled": each.disabled,
        "purposes": list(each.purposes),
        "sources": list(each.sources),
        "certificate": each.certificate is not None,
    }


def _followed(each: Followed) -> dict[str, Any]:
    one = each.delivery
    receipt = one.receipt
    return {
        "id": one.id,
        "recipient": one.recipient,
        "kind": one.kind.value,
        "state": each.standing,
        "at": timestamp(one.at),
        "give_up_at": timestamp(one.give_up_at),
        "fields": list(one.fields),
        "certificate": one.certificate,
        "attempts": each.attempts,
        "failure": each.failure,
        "told_at": None if one.told_at is None else timestamp(one.told_at),
        "receipt": None
        if receipt is None
        else {"status": receipt.status, "entry": receipt.entry, "verified": receipt.verified},
    }


def _certificate(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            pem = file.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError):
        raise SettingsError("--certificate: the file cannot be read") from None
    check_certificate(pem)
    return pem


def _read() -> str:
    """The header, never from the command line, where every process of the machine could read it."""
    if sys.stdin.isatty():
        return str(typer.prompt("Authorization", hide_input=True, err=True)).strip()
    return sys.stdin.readline().strip()
