"""`confide requests`: the queue of privacy requests."""

from typing import Annotated, Any

import typer
from rich.table import Table

from audit import timestamp
from customers.access import Access
from customers.rights.requests import (
    Denial,
    Extension,
    Kind,
    PrivacyRequest,
    Queued,
    ShownRequest,
    State,
    Verification,
)
from server.cli.output import out, print_json
from server.cli.running import operator, with_platform
from server.platform import Platform

app = typer.Typer(
    no_args_is_help=True,
    help="Privacy requests: what is due, what was asked, and answering it.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="The request's id, req_….")]


@app.command("list")
def list_(
    as_json: AsJson = False,  # noqa: FBT002 - an option of a command line
    kind: Annotated[Kind | None, typer.Option(help="Only of this kind.")] = None,
    state: Annotated[State | None, typer.Option(help="Only in this state; open ones where it is not said.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
) -> None:
    """List requests, the one that is due first first; recorded as a read.

    Example: confide requests list --kind erasure
    """
    found = with_platform(lambda platform: listed(platform, Queued(state=state, kind=kind), limit))
    if as_json:
        print_json([document(each) for each in found])
        return
    table = Table("id", "kind", "law", "state", "due", "hold", "customer")
    for each in found:
        due = each.due_at.date().isoformat() if each.open else "-"
        hold = "yes" if each.hold else ""
        table.add_row(each.id, each.kind, each.regime, each.state, due, hold, each.customer_id or "erased")
    out.print(table)


@app.command("show")
def show(request: Id, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option of a command line
    """Show a request with what was said and every step; recorded as a read.

    Example: confide requests show req_5b3k2mffzq4n7u6wy2x3c4d5ea
    """
    found = with_platform(lambda platform: shown(platform, request))
    told = document(found.request) | {
        "purposes": list(found.purposes),
        "said": [{"at": each.at, "reason": each.reason, "agent": each.agent} for each in found.told],
    }
    if as_json:
        print_json(told)
        return
    table = Table("what", "value", show_header=False)
    for name, value in told.items():
        if value not in (None, [], False):
            lines = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(name, lines)
    out.print(table)


@app.command("confirm")
def confirm(
    request: Id,
    how: Annotated[Verification, typer.Option(help="How it is known who asks.")],
    as_json: AsJson = False,  # noqa: FBT002 - an option of a command line
) -> None:
    """Say that it is known who asks, and that they were told that their request is here.

    Example: confide requests confirm req_5b3k2mffzq4n7u6wy2x3c4d5ea --how contact
    """
    _told(with_platform(lambda platform: confirmed(platform, request, how)), "confirmed", as_json=as_json)


@app.command("extend")
def extend(
    request: Id,
    why: Annotated[Extension, typer.Option(help="Why it takes longer (GDPR Art. 12(3)).")],
    as_json: AsJson = False,  # noqa: FBT002 - an option of a command line
) -> None:
    """Say that the person was told that it takes longer: once, and before it is due.

    Example: confide requests extend req_5b3k2mffzq4n7u6wy2x3c4d5ea --why complexity
    """
    _told(with_platform(lambda platform: extended(platform, request, why)), "extended", as_json=as_json)


@app.command("hold")
def hold(
    request: Id,
    release: Annotated[bool, typer.Option("--release", help="The data need not be kept any longer.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002 - an option of a command line
) -> None:
    """Put a request under legal hold, or take it out: nothing of the person is erased as long as it is. The clock goes on.

    Example: confide requests hold req_5b3k2mffzq4n7u6wy2x3c4d5ea
    """
    changed = with_platform(lambda platform: held(platform, request, held=not release))
    _told(changed, "released" if release else "held", as_json=as_json)


@app.command("complete")
def complete(request: Id, as_json: AsJson = False) -> None:  # noqa: FBT002 - an option of a command line
    """Do what was asked for. An erasure takes two persons: the first agrees with it, the second has it done.

    Example: confide requests complete req_5b3k2mffzq4n7u6wy2x3c4d5ea
    """
    _changed(with_platform(lambda platform: completed(platform, request)), as_json=as_json)


@app.command("deny")
def deny(
    request: Id,
    reason: Annotated[Denial, typer.Option(help="Why; which reasons hold depends on the kind and the law.")],
    as_json: AsJson = False,  # noqa: FBT002 - an option of a command line
) -> None:
    """Refuse a request; the law that allows it is kept with it.

    Example: confide requests deny req_5b3k2mffzq4n7u6wy2x3c4d5ea --reason unfounded
    """
    _changed(with_platform(lambda platform: denied(platform, request, reason)), as_json=as_json)


async def listed(platform: Platform, queued: Queued, limit: int) -> list[PrivacyRequest]:
    """The requests of the queue; what is read is recorded before it is given."""
    access = _access(platform, "list")
    async with platform.vault.reading():
        page = await platform.requests.queue(access, queued, None, limit)
        await platform.log.append(access.disclosure.record(platform.now()))
    return list(page.requests)


async def shown(platform: Platform, request_id: str) -> ShownRequest:
    """One request; recorded before it is given."""
    access = _access(platform, "show")
    async with platform.vault.reading():
        found = await platform.requests.get(access, request_id)
        await platform.log.append(access.disclosure.record(platform.now()))
    return found


async def completed(platform: Platform, request_id: str) -> PrivacyRequest:
    """Complete a request; one that nobody works on yet is begun."""
    access = _access(platform, "complete")
    async with platform.vault.reading():
        found = await platform.requests.due(request_id)
        if found is not None and found.state is State.CONFIRMED:
            await platform.requests.begin(access, request_id)
    return await platform.requests.complete(access, request_id)


async def denied(platform: Platform, request_id: str, reason: Denial) -> PrivacyRequest:
    """Refuse a request."""
    async with platform.vault.reading():
        return await platform.requests.deny(_access(platform, "deny"), request_id, reason)


async def confirmed(platform: Platform, request_id: str, how: Verification) -> PrivacyRequest:
    """Confirm a request."""
    async with platform.vault.reading():
        return await platform.requests.confirm(_access(platform, "confirm"), request_id, how)


async def extended(platform: Platform, request_id: str, why: Extension) -> PrivacyRequest:
    """Extend a request."""
    async with platform.vault.reading():
        return await platform.requests.extend(_access(platform, "extend"), request_id, why)


async def held(platform: Platform, request_id: str, *, held: bool) -> PrivacyRequest:
    """Put a request under legal hold, or take it out."""
    async with platform.vault.reading():
        return await platform.requests.hold(_access(platform, "hold"), request_id, held=held)


def document(request: PrivacyRequest) -> dict[str, Any]:
    """A request as JSON."""
    moments = ("received_at", "due_at", "longest", "confirm_by", "closed_at", "keep_until")
    plain = ("id", "kind", "regime", "state", "customer_id", "source", "agent", "verification", "extension", "denial")
    more = ("law", "hold", "agreed_by", "result")
    return {
        **{name: getattr(request, name) for name in (*plain, *more)},
        **{name: None if (at := getattr(request, name)) is None else timestamp(at) for name in moments},
        "steps": [{"at": timestamp(each.at), "what": each.what, "entry": each.entry} for each in request.steps],
    }


def _access(platform: Platform, verb: str) -> Access:
    return platform.access(operator(), ("privacy_officer",), "privacy_request", operation=f"confide requests {verb}")


def _told(request: PrivacyRequest, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document(request))
    else:
        out.print(f"{request.id}: {done}; due {request.due_at.date().isoformat()}.")


def _changed(request: PrivacyRequest, *, as_json: bool) -> None:
    if as_json:
        print_json(document(request))
    elif request.open:
        out.print(f"{request.id}: agreed by {request.agreed_by}; a second person has to complete it.")
    else:
        out.print(f"{request.id}: {request.state.value}{f' ({request.law})' if request.law else ''}.")
