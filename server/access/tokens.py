"""Verifying one JSON Web Token (RFC 7519, RFC 8725): which issuer, which key, still good, for us."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from server.access.key_sources import KeySource
from server.errors import TokenExpiredError, TokenMalformedError, TokenRefusedError

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
LEEWAY_SECONDS: Final = 30

# RFC 9068 access tokens, and the plain type most issuers write; anything else was made for another use.
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_SEGMENTS: Final = 3
_MAX_HEADER: Final = 1024


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer, what its tokens must say and where its keys are."""

    issuer: str
    audience: str
    keys: KeySource
    algorithms: frozenset[str]
    roles_claim: str = "roles"
    purposes_claim: str = "purposes"
    regions_claim: str = "regions"
    customer_claim: str = "customer_id"
    client_claim: str = "client_id"
    actor_prefix: str = ""
    allowed_roles: frozenset[str] | None = None
    reserved: frozenset[str] = frozenset()
    """What begins the names that others give: none of its subjects may be called so."""


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token whose signature and times hold, and the issuer that vouches for its claims."""

    issuer: TrustedIssuer
    claims: Mapping[str, Any]
    expires_at: float
    issued_at: float | None
    keys_version: int


class _Registry(JWSRegistry):
    """Confide's algorithms only; `EdDSA` means Ed25519, as RFC 9864 now names it."""

    max_header_length = _MAX_HEADER * 4 // 3 + 4

    def get_alg(self, name: str) -> Any:
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


class TokenVerifier:
    """Verifies tokens of a fixed set of issuers."""

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        *,
        now: Callable[[], datetime],
        max_token_seconds: int = 86_400,
        types: frozenset[str] = _TYPES,
    ) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._now = now
        self._max_token_seconds = max_token_seconds
        self._types = types
        # Unknown headers are ignored (RFC 7515 §4); `crit` is refused below, so none can be meant to matter.
        self._registry = _Registry(algorithms=ALGORITHMS, strict_check_header=False)

    @property
    def issuers(self) -> Sequence[TrustedIssuer]:
        """The issuers whose tokens are accepted."""
        return tuple(self._issuers.values())

    async def verify(self, token: str) -> VerifiedToken:
        """The claims of `token`, once everything about it holds.

        Raises:
            TokenMalformedError: It is not a JWT in compact form.
            TokenExpiredError: It is past its `exp`.
            TokenRefusedError: Anything else about it is not to be trusted.
            IssuerUnavailableError: Its issuer's keys cannot be read at the moment.
        """
        segments = token.split(".")
        if len(segments) != _SEGMENTS or not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise TokenMalformedError("the bearer token is not a JSON Web Token")
        header, claims = _object(segments[0]), _object(segments[1])
        # The issuer is only a claim until the signature holds under that issuer's own key.
        name = claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise TokenRefusedError("the token's issuer is not one this server accepts")
        algorithm, kid = _checked_header(header, issuer, self._types)
        version = await self._check_signature(token, issuer, algorithm, kid)
        expires_at = self._check_times(claims)
        _check_audience(claims, issuer)
        return VerifiedToken(issuer, claims, expires_at, _time(claims, "iat"), version)

    async def _check_signature(self, token: str, issuer: TrustedIssuer, algorithm: str, kid: str | None) -> int:
        """The version of the keys that verified it."""
        keys, version = await issuer.keys.current(), issuer.keys.version
        candidates = keys.candidates(algorithm, kid)
        if not candidates and kid is not None:
            keys, version = await issuer.keys.after_unknown_key(), issuer.keys.version
            candidates = keys.candidates(algorithm, kid)
        if not candidates:
            raise TokenRefusedError("the token's issuer has no key for signatures that fits it")
        for key in candidates:
            try:
                jws.deserialize_compact(token, key, registry=self._registry)
            except (JoseError, ValueError, TypeError):
                continue
            return version
        raise TokenRefusedError("the token's signature does not hold")

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        now = self._now().timestamp()
        expires_at = _time(claims, "exp")
        if expires_at is None:
            raise TokenRefusedError("the token has no expiry (`exp`)")
        if now >= expires_at + LEEWAY_SECONDS:
            raise TokenExpiredError("the token has expired; get a new one")
        if expires_at > now + self._max_token_seconds + LEEWAY_SECONDS:
            raise TokenRefusedError("the token is good for longer than this server accepts")
        for claim in ("nbf", "iat"):
            moment = _time(claims, claim)
            if moment is not None and moment > now + LEEWAY_SECONDS:
                raise TokenRefusedError(f"the token is not valid yet (`{claim}`)")
        return expires_at + LEEWAY_SECONDS


def _object(segment: str) -> dict[str, Any]:
    """The JSON object in a segment; each name once, so that no two readers can differ over it (RFC 8725 §2.7)."""
    try:
        raw = base64.b64decode(segment + "=" * (-len(segment) % 4), b"-_", validate=True)
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except (binascii.Error, ValueError, RecursionError):
        raise TokenMalformedError("the bearer token is not a JSON Web Token") from None
    if not isinstance(found, dict):
        raise TokenMalformedError("the bearer token is not a JSON Web Token")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _checked_header(
    header: Mapping[str, Any], issuer: TrustedIssuer, types: frozenset[str]
) -> tuple[str, str | None]:
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms or algorithm not in ALGORITHMS:
        raise TokenRefusedError("the token is not signed with an algorithm this server accepts from its issuer")
    if "crit" in header or "b64" in header:
        raise TokenRefusedError("the token asks for an extension this server does not have")
    if "typ" in header and not (isinstance(kind, str) and kind.lower() in types):
        raise TokenRefusedError("the token is of another type than an access token")
    if kid is not None and not isinstance(kid, str):
        raise TokenMalformedError("the bearer token is not a JSON Web Token")
    return algorithm, kid


def _check_audience(claims: Mapping[str, Any], issuer: TrustedIssuer) -> None:
    audience = claims.get("aud")
    if audience != issuer.audience and not (isinstance(audience, list) and issuer.audience in audience):
        raise TokenRefusedError("the token was issued for another audience")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 §2). NaN is in no range, and a bool is a number only to Python."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 53:
        raise TokenRefusedError(f"the token's `{name}` is not a time")
    return float(value)
