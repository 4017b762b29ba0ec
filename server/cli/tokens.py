"""`confide token`, `confide revoke` and `confide accounts`: who may call."""

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from audit import Outcome
from policies import load_policies
from server.access import LocalIssuer
from server.cli.output import err, out, print_json
from server.cli.recording import record
from server.cli.running import with_platform
from server.clock import utc_now
from server.errors import LocalIssuerError
from server.platform import Platform
from server.settings import load_settings
from vault import Epoch

accounts = typer.Typer(no_args_is_help=True, help="Service accounts of client applications.")

_CUSTOMER = re.compile(r"cus_[a-z2-7]{26}")

Roles = Annotated[list[str], typer.Option("--role", help="A role; may be repeated.")]
Purposes = Annotated[
    list[str] | None, typer.Option("--purpose", help="A purpose that may be stated; may be repeated. By default any.")
]
Regions = Annotated[list[str] | None, typer.Option("--region", help="A region for region-scoped roles.")]


def _known(roles: Sequence[str], purposes: Sequence[str] | None) -> None:
    """Refuse names that the policies do not know: a token with them would open nothing."""
    policies = load_policies(load_settings().policy_dir)
    for noun, given, known in (("role", roles, policies.roles), ("purpose", purposes or (), policies.purposes)):
        if any(name not in known for name in given):
            raise LocalIssuerError(f"there is no such {noun}; there are: {', '.join(sorted(known))}")


def token(
    subject: Annotated[str, typer.Option(help="Who the token is for, as the access log will say.")],
    role: Roles,
    purpose: Purposes = None,
    region: Regions = None,
    customer: Annotated[str | None, typer.Option(help="The customer's id, for the role customer.")] = None,
    hours: Annotated[float, typer.Option(help="How long it is good for.")] = 8.0,
) -> None:
    """Issue a token of the local issuer and print it. For laptops and tests; production has its own issuer.

    Whoever can read the data directory can do this, so it is not recorded; what the token is used for is.

    Example: confide token --subject ana --role support_agent
    """
    settings = load_settings()
    _known(role, purpose)
    if not 0 < hours * 3600 <= settings.max_token_seconds:
        raise LocalIssuerError(
            f"--hours must be more than 0 and at most {settings.max_token_seconds / 3600:g} (CONFIDE_MAX_TOKEN_SECONDS)"
        )
    if customer is not None and not _CUSTOMER.fullmatch(customer):
        raise LocalIssuerError("--customer takes a customer's id: cus_ and 26 characters, a to z and 2 to 7")
    issuer = LocalIssuer.open(
        settings.data_dir, now=utc_now, random=os.urandom, max_token_seconds=settings.max_token_seconds
    )
    text = issuer.issue(
        subject,
        roles=role,
        purposes=purpose,
        regions=region or (),
        customer_id=customer,
        ttl=timedelta(hours=hours),
    )
    out.print(text, markup=False)


def revoke(
    subject: Annotated[str | None, typer.Option(help="Revoke every token issued to this actor until now.")] = None,
    token_id: Annotated[str | None, typer.Option("--token-id", help="Revoke the token with this `jti`.")] = None,
) -> None:
    """Revoke tokens. When this returns, the next request everywhere feels it.

    Recorded in the access log, without whose: a customer's id has no place there.

    Example: confide revoke --subject ana
    """
    if (subject is None) == (token_id is None):
        raise typer.BadParameter("give --subject or --token-id")

    async def work(platform: Platform) -> None:
        from server.console.sessions import Sessions  # noqa: PLC0415 - the other commands need no console

        if subject is not None:
            await platform.revocations.revoke_subject(subject)
            # A session may outlive the memory of a revocation, so it ends here.
            await Sessions(platform.keys, platform.vault, now=platform.now, random=os.urandom).end(subject)
        if token_id is not None:
            await platform.revocations.revoke_token(token_id)
        await platform.vault.fleet.advance(Epoch.REVOCATIONS)
        # Afterwards: a log that does not answer must not keep anybody in.
        await record(platform, f"confide revoke {'--token-id' if subject is None else '--subject'}")

    with_platform(work)
    err.print("Revoked.")


@accounts.command("create")
def create_account(
    name: Annotated[str, typer.Argument(help="A name for people.")],
    role: Roles,
    purpose: Purposes = None,
    region: Regions = None,
) -> None:
    """Make a service account and print its bearer secret, which is shown only now.

    Example: confide accounts create "Web shop" --role client_app --purpose order_support
    """

    async def work(platform: Platform) -> str:
        account, secret = await platform.accounts.create(name, roles=role, purposes=purpose, regions=region or ())
        # Before anybody knows the secret.
        await record(platform, f"confide accounts create {account.id}")
        await platform.vault.fleet.advance(Epoch.REVOCATIONS)
        return secret

    out.print(with_platform(work), markup=False)


@accounts.command("list")
def list_accounts() -> None:
    """List service accounts as JSON, without their secrets.

    Example: confide accounts list
    """

    async def work(platform: Platform) -> list[dict[str, object]]:
        return [
            {
                "id": account.id,
                "name": account.name,
                "roles": sorted(account.roles),
                "purposes": None if account.purposes is None else sorted(account.purposes),
                "disabled": account.disabled,
                "created_at": account.created_at.isoformat(),
            }
            for account in await platform.accounts.all()
        ]

    print_json(with_platform(work))


@accounts.command("disable")
def disable_account(identifier: Annotated[str, typer.Argument(help="The account's id.")]) -> None:
    """Disable a service account. When this returns, the next request everywhere feels it.

    Example: confide accounts disable 3fkq2yw6
    """

    async def work(platform: Platform) -> bool:
        found = await platform.accounts.set_disabled(identifier, disabled=True)
        await platform.vault.fleet.advance(Epoch.REVOCATIONS)
        if found:
            await record(platform, f"confide accounts disable {identifier}")
        else:
            await record(platform, "confide accounts disable", Outcome.NOT_FOUND)
        return found

    if not with_platform(work):
        err.print("There is no such account.")
        raise typer.Exit(1)
    err.print("Disabled.")
