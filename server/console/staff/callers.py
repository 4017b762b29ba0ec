"""Who a session stands for now: asked on every request, so whoever is disabled or has other roles feels it at once."""

from collections.abc import Iterable, Mapping
from typing import Final

from pymongo.errors import PyMongoError

from customers.caller import Caller
from server.access import Authenticator, Revocations
from server.access.claims import CUSTOMER_ROLE, WORD
from server.console.sessions import Door, Session
from server.console.staff.accounts import StaffAccounts
from server.console.staff.errors import StaffRefusedError
from server.errors import AccessNotReadyError, TokenRevokedError

_AWAY: Final = "accounts cannot be looked up now; try again"


class Callers:
    """From sessions to callers.

    Args:
        authenticator: says who a token stands for.
        revocations: what `confide revoke` took back.
        accounts: who may sign in.
        roles: the roles that each group of the identity provider gives.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        revocations: Revocations,
        accounts: StaffAccounts,
        roles: Mapping[str, Iterable[str]],
    ) -> None:
        self._authenticator = authenticator
        self._revocations = revocations
        self._accounts = accounts
        self._roles = {group: frozenset(given) - {CUSTOMER_ROLE} for group, given in roles.items()}

    async def of(self, session: Session) -> Caller:
        """The caller whom a session stands for.

        Raises:
            AccessError: Nobody any more; of the kinds that are temporary where that cannot be told now.
        """
        if session.door is Door.TOKEN:
            return await self._authenticator.authenticate(f"Bearer {session.token}")
        if not self._revocations.loaded:
            raise AccessNotReadyError("the server has not loaded its revocations yet; try again")
        if self._revocations.covers(token_id=None, subject=session.actor, issued_at=session.opened_at.timestamp()):
            raise TokenRevokedError("the session was revoked; sign in again")
        try:
            member = await self._accounts.find(session.actor)
        except PyMongoError:
            raise AccessNotReadyError(_AWAY) from None
        if member is None or member.disabled or member.kind is not session.door:
            raise StaffRefusedError("the account may not sign in any more")
        if member.generation != session.said.get("generation"):
            raise StaffRefusedError("the account was changed; sign in again")
        if session.door is Door.LOCAL:
            return member.caller()
        roles = self.roles_of(session.said.get("groups", ()))
        if not roles:
            raise StaffRefusedError("none of the account's groups has a role here any more")
        return member.caller(roles, session.said.get("regions", ()))

    def roles_of(self, groups: Iterable[str]) -> tuple[str, ...]:
        """What these groups of the identity provider's may do here."""
        found = {role for group in groups for role in self._roles.get(group, ())}
        return tuple(sorted(role for role in found if WORD.fullmatch(role)))


__all__ = ["Callers"]
