"""Invitations: somebody chooses their password and scans their authenticator themselves, so nobody else ever has either.

Who made the account hands on a code of 136 random bits, which is good once and for a day. It stands in the account's
document as its SHA-256 (`invitation`), so who reads the database cannot use it; nobody signs in with the account before
it was taken up, because it has no password.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from server.access.claims import STAFF_PREFIX
from server.console.sessions import Door
from server.console.staff import one_time_codes
from server.console.staff.accounts import COLLECTION, Member, StaffAccounts
from server.console.staff.errors import InvitationRefusedError, StaffInvalidError
from server.console.staff.passwords import Passwords, check_new
from vault.retry import retrying

GOOD_FOR: Final = timedelta(hours=24)
_CODE_BYTES: Final = 17
_LONGEST: Final = 64
_AGAIN: Final = "This invitation is not good: it was used, is older than a day, or was typed otherwise."


@dataclass(frozen=True, slots=True)
class Invitation:
    """What is handed on, once: for whom, the code, and until when it is good."""

    actor: str
    code: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True)
class Invited:
    """Somebody who shows a good invitation: their account, and the authenticator's secret that they are to scan."""

    member: Member
    secret: str = field(repr=False)
    address: str = field(repr=False)


class Invitations:
    """Makes and takes them.

    Args:
        keys: The keys database.
        accounts: The accounts.
        passwords: Hashes.
        now, random: The present, and so many random bytes.
    """

    def __init__(
        self,
        keys: AsyncDatabase[dict[str, Any]],
        accounts: StaffAccounts,
        passwords: Passwords,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._documents = keys[COLLECTION]
        self._accounts = accounts
        self._passwords = passwords
        self._now = now
        self._random = random

    async def invite(self, name: str) -> Invitation:
        """Invite the owner of a local account to prove themselves anew; what they had until now is good no more.

        Raises:
            StaffNotFoundError: There is no such local account.
        """
        code = base64.b32encode(self._random(_CODE_BYTES)).decode().rstrip("=").lower()
        until = self._now() + GOOD_FOR
        made = await self._accounts.reset(name, None, {"hash": _hashed(code), "until": until})
        return Invitation(made.actor, "-".join(code[at : at + 7] for at in range(0, len(code), 7)), until)

    async def show(self, name: str, code: str) -> Invited:
        """What somebody with this invitation is to scan.

        Raises:
            InvitationRefusedError: It is none, or good no more.
        """
        actor = f"{STAFF_PREFIX}{name.strip().lower()[:_LONGEST].encode('utf-8', 'replace').decode()}"
        found = await self._accounts.proof(actor)
        document = await self._documents.find_one(self._good(actor, code))
        if found is None or document is None:
            raise InvitationRefusedError(_AGAIN)
        member, secrets = found
        return Invited(member, secrets.totp, one_time_codes.address(secrets.totp, member.name, "Confide"))

    async def check(self, invited: Invited, password: str, typed: str) -> int:
        """The step of the authenticator's code, if the password can be taken and the code is one of now.

        Raises:
            StaffInvalidError: One of them cannot be taken.
        """
        check_new(invited.member.name, password)
        step = one_time_codes.step_of(invited.secret, typed, self._now())
        if step is None:
            raise StaffInvalidError(
                "the code is not the one that the app shows now; is the clock of the device right"
            )
        return step

    async def accept(self, invited: Invited, code: str, password: str, step: int) -> Member:
        """Take the password; the invitation and the authenticator's code are spent. Of many at once one succeeds.

        Raises:
            InvitationRefusedError: It was taken meanwhile, or is good no more.
        """
        hashed = await self._passwords.hash(password)
        good, now = self._good(invited.member.actor, code), self._now()
        taken = {
            "$set": {"password": hashed, "step": step, "changed_at": now, "seen_at": now},
            "$unset": {"invitation": ""},
            "$inc": {"generation": 1},
        }
        changed = await retrying(lambda: self._documents.update_one(good, taken))
        found = await self._accounts.find(invited.member.actor)
        if not changed.matched_count or found is None:
            raise InvitationRefusedError(_AGAIN)
        return found

    def _good(self, actor: str, code: str) -> Mapping[str, Any]:
        return {
            "_id": actor,
            "kind": Door.LOCAL.value,
            "disabled": False,
            "invitation.hash": _hashed(code),
            "invitation.until": {"$gt": self._now()},
        }


def _hashed(code: str) -> bytes:
    plain = "".join(each for each in code.lower() if each.isalnum())
    return hashlib.sha256(plain.encode(errors="surrogatepass")).digest()


__all__ = ["GOOD_FOR", "Invitation", "Invitations", "Invited"]
