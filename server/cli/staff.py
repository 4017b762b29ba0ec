"""`confide staff`: who of the company's own people may sign in to the console with an account of this server."""

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar

import typer

from audit import Outcome
from policies import load_policies
from server.access.claims import STAFF_PREFIX
from server.cli.output import err, out, print_json
from server.cli.recording import record
from server.cli.running import with_platform
from server.console.sessions import Sessions
from server.console.staff import (
    Invitation,
    Member,
    NewSecrets,
    StaffAccounts,
    StaffError,
    StaffInvalidError,
    StaffNotFoundError,
    staff_accounts,
    staff_invitations,
)
from server.console.staff.passwords import check_new
from server.console.staff.tries import Tries
from server.platform import Platform
from server.settings import load_settings

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="People of the company who sign in to the console.")

Name = Annotated[str, typer.Argument(help="What they sign in with: lower-case letters, digits and . _ -")]
Who = Annotated[
    str, typer.Argument(help="A name, or who the access log says it was, as `confide staff list` has it.")
]
Roles = Annotated[list[str], typer.Option("--role", help="A role; may be repeated.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, up to the end of its line.")
]
Invite = Annotated[
    bool, typer.Option("--invite", help="Let them choose the password and scan the authenticator themselves.")
]


@app.command("add")
def add(
    name: Name,
    role: Roles,
    purpose: Annotated[
        list[str] | None,
        typer.Option("--purpose", help="A purpose that may be stated; may be repeated. By default any."),
    ] = None,
    region: Annotated[list[str] | None, typer.Option("--region", help="A region for region-scoped roles.")] = None,
    *,
    password_stdin: FromInput = False,
    invite: Invite = False,
) -> None:
    """Make an account; print the secret of its authenticator, or an invitation for its owner. Either is shown only now.

    Example: confide staff add ana --role support_agent --invite
    """
    _known(role, purpose)
    password = None if invite else _password(name, from_input=password_stdin)

    async def work(platform: Platform) -> NewSecrets | Invitation:
        accounts, regions = _accounts(platform), region or ()
        operation = f"confide staff add {_word(name)}"

        async def add() -> NewSecrets | Invitation:
            made = await accounts.add(name, password, roles=role, purposes=purpose, regions=regions)
            return await _invitations(platform, name) if invite else made

        # Recorded before anybody can sign in with it.
        possible = accounts.check(name, roles=role, purposes=purpose, regions=regions)
        return await _recorded(platform, operation, possible, add)

    _tell(with_platform(work))


@app.command("reset")
def reset(name: Name, *, password_stdin: FromInput = False, invite: Invite = False) -> None:
    """Give an account another password and another authenticator; whoever is signed in with it is signed out.

    Example: confide staff reset ana --invite
    """
    password = None if invite else _password(name, from_input=password_stdin)

    async def work(platform: Platform) -> NewSecrets | Invitation:
        accounts = _accounts(platform)

        async def change() -> NewSecrets | Invitation:
            made = await (_invitations(platform, name) if password is None else accounts.reset(name, password))
            await _sessions(platform).end(made.actor)
            await Tries(platform.keys, platform.vault.digest, now=platform.now).succeeded(name)
            return made

        operation = f"confide staff reset {_word(name)}"
        return await _recorded(platform, operation, _there(accounts, f"{STAFF_PREFIX}{name}"), change)

    _tell(with_platform(work))


@app.command("roles")
def roles(name: Name, role: Roles) -> None:
    """Give an account other roles than it had; whoever is signed in with it feels it with the next page.

    Example: confide staff roles ana --role support_agent --role auditor
    """
    _known(role, None)

    async def work(platform: Platform) -> None:
        accounts, actor = _accounts(platform), f"{STAFF_PREFIX}{name}"
        operation = f"confide staff roles {_word(name)} {' '.join(sorted(role))}"[:128]
        await _recorded(platform, operation, _there(accounts, actor), lambda: accounts.set_roles(actor, role))

    with_platform(work)
    err.print("Changed.")


