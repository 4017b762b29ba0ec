"""Who is signed in to the console of this process: in memory only, bounded, and found by a hash.

A session holds the bearer token that it was opened with, because the token is verified again on every request: one
that is revoked, expired or no longer trusted ends the session with the next page. Whoever can read this process's
memory has the tokens; nobody else does, and a restart signs everybody out.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from server.console.errors import TooManySessionsError

LONGEST: Final = timedelta(hours=8)
_ID_BYTES: Final = 32
_MOST: Final = 1024
_MOST_OF_ONE: Final = 8
_MOST_CUSTOMERS: Final = 32


@dataclass(slots=True)
class Session:
    """One person, signed in with one browser.

    Attributes:
        actor: who, as the token says.
        token: what they signed in with.
        form_key: what every form of theirs must bring back.
        until: when it ends, whatever happens.
        purpose, case: as they stated them last.
        customers: customer ids that were searched for, under names that say nothing, so that no address holds one.
    """

    actor: str
    token: str = field(repr=False)
    form_key: str = field(repr=False)
    until: datetime
    purpose: str | None = None
    case: str | None = None
    customers: OrderedDict[str, str] = field(default_factory=OrderedDict, repr=False)


class Sessions:
    """The sessions of this process."""

    def __init__(self, *, now: Callable[[], datetime], random: Callable[[int], bytes], most: int = _MOST) -> None:
        self._now = now
        self._random = random
        self._most = most
        self._held: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def open(self, actor: str, token: str) -> tuple[str, Session]:
        """A new session of an actor whose token was verified a moment ago; its id is given once and not kept.

        Where the actor has too many, their oldest ends.

        Raises:
            TooManySessionsError: There is no room; nobody else is signed out for it.
        """
        self._prune()
        own = [key for key, held in self._held.items() if held.actor == actor]
        for key in own[: max(0, len(own) + 1 - _MOST_OF_ONE)]:
            del self._held[key]
        if len(self._held) >= self._most:
            raise TooManySessionsError("as many people are signed in as this server allows; try again later")
        opaque = self.text()
        until = self._now() + LONGEST
        expiry = expiry_of(token)
        session = Session(actor, token, self.text(), until if expiry is None else min(until, expiry))
        self._held[_hashed(opaque)] = session
        return opaque, session

    def find(self, opaque: str | None) -> Session | None:
        """The session of this id, if it has not ended."""
        if not opaque:
            return None
        key = _hashed(opaque)
        session = self._held.get(key)
        if session is not None and self._now() >= session.until:
            del self._held[key]
            return None
        return session

    def close(self, opaque: str | None) -> None:
        """End the session of this id, if there is one."""
        if opaque:
            self._held.pop(_hashed(opaque), None)

    def text(self) -> str:
        """A new random text that nobody can guess."""
        return base64.urlsafe_b64encode(self._random(_ID_BYTES)).decode().rstrip("=")

    def name_customer(self, session: Session, customer_id: str) -> str:
        """A name for this customer that only this session understands."""
        for name, known in session.customers.items():
            if known == customer_id:
                session.customers.move_to_end(name)
                return name
        name = self.text()[:12]
        session.customers[name] = customer_id
        while len(session.customers) > _MOST_CUSTOMERS:
            session.customers.popitem(last=False)
        return name

    def _prune(self) -> None:
        now = self._now()
        for key in [key for key, held in self._held.items() if now >= held.until]:
            del self._held[key]


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


def expiry_of(token: str) -> datetime | None:
    """When a token that was verified expires; None where it does not say, as a service account's does not."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - a JWT in compact form
        return None
    try:
        payload: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(payload["exp"], UTC)
    except (binascii.Error, ValueError, TypeError, KeyError, OverflowError, OSError):
        return None


def _hashed(opaque: str) -> bytes:
    return hashlib.sha256(opaque.encode(errors="surrogatepass")).digest()


__all__ = ["LONGEST", "Session", "Sessions", "expiry_of", "same"]
