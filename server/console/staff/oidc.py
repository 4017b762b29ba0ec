"""Signing in through an identity provider: OpenID Connect's code flow, with PKCE (RFC 7636), state and nonce.

What a sign-in needs on its way back is in a cookie of its own, sealed, for ten minutes: nothing is kept for somebody
who only began. The ID token is held to what every token of this server is held to (`server/access/tokens.py`), and
then to this sign-in: its nonce, its party. A state is spent with the session that it opened.

Documents of `staff_arrivals` in the keys database: `{_id: sha256 of the state, or of a logout token's jti, v: 1,
expires_at}`. What somebody who can write to the collection could achieve: have a logout token end nothing; and else
nothing, while a provider takes each code once.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]  # has no types
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request  # type: ignore[import-untyped]  # has no types
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]  # has no types
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from server.access import RefreshingKeys, TokenVerifier, TrustedIssuer
from server.access.claims import at, words_at
from server.console.sessions import Sealing
from server.console.staff.errors import ArrivalRefusedError, ProviderAwayError
from server.errors import AccessError, IssuerKeysError, IssuerUnavailableError
from server.loopback import is_loopback
from server.staff_settings import StaffOIDC
from vault import TokenInvalidError

WITHIN: Final = timedelta(minutes=10)
_COLLECTION: Final = "staff_arrivals"
_PURPOSE: Final = "staff arrival"
_SECONDS: Final = 10.0
_MAX_BYTES: Final = 256 * 1024
_FRESH: Final = timedelta(hours=1)
_LONGEST_NAME: Final = 200
_LOGOUT_TYPES: Final = frozenset({"logout+jwt", "jwt"})
_LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_AGAIN: Final = "Sign in again from the beginning."

Client = Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]


@dataclass(frozen=True, slots=True)
class Beginning:
    """A sign-in that begins: where the browser goes, and the cookie it brings back."""

    address: str
    cookie: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody whom the provider vouches for, and where they wanted to go."""

    issuer: str
    subject: str
    actor: str
    groups: tuple[str, ...]
    regions: tuple[str, ...]
    following: str
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """What the provider says has ended: everything of a subject, one session, or a subject's one session.

    `mark` is what its token is remembered by until `until`; `again` says that it is remembered already.
    """

    issuer: str
    subject: str | None
    sid: str | None
    mark: bytes
    until: datetime
    again: bool


@dataclass(frozen=True, slots=True)
class _Provider:
    authorization: str
    token: str
    says_issuer: bool


