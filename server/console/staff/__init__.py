"""Who of the staff may sign in to the console.

Through an identity provider, with an account of this server's own, or, on a laptop, with an access token.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from audit import AccessLog, Kind, Outcome, Record, timestamp
from customers.caller import Caller
from policies import PolicySet
from server.access import Authenticator, Revocations
from server.console.errors import SignInUnavailableError
from server.console.sessions import Door, Sessions
from server.console.staff.accounts import Member, NewSecrets, StaffAccounts
from server.console.staff.callers import Callers
from server.console.staff.errors import StaffError, StaffInvalidError, StaffNotFoundError
from server.console.staff.invitations import Invitation, Invitations
from server.console.staff.local import LocalDoor
from server.console.staff.oidc import Client, OIDCDoor
from server.console.staff.passwords import Passwords
from server.console.staff.tries import Tries
from server.settings import Settings
from vault import Vault


@dataclass(frozen=True, slots=True)
class Doors:
    """What stands on the page to sign in at."""

    local: bool
    oidc: str | None
    tokens: bool


@dataclass(frozen=True)
class Staff:
    """The doors, and who came in by them.

    Attributes:
        sessions: who is signed in.
        callers: who a session stands for now.
        accounts: who may sign in.
        invitations: take up an account by its owner alone.
        local: the door for accounts of this server's own.
        oidc: the door for those whom an identity provider vouches for, if there is one.
        authenticator: says who a token stands for.
        takes_tokens: whether a token opens the console.
    """

    sessions: Sessions
    callers: Callers
    accounts: StaffAccounts
    invitations: Invitations
    local: LocalDoor
    oidc: OIDCDoor | None
    authenticator: Authenticator
    takes_tokens: bool
    log: AccessLog
    policies: Callable[[], PolicySet]
    now: Callable[[], datetime]

    async def doors(self) -> Doors:
        """The doors that are of use. That of local accounts is shown once there is one.

        Raises:
            SignInUnavailableError: The database is away.
        """
        try:
            local = await self.accounts.any_local()
        except PyMongoError:
            raise SignInUnavailableError("Nobody can sign in now; try again in a moment.") from None
        return Doors(local, None if self.oidc is None else self.oidc.label, self.takes_tokens)

    async def record(self, caller: Caller, operation: str, outcome: Outcome = Outcome.ALLOWED) -> None:
        """Make it durable that one of the staff signs in, or changes how they do.

        Raises:
            AuditError: It cannot be recorded, so it is not to be done.
        """
        await self.log.append(
            Record(
                kind=Kind.ADMIN,
                time=timestamp(self.now()),
                actor=caller.actor,
                roles=tuple(sorted(set(caller.roles))),
                operation=operation,
                outcome=outcome,
                policy=self.policies().version,
            )
        )


def staff_accounts(
    keys: AsyncDatabase[dict[str, Any]], vault: Vault, now: Callable[[], datetime], passwords: Passwords | None = None
) -> StaffAccounts:
    """The accounts of a deployment."""
    return StaffAccounts(keys, vault, passwords or Passwords(), now=now, random=os.urandom)


def staff_invitations(
    keys: AsyncDatabase[dict[str, Any]], vault: Vault, now: Callable[[], datetime], passwords: Passwords | None = None
) -> Invitations:
    """The invitations of a deployment."""
    passwords = passwords or Passwords()
    accounts = staff_accounts(keys, vault, now, passwords)
    return Invitations(keys, accounts, passwords, now=now, random=os.urandom)


def staff_of(
    settings: Settings,
    *,
    keys: AsyncDatabase[dict[str, Any]],
    vault: Vault,
    authenticator: Authenticator,
    revocations: Revocations,
    log: AccessLog,
    policies: Callable[[], PolicySet],
    now: Callable[[], datetime],
    random: Callable[[int], bytes] = os.urandom,
    passwords: Passwords | None = None,
    client: Client | None = None,
) -> Staff:
    """The staff of a deployment.

    Args:
        settings: of the deployment.
        keys: the keys database.
        vault: seals what sessions and accounts hold.
        authenticator: says who a token stands for.
        revocations: what was taken back.
        log: where it is recorded that somebody signs in.
        policies: the policy in force.
        now: the present.
        random: gives so many random bytes.
        passwords: verifies passwords.
        client: makes a client for one conversation with the identity provider.
    """
    passwords = passwords or Passwords()
    accounts = StaffAccounts(keys, vault, passwords, now=now, random=random)
    found, secret = settings.staff_oidc, settings.staff_oidc_secret
    return Staff(
        sessions=Sessions(keys, vault, now=now, random=random),
        callers=Callers(authenticator, revocations, accounts, {} if found is None else found.roles),
        accounts=accounts,
        invitations=Invitations(keys, accounts, passwords, now=now, random=random),
        local=LocalDoor(accounts, passwords, Tries(keys, vault.digest, now=now), now=now),
        oidc=None
        if found is None
        else OIDCDoor(
            found,
            None if secret is None else secret.get_secret_value(),
            keys,
            vault,
            now=now,
            random=random,
            client=client,
        ),
        authenticator=authenticator,
        takes_tokens=settings.takes_staff_tokens,
        log=log,
        policies=policies,
        now=now,
    )


__all__ = [
    "Door",
    "Doors",
    "Invitation",
    "Member",
    "NewSecrets",
    "Passwords",
    "Staff",
    "StaffAccounts",
    "StaffError",
    "StaffInvalidError",
    "StaffNotFoundError",
    "staff_accounts",
    "staff_invitations",
    "staff_of",
]
