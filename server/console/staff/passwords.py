"""Passwords of local accounts: Argon2id (RFC 9106), in threads of its own, so many at once and no more."""

import asyncio
import unicodedata
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.console.staff.errors import DoorBusyError, StaffInvalidError

SHORTEST: Final = 12
_LONGEST_BYTES: Final = 1024
_AT_ONCE: Final = 2
_WAITING: Final = 32
T = TypeVar("T")
# RFC 9106 §4, the second recommended option: 64 MiB, three passes, four lanes.
_HASHER: Final = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)


class Passwords:
    """Hashes and verifies; whoever comes when too many wait is asked to come again."""

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        # Verified where there is no account, so that a wrong name costs what a wrong password costs.
        self._nobody = hasher.hash("nobody has this password")
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._here = 0

    async def hash(self, password: str) -> str:
        """The hash to keep, in the PHC string format.

        Raises:
            DoorBusyError: Too many wait.
        """
        return await self._in_turn(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, held: str | None, password: str) -> bool:
        """Whether `held` is the hash of this password; where there is none, the same work is done for nothing.

        Raises:
            DoorBusyError: Too many wait.
        """

        def verified() -> bool:
            try:
                self._hasher.verify(self._nobody if held is None else held, _normal(password))
            except (VerificationError, InvalidHashError):
                return False
            return held is not None

        return await self._in_turn(verified)

    def is_outdated(self, held: str) -> bool:
        """Whether a hash was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(held)

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._here >= _WAITING:
            raise DoorBusyError("Too many people sign in at once. Try again in a moment.")
        self._here += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._here -= 1


def check_new(name: str, password: str) -> None:
    """Return only if a password may be taken: long enough (NIST SP 800-63B), and not about its account.

    Raises:
        StaffInvalidError: It may not.
    """
    normal = _normal(password)
    if len(normal) < SHORTEST:
        raise StaffInvalidError(f"a password has {SHORTEST} characters or more; a few words are good")
    if len(normal.encode()) > _LONGEST_BYTES:
        raise StaffInvalidError("a password has at most 1024 bytes")
    plain = normal.casefold()
    named = len(name) > 3 and name in plain  # noqa: PLR2004 - a shorter name is in many a word
    if named or "confide" in plain or len(set(plain)) < 5:  # noqa: PLR2004 - the same few over again
        raise StaffInvalidError("a password holds neither the account's name nor Confide's, nor the same few letters")


def _normal(password: str) -> str:
    """As NIST SP 800-63B has it, so that another keyboard writes the same; cut so that no text is too long to try."""
    return unicodedata.normalize("NFKC", password[: 4 * _LONGEST_BYTES])


__all__ = ["SHORTEST", "Passwords", "check_new"]