class OIDCDoor:
    """Lets in whom one provider vouches for.

    Args:
        settings: the provider, and what its groups may do.
        secret: what it knows this console by.
        keys: the keys database.
        sealing: seals what a sign-in brings back.
        now, random: the present, and so many random bytes.
        client: makes a client for one conversation with the provider.
    """

    def __init__(
        self,
        settings: StaffOIDC,
        secret: str | None,
        keys: AsyncDatabase[dict[str, Any]],
        sealing: Sealing,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        client: Client | None = None,
    ) -> None:
        self.label = settings.label
        self._settings = settings
        self._auth = ClientAuth(settings.client_id, secret or "", settings.authentication)
        self._spent = keys[_COLLECTION]
        self._sealing = sealing
        self._now = now
        self._random = random
        self._client = client or _client
        self._provider: tuple[datetime, _Provider] | None = None
        self._jwks: str | None = None
        issuer = TrustedIssuer(
            issuer=settings.issuer,
            audience=settings.client_id,
            keys=RefreshingKeys(self._read_keys, now=now),
            algorithms=frozenset({"RS256", "PS256", "ES256", "Ed25519", "EdDSA"}),
        )
        self._verifier = TokenVerifier([issuer], now=now)
        self._endings = TokenVerifier([issuer], now=now, types=_LOGOUT_TYPES)

    async def begin(self, back: str, following: str) -> Beginning:
        """Send somebody to the provider.

        Args:
            back: the address at which the provider sends them back here.
            following: where they want to go.

        Raises:
            ProviderAwayError: It does not answer.
        """
        provider = await self._found()
        state, nonce, verifier = self._text(), self._text(), self._text()
        address = prepare_grant_uri(
            provider.authorization,
            self._settings.client_id,
            "code",
            redirect_uri=back,
            scope=" ".join(self._settings.scopes),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        kept = {
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "following": following,
            "back": back,
            "at": self._now().timestamp(),
        }
        return Beginning(address, self._sealing.seal_token(_PURPOSE, json.dumps(kept).encode(), b""))

    async def finish(self, back: str, said: Mapping[str, str], cookie: str | None) -> Arrival:
        """Who it is that the provider sent back.

        Args:
            back: the address that they came to.
            said: what stands in its query.
            cookie: what this browser was given when it began.

        Raises:
            ArrivalRefusedError: It is not to be trusted.
            ProviderAwayError: The provider does not answer.
        """
        begun = self._begun(back, said, cookie)
        provider = await self._found()
        # RFC 9207: whose answer it is, where the provider says so.
        if (provider.says_issuer or "iss" in said) and said.get("iss") != self._settings.issuer:
            raise ArrivalRefusedError(f"The answer is another provider's. {_AGAIN}")
        if "error" in said or not said.get("code"):
            raise ArrivalRefusedError("The identity provider did not sign you in.")
        token = await self._exchanged(provider, said["code"], begun)
        try:
            verified = await self._verifier.verify(token)
        except IssuerUnavailableError:
            raise ProviderAwayError(
                "The identity provider's keys cannot be read now. Try again in a moment."
            ) from None
        except AccessError as error:
            raise ArrivalRefusedError(f"The identity provider's answer cannot be trusted: {error}.") from None
        arrival = self._arrival(verified.claims, begun)
        await self._spend(begun["state"])
        return arrival

    async def ended(self, token: str) -> Ending:
        """What a logout token says has ended (OpenID Connect Back-Channel Logout 1.0 §2.6).

        Raises:
            ArrivalRefusedError: It is not to be trusted, or is a token for something else.
            ProviderAwayError: The provider's keys cannot be read.
        """
        try:
            verified = await self._endings.verify(token)
        except IssuerUnavailableError:
            raise ProviderAwayError("The identity provider's keys cannot be read now.") from None
        except AccessError as error:
            raise ArrivalRefusedError(f"This cannot be trusted: {error}.") from None
        claims = verified.claims
        events, subject, sid = claims.get("events"), claims.get("sub"), claims.get("sid")
        # A nonce is what an ID token has, and a logout token must not have.
        if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict) or "nonce" in claims:
            raise ArrivalRefusedError("This is no logout token.")
        named = [each for each in (subject, sid) if each is not None]
        if not named or not all(isinstance(each, str) and _is_name(each) for each in named):
            raise ArrivalRefusedError("This does not say what has ended.")
        if not isinstance(claims.get("jti"), str) or claims.get("iat") is None:
            raise ArrivalRefusedError("This is no logout token.")
        mark = hashlib.sha256(b"logout\0" + str(claims["jti"]).encode(errors="surrogatepass")).digest()
        again = await self._spent.find_one({"_id": mark}) is not None
        until = datetime.fromtimestamp(verified.expires_at, UTC)
        return Ending(self._settings.issuer, subject, sid, mark, until, again)

    async def done(self, ending: Ending) -> None:
        """Remember that this was ended: whoever sends the token again, or found it, ends no session that began since."""
        await self._forget_old()
        with contextlib.suppress(DuplicateKeyError):
            await self._spent.insert_one({"_id": ending.mark, "v": 1, "expires_at": ending.until})

    def _begun(self, back: str, said: Mapping[str, str], cookie: str | None) -> dict[str, Any]:
        """What this browser began, where it is this that came back."""
        elsewhere = ArrivalRefusedError(f"This sign-in was not begun in this browser, or too long ago. {_AGAIN}")
        try:
            begun: dict[str, Any] = json.loads(self._sealing.open_token(_PURPOSE, cookie or "", b""))
        except TokenInvalidError:
            raise elsewhere from None
        age = self._now().timestamp() - begun["at"]
        if not 0 <= age < WITHIN.total_seconds() or begun["back"] != back:
            raise elsewhere
        if not hmac.compare_digest(begun["state"].encode(), said.get("state", "").encode(errors="surrogatepass")):
            raise elsewhere
        return begun

    async def _exchanged(self, provider: _Provider, code: str, begun: Mapping[str, Any]) -> str:
        """The ID token that the provider gives for a code."""
        body = prepare_token_request(
            "authorization_code", redirect_uri=begun["back"], code=code, code_verifier=begun["verifier"]
        )
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        address, headers, body = self._auth.prepare("POST", provider.token, headers, body)
        status, answer = await self._asked("POST", address, headers, body)
        if status in (400, 401):  # the provider does not take the code, or not from us
            raise ArrivalRefusedError(f"The identity provider does not take its own answer any more. {_AGAIN}")
        token = answer.get("id_token") if status == 200 else None  # noqa: PLR2004 - OK
        if not isinstance(token, str):
            raise ProviderAwayError("The identity provider did not say who you are. Try again in a moment.")
        return token

    def _arrival(self, claims: Mapping[str, Any], begun: Mapping[str, Any]) -> Arrival:
        nonce, subject = claims.get("nonce"), claims.get("sub")
        if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), begun["nonce"].encode()):
            raise ArrivalRefusedError(f"The identity provider's answer belongs to another sign-in. {_AGAIN}")
        audience = claims.get("aud")
        several = isinstance(audience, list) and len(audience) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._settings.client_id:
            raise ArrivalRefusedError("The identity provider's answer is meant for another application.")
        name = claims.get(self._settings.actor_claim)
        if self._settings.actor_claim == "email" and claims.get("email_verified") is not True:
            name = None
        if not all(isinstance(each, str) and _is_name(each) for each in (subject, name)):
            raise ArrivalRefusedError(
                "The identity provider does not say who you are in a form that can be recorded."
            )
        try:
            place = self._settings.regions_claim
            regions = None if place is None else words_at(claims, place, "regions")
        except AccessError as error:
            raise ArrivalRefusedError(f"The identity provider's answer cannot be used: {error}.") from None
        return Arrival(
            issuer=self._settings.issuer,
            subject=str(subject),
            actor=f"{self._settings.actor_prefix}{name}",
            groups=_groups(at(claims, self._settings.groups_claim)),
            regions=tuple(sorted(regions or ())),
            following=str(begun["following"]),
            sid=sid if isinstance(sid := claims.get("sid"), str) and _is_name(sid) else None,
        )

    async def _spend(self, state: str) -> None:
        await self._forget_old()
        try:
            await self._spent.insert_one(
                {"_id": hashlib.sha256(state.encode()).digest(), "v": 1, "expires_at": self._now() + 2 * WITHIN}
            )
        except DuplicateKeyError:
            raise ArrivalRefusedError(f"This sign-in was finished before. {_AGAIN}") from None

    async def _forget_old(self) -> None:
        await self._spent.delete_many({"expires_at": {"$lte": self._now()}})

    async def _found(self) -> _Provider:
        """What the provider says of itself (OpenID Connect Discovery 1.0), an hour old at most."""
        if self._provider is not None and self._now() - self._provider[0] < _FRESH:
            return self._provider[1]
        status, said = await self._asked(
            "GET", f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration", {}, None
        )
        addresses = [said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if status != 200 or said.get("issuer") != self._settings.issuer or not all(map(_is_safe, addresses)):  # noqa: PLR2004
            raise ProviderAwayError("The identity provider does not say of itself what it must. Try again later.")
        says_issuer = said.get("authorization_response_iss_parameter_supported") is True
        found = _Provider(str(addresses[0]), str(addresses[1]), says_issuer)
        self._jwks = str(addresses[2])
        self._provider = (self._now(), found)
        return found

    async def _read_keys(self) -> bytes:
        try:
            await self._found()
            status, said = await self._asked("GET", self._jwks or "", {}, None)
        except ProviderAwayError as error:
            raise IssuerKeysError("the provider's keys cannot be fetched") from error
        if status != 200:  # noqa: PLR2004 - OK
            raise IssuerKeysError(f"the provider's keys were answered with status {status}")
        return json.dumps(said).encode()

    async def _asked(
        self, method: str, address: str, headers: Mapping[str, str], body: str | None
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON object that the provider answers; no redirect is followed, and nothing long is read."""
        try:
            async with asyncio.timeout(_SECONDS), self._client() as client:
                asked = {"accept": "application/json", "accept-encoding": "identity", **headers}
                async with client.stream(method, address, headers=asked, content=body) as answer:
                    content = bytearray()
                    async for part in answer.aiter_raw(16_384):
                        content += part
                        if len(content) > _MAX_BYTES:
                            raise ProviderAwayError("The identity provider answers with more than it should.")
            found = json.loads(content)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError, RecursionError):
            raise ProviderAwayError("The identity provider cannot be reached now. Try again in a moment.") from None
        return answer.status_code, found if isinstance(found, dict) else {}

    def _text(self) -> str:
        return base64.urlsafe_b64encode(self._random(32)).decode().rstrip("=")


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False)


def _is_safe(address: Any) -> bool:
    if not isinstance(address, str):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    )


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_NAME and text.isascii() and text.isprintable() and " " not in text


def _groups(found: Any) -> tuple[str, ...]:
    """Groups may be called anything; only those that the settings name count for something."""
    listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return tuple(sorted({each for each in listed if isinstance(each, str)}))


__all__ = ["WITHIN", "Arrival", "Beginning", "Ending", "OIDCDoor"]