@app.command("disable")
def disable(who: Who) -> None:
    """Let somebody in no more, by whichever door they came; they are signed out now.

    Example: confide staff disable ana
    """

    async def work(platform: Platform) -> None:
        actor = await _actor(platform, who)
        await _accounts(platform).set_disabled(actor, disabled=True)
        await _sessions(platform).end(actor)
        # Afterwards: a log that does not answer must not keep anybody in.
        await record(platform, f"confide staff disable {_word(actor)}"[:128])

    with_platform(work)
    err.print("Disabled.")


@app.command("enable")
def enable(who: Who) -> None:
    """Let somebody in again who was disabled.

    Example: confide staff enable ana
    """

    async def work(platform: Platform) -> None:
        accounts, actor = _accounts(platform), await _actor(platform, who)
        operation = f"confide staff enable {_word(actor)}"[:128]
        await _recorded(
            platform, operation, _there(accounts, actor), lambda: accounts.set_disabled(actor, disabled=False)
        )

    with_platform(work)
    err.print("Enabled.")


@app.command("list")
def list_staff() -> None:
    """List who may sign in as JSON, without secrets: accounts, and whoever an identity provider vouched for before.

    Example: confide staff list
    """

    async def work(platform: Platform) -> list[dict[str, object]]:
        return [_shown(member) for member in await _accounts(platform).all()]

    print_json(with_platform(work))


def _shown(member: Member) -> dict[str, object]:
    return {
        "name": member.name,
        "actor": member.actor,
        "door": member.kind.value,
        "roles": list(member.roles),
        "purposes": None if member.purposes is None else sorted(member.purposes),
        "regions": sorted(member.regions),
        "disabled": member.disabled,
        "created_at": member.created_at.isoformat(),
        "signed_in_at": None if member.seen_at is None else member.seen_at.isoformat(),
    }


def _accounts(platform: Platform) -> StaffAccounts:
    return staff_accounts(platform.keys, platform.vault, platform.now)


async def _invitations(platform: Platform, name: str) -> Invitation:
    return await staff_invitations(platform.keys, platform.vault, platform.now).invite(name)


async def _there(accounts: StaffAccounts, actor: str) -> None:
    """Return only if there is such an account."""
    if await accounts.find(actor) is None:
        raise StaffNotFoundError("there is no such account; `confide staff list` names them")


async def _recorded(
    platform: Platform, operation: str, possible: Awaitable[None], change: Callable[[], Awaitable[T]]
) -> T:
    """Record a change and then make it; what cannot be made is recorded as refused."""
    try:
        await possible
    except StaffError:
        await record(platform, operation, Outcome.REFUSED)
        raise
    await record(platform, operation)
    return await change()


def _sessions(platform: Platform) -> Sessions:
    return Sessions(platform.keys, platform.vault, now=platform.now, random=os.urandom)


async def _actor(platform: Platform, who: str) -> str:
    """The access log's name of somebody, who may be named by that or by what they type."""
    found = await _accounts(platform).find(who)
    return f"{STAFF_PREFIX}{who}" if found is None else who


def _known(given: Sequence[str], purposes: Sequence[str] | None) -> None:
    """Refuse names that the policies do not know: they would open nothing."""
    policies = load_policies(load_settings().policy_dir)
    for noun, words, known in (("role", given, policies.roles), ("purpose", purposes or (), policies.purposes)):
        if any(word not in known for word in words):
            raise StaffInvalidError(f"there is no such {noun}; there are: {', '.join(sorted(known))}")


def _password(name: str, *, from_input: bool) -> str:
    """A new password, typed twice without being shown, or from standard input."""
    if from_input:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    check_new(name, password)
    return str(password)


def _word(name: str) -> str:
    """A name as a record may have it: what cannot be one is not repeated."""
    return name if name.isascii() and name.isprintable() and " " not in name else "?"


def _tell(made: NewSecrets | Invitation) -> None:
    """Say the authenticator's secret or the invitation, on standard output and once."""
    if isinstance(made, Invitation):
        where = f"{load_settings().console_origin or ''}/console/enrol"
        said = f"Hand this to them alone. It is good once and until {made.until:%Y-%m-%d %H:%M} UTC, at {where}"
        err.print(said, markup=False, soft_wrap=True)
        out.print(made.code, markup=False)
        return
    err.print(
        "Enter this in an authenticator app now; it is not shown again. Its codes are the second half of signing in."
    )
    out.print(f"{made.secret}\n{made.address}", markup=False)


__all__ = ["app"]
