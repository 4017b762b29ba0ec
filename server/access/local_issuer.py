"""An issuer of Confide's own: for the demo, for tests and for a site without an identity provider.

Its key pair is a JWK (RFC 7517, RFC 8037) in a file of the data directory that only its owner may read. What
somebody who can read the file could achieve: issue a token for anybody. Deleting it and starting again makes a new
pair, and refuses every token of the old one.
"""

import base64
import contextlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from server.access.claims import caller_of
from server.access.key_sources import FixedKeys
from server.access.keys import KeySet
from server.access.tokens import TrustedIssuer, VerifiedToken
from server.errors import LocalIssuerError, TokenRefusedError

LOCAL_ISSUER: Final = "confide-local"
AUDIENCE: Final = "confide"
KEY_FILE: Final = "local-issuer.jwk"
_MAX_BYTES: Final = 4096


class LocalIssuer:
    """Issues tokens that this deployment accepts."""

    def __init__(
        self,
        key: OKPKey,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        max_token_seconds: int = 86_400,
    ) -> None:
        self._key = key
        self._kid = key.thumbprint()
        self._now = now
        self._random = random
        self._longest = timedelta(seconds=max_token_seconds)

    @classmethod
    def open(
        cls,
        data_dir: Path,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        max_token_seconds: int = 86_400,
    ) -> "LocalIssuer":
        """The issuer whose key lies in `data_dir`; the key is made when there is none.

        Raises:
            LocalIssuerError: The file is not ours alone to read, or does not hold an Ed25519 private key.
        """
        path = data_dir / KEY_FILE
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        return cls(_read(path), now=now, random=random, max_token_seconds=max_token_seconds)

    @property
    def jwks(self) -> dict[str, Any]:
        """The public half, as a JWK set."""
        public = {name: self._key.as_dict(private=False)[name] for name in ("kty", "crv", "x")}
        return {"keys": [{**public, "kid": self._kid, "use": "sig", "alg": "Ed25519"}]}

    @property
    def trusted(self) -> TrustedIssuer:
        """This issuer as one that a verifier accepts."""
        keys = FixedKeys(KeySet.parse(json.dumps(self.jwks).encode()))
        return TrustedIssuer(LOCAL_ISSUER, AUDIENCE, keys, frozenset({"Ed25519"}))

    def issue(
        self,
        subject: str,
        *,
        roles: Iterable[str],
        purposes: Iterable[str] | None = None,
        regions: Iterable[str] = (),
        customer_id: str | None = None,
        client: str | None = None,
        ttl: timedelta = timedelta(hours=8),
    ) -> str:
        """A signed token.

        Raises:
            LocalIssuerError: This deployment would refuse such a token; the message says why.
        """
        if not timedelta() < ttl <= self._longest:
            raise LocalIssuerError(f"a token may be good for up to {int(self._longest.total_seconds())} seconds")
        issued_at = int(self._now().timestamp())
        optional = {
            "purposes": None if purposes is None else sorted(purposes),
            "regions": sorted(regions) or None,
            "customer_id": customer_id,
            "client_id": client,
        }
        claims: dict[str, Any] = {
            "iss": LOCAL_ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": issued_at,
            "exp": issued_at + int(ttl.total_seconds()),
            "jti": base64.urlsafe_b64encode(self._random(16)).decode().rstrip("="),
            "roles": sorted(roles),
            **{name: value for name, value in optional.items() if value is not None},
        }
        try:
            caller_of(VerifiedToken(self.trusted, claims, claims["exp"], issued_at, 1))
        except TokenRefusedError as error:
            raise LocalIssuerError(f"such a token would be refused: {error}") from error
        header = {"alg": "Ed25519", "kid": self._kid, "typ": "at+jwt"}
        return jwt.encode(header, claims, self._key, algorithms=["Ed25519"])


def _create(path: Path) -> None:
    """Write a new key beside its place and link it there: of two processes that start at once, one wins whole."""
    key = OKPKey.generate_key("Ed25519").as_dict(private=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({name: key[name] for name in ("kty", "crv", "x", "d")}, file)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)


def _read(path: Path) -> OKPKey:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise LocalIssuerError(f"the file {KEY_FILE} cannot be opened: {type(error).__name__}") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise LocalIssuerError(f"the file {KEY_FILE} must belong to this user and be closed to others: chmod 600")
        content = file.read(_MAX_BYTES)
    try:
        key = OKPKey.import_key(json.loads(content))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        key = None
    if key is None or not key.is_private or key.curve_name != "Ed25519":
        # Not chained: what a parser says about the file could repeat a part of the key.
        raise LocalIssuerError(
            f"the file {KEY_FILE} does not hold an Ed25519 private key; delete it to make a new one"
        )
    return key
