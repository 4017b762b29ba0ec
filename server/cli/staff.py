"""`confide staff`: who of the company's own people may sign in to the console with an account of this server."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from policies import load_policies
from server.access.claims import STAFF_PREFIX
from server.cli.output import err, out, print_json
from server.cli.recording import record
from server.cli.running import with_platform
from server.console.sessions import Sessions
from server.console.staff import Member, NewSecrets, StaffAccounts, StaffInvalidError, staff_accounts
from server.console.staff.passwords import check_new
from server.console.staff.tries import Tries
from server.platform import Platform
from server.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="People of the company who sign in to the console.")

Name = Annotated[str, typer.Argument(help="What they sign in with: lower-case letters, digits and . _ -")]
Who = Annotated[
    str, typer.Argument(help="A name, or who the access log says it was, as `confide staff list` has it.")
]
Roles = Annotated[list[str], typer.Option("--role", help="A role; may be repeated.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, up to the end of its line.")
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
) -> None:
    """Make an account and print the secret of its authenticator, which is shown only now.

    Example: confide staff add ana --role support_agent
    """
    _known(role, purpose)
    password = _password(name, from_input=password_stdin)

    async def work(platform: Platform) -> NewSecrets:
        # Before anybody can sign in with it.
        await record(platform, f"confide staff add {_word(name)}")
        return await _accounts(platform).add(name, password, roles=role, purposes=purpose, regions=region or ())

    _tell(with_platform(work))


@app.command("reset")
def reset(name: Name, *, password_stdin: FromInput = False) -> None:
    """Give an account another password and another authenticator; whoever is signed in with it is signed out.

    Example: confide staff reset ana
    """
    password = _password(name, from_input=password_stdin)

    async def work(platform: Platform) -> NewSecrets:
        await record(platform, f"confide staff reset {_word(name)}")
        made = await _accounts(platform).reset(name, password)
        await _sessions(platform).end(made.actor)
        await Tries(platform.keys, platform.vault.digest, now=platform.now).succeeded(name)
        return made

    _tell(with_platform(work))


@app.command("roles")
def roles(name: Name, role: Roles) -> None:
    """Give an account other roles than it had; whoever is signed in with it feels it with the next page.

    Example: confide staff roles ana --role support_agent --role auditor
    """
    _known(role, None)

    async def work(platform: Platform) -> None:
        await record(platform, f"confide staff roles {_word(name)} {' '.join(sorted(role))}"[:128])
        await _accounts(platform).set_roles(f"{STAFF_PREFIX}{name}", role)

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
        actor = await _actor(platform, who)
        await record(platform, f"confide staff enable {_word(actor)}"[:128])
        await _accounts(platform).set_disabled(actor, disabled=False)

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


def _tell(made: NewSecrets) -> None:
    """Say the authenticator's secret, on standard output and once."""
    err.print(
        "Enter this in an authenticator app now; it is not shown again. Its codes are the second half of signing in."
    )
    out.print(f"{made.secret}\n{made.address}", markup=False)


__all__ = ["app"]
