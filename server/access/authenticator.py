"""From an Authorization header to the caller, on every request.

A token that was verified is remembered by its SHA-256, for as long as it is good and as nothing it was verified
against has changed: the issuer's keys and the revocations carry versions, and a token of another version is
verified again. So revoking costs one more verification per token, and the usual request costs a hash and a look-up.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from customers.caller import Caller
from server.access.claims import caller_of, subject_of
from server.access.key_sources import FixedKeys, KeySource
from server.access.keys import KeySet
from server.access.revocations import Revocations
from server.access.service_accounts import BEARER_PREFIX, ServiceAccounts
from server.access.tokens import TokenVerifier
from server.errors import (
    AccessError,
    AccessNotReadyError,
    IssuerUnavailableError,
    TokenMalformedError,
    TokenMissingError,
    TokenRevokedError,
    TokenTooLargeError,
)

MAX_TOKEN_BYTES: Final = 8192
_REMEMBERED: Final = 4096
_ACCOUNTS: Final = FixedKeys(KeySet([]))


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was verified: until when it is good, and the versions it was verified against."""

    caller: Caller
    expires_at: float
    source: KeySource
    source_version: int
    revocations_version: int


class Authenticator:
    """Answers who is asking; holds no connection and asks no database on a request."""

    def __init__(
        self,
        *,
        verifier: TokenVerifier,
        accounts: ServiceAccounts,
        revocations: Revocations,
        now: Callable[[], datetime],
        remember: int = _REMEMBERED,
    ) -> None:
        self._verifier = verifier
        self._accounts = accounts
        self._revocations = revocations
        self._now = now
        self._remember = remember
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def reload(self) -> None:
        """Take the accounts and revocations the database holds now; the fleet calls it on `revocations`."""
        await self._accounts.load()
        await self._revocations.load()

    async def close(self) -> None:
        """Stop looking for new keys of the issuers."""
        for issuer in self._verifier.issuers:
            await issuer.keys.close()

    async def authenticate(self, authorization: str | None) -> Caller:
        """The caller that an Authorization header stands for.

        Raises:
            AccessError: One of its kinds; the text says what to do and repeats nothing of the header.
        """
        token = _bearer(authorization)
        revocations_version = self._revocations.version
        key = hashlib.sha256(token.encode()).digest()
        known = self._known.get(key)
        if known is not None:
            known.source.refresh_soon()
            if (
                known.revocations_version == revocations_version
                and known.source_version == known.source.version
                and self._now().timestamp() < known.expires_at
            ):
                self._known.move_to_end(key)
                return known.caller
            del self._known[key]
        if not revocations_version:
            raise AccessNotReadyError("the server has not loaded its revocations yet; try again")
        fresh = await self._verify(token, revocations_version)
        self._known[key] = fresh
        while len(self._known) > self._remember:
            self._known.popitem(last=False)
        return fresh.caller

    async def _verify(self, token: str, version: int) -> _Known:
        if token.startswith(BEARER_PREFIX):
            return _Known(self._accounts.verify(token), float("inf"), _ACCOUNTS, _ACCOUNTS.version, version)
        verified = await self._verifier.verify(token)
        caller = caller_of(verified)
        # The revocations as they are now, not as they were before keys were fetched.
        version = self._revocations.version
        if self._revocations.covers(
            token_id=caller.token_id, subject=subject_of(caller), issued_at=verified.issued_at
        ):
            raise TokenRevokedError("the token was revoked; get a new one")
        return _Known(caller, verified.expires_at, verified.issuer.keys, verified.keys_version, version)


def _bearer(authorization: str | None) -> str:
    if not authorization:
        raise TokenMissingError("send a bearer token: Authorization: Bearer <token>")
    if len(authorization) > MAX_TOKEN_BYTES + len("Bearer "):
        raise TokenTooLargeError(f"a bearer token is at most {MAX_TOKEN_BYTES} bytes long")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenMissingError("send a bearer token: Authorization: Bearer <token>")
    token = token.strip(" ")
    if not token or not token.isascii() or " " in token:
        raise TokenMalformedError("the Authorization header does not hold one bearer token")
    return token


def challenge(error: AccessError) -> str:
    """The WWW-Authenticate header that answers `error` (RFC 6750 §3).

    A request that brought no token is only told how to bring one. The descriptions are Confide's own fixed texts,
    without quotes or anything the caller sent.
    """
    if isinstance(error, TokenMissingError):
        return 'Bearer realm="confide"'
    return f'Bearer realm="confide", error="invalid_token", error_description="{_quotable(str(error))}"'


def is_temporary(error: AccessError) -> bool:
    """Whether asking again later may help: an answer of 503 with Retry-After, not of 401."""
    return isinstance(error, IssuerUnavailableError | AccessNotReadyError)


def _quotable(text: str) -> str:
    """RFC 6750 §3 allows these characters only."""
    return "".join(
        letter if letter.isascii() and letter.isprintable() and letter not in '"\\' else "'" for letter in text
    )
