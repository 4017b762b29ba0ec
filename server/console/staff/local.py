"""Signing in with a name, a password and an authenticator's code.

A name that there is not costs what a wrong password costs: the same questions to the database, one Argon2id, one look
at a code. Nothing that is answered says which of the three was wrong.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from server.access.claims import STAFF_PREFIX
from server.console.sessions import Door
from server.console.staff import one_time_codes
from server.console.staff.accounts import Member, StaffAccounts
from server.console.staff.errors import SignInRefusedError
from server.console.staff.passwords import Passwords
from server.console.staff.tries import Tries

_WRONG: Final = "The name, the password or the code is not right, or the code was used before."
# Looked at where there is no account.
_NO_SECRET: Final = "A" * 32
_LONGEST_NAME: Final = 64


class LocalDoor:
    """Lets in who has an account of this server's own.

    Args:
        accounts: who may sign in.
        passwords: verifies.
        tries: counts.
        now: the present.
    """

    def __init__(
        self, accounts: StaffAccounts, passwords: Passwords, tries: Tries, *, now: Callable[[], datetime]
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._tries = tries
        self._now = now

    async def enter(self, name: str, password: str, code: str) -> Member:
        """Who has this name, password and code; the code is spent.

        Raises:
            SignInRefusedError: Nobody; it is not said why.
            TooManyTriesError: Too many tries with this name; this one was not looked at.
            DoorBusyError: Too many at once.
        """
        name = name.strip().lower()[:_LONGEST_NAME].encode("utf-8", "replace").decode()
        await self._tries.begin(name)
        member = await self._proved(f"{STAFF_PREFIX}{name}", password, code)
        if member is None:
            raise SignInRefusedError(_WRONG)
        await self._tries.succeeded(name)
        return member

    async def again(self, member: Member, password: str, code: str) -> None:
        """Return only if somebody who is signed in proves once more who they are.

        Raises:
            SignInRefusedError, TooManyTriesError, DoorBusyError: as `enter`.
        """
        if member.kind is not Door.LOCAL or (await self.enter(member.name, password, code)).actor != member.actor:
            raise SignInRefusedError(_WRONG)

    async def _proved(self, actor: str, password: str, code: str) -> Member | None:
        found = await self._accounts.proof(actor)
        held = None if found is None else found[1].password
        matches = await self._passwords.verify(held, password)
        step = one_time_codes.step_of(_NO_SECRET if found is None else found[1].totp, code, self._now())
        good = found is not None and matches and step is not None and not found[0].disabled
        # Asked whatever was wrong before; a generation of nobody's finds nothing.
        generation = found[0].generation if found is not None and good else -1
        spent = await self._accounts.spend(actor, generation, step or 0)
        if not good or not spent or found is None:
            return None
        if found[1].password is not None and self._passwords.is_outdated(found[1].password):
            await self._accounts.rehashed(found[0], password)
        return found[0]


__all__ = ["LocalDoor"]
