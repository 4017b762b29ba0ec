"""Fixtures of the server's tests: a clock set by hand, an issuer with keys of every kind, and its web server."""

import asyncio
import base64
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from server.access import (
    Authenticator,
    FixedKeys,
    KeySet,
    LocalIssuer,
    Revocations,
    ServiceAccounts,
    TokenVerifier,
    TrustedIssuer,
)

ISSUER = "https://login.example"
AUDIENCE = "https://confide.example"


class Clock:
    """The time, as the test sets it."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 15, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **parts: float) -> None:
        self.moment += timedelta(**parts)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def key_pairs() -> dict[str, Any]:
    """One key pair of each kind, by key id."""
    return {
        "rsa": RSAKey.generate_key(2048),
        "ec": ECKey.generate_key("P-256"),
        "ed": OKPKey.generate_key("Ed25519"),
        "other-rsa": RSAKey.generate_key(2048),
        "other-ed": OKPKey.generate_key("Ed25519"),
        "p384": ECKey.generate_key("P-384"),
        "x25519": OKPKey.generate_key("X25519"),
    }


def public(key: Any, kid: str, /, **parameters: Any) -> dict[str, Any]:
    """The public JWK of a pair, with the parameters a test wants on it."""
    material = {name: value for name, value in key.as_dict(private=False).items() if name != "kid"}
    return {**material, "kid": kid, **parameters}


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@dataclass
class Issuer:
    """An identity provider: signs what it is told to, even what it should not."""

    pairs: dict[str, Any]
    clock: Clock
    published: list[str] = field(default_factory=lambda: ["rsa", "ec", "ed"])
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)

    def jwks(self) -> dict[str, Any]:
        return {"keys": [public(self.pairs[kid], kid, **self.parameters.get(kid, {})) for kid in self.published]}

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Claims of a good token; a claim set to None is left out."""
        now = int(self.clock().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "staff-7",
            "iat": now,
            "exp": now + 3600,
            "jti": "token-1",
            "roles": ["support_agent"],
            **changed,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        *,
        alg: str = "ES256",
        kid: str | None = "ec",
        signer: str | None = None,
        header: Any = None,
        **changed: Any,
    ) -> str:
        """A token signed with the pair `signer` (by default the one its `kid` names)."""
        head = {"alg": alg, "typ": "at+jwt", **({} if kid is None else {"kid": kid}), **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return self.sign(head, json.dumps(self.claims(**changed)).encode(), self.pairs[signer or kid or "ec"])

    def sign(self, header: dict[str, Any], payload: bytes, key: Any) -> str:
        """Sign bytes as they are; the header may say what no honest library would write."""
        signing = f"{segment(header)}.{segment(payload)}"
        model = jws.JWSRegistry.algorithms["Ed25519" if header["alg"] == "EdDSA" else header["alg"]]
        return f"{signing}.{segment(model.sign(signing.encode(), key))}"


@pytest.fixture
def issuer(key_pairs, clock) -> Issuer:
    return Issuer(key_pairs, clock)


@dataclass
class Access:
    """Everything that authenticates, over real collections."""

    authenticator: Authenticator
    accounts: ServiceAccounts
    revocations: Revocations
    local: LocalIssuer

    async def who(self, token: str) -> Any:
        return await self.authenticator.authenticate(f"Bearer {token}")


@pytest.fixture
async def access_with(databases, clock, tmp_path) -> AsyncIterator[Callable[..., Any]]:
    """Makes an Access that trusts the issuers it is given, and the local one."""
    made = []

    async def make(*issuers: TrustedIssuer, **options: Any) -> Access:
        local = LocalIssuer.open(tmp_path / "data", now=clock, random=os.urandom)
        accounts = ServiceAccounts(databases.keys, now=clock, random=os.urandom)
        revocations = Revocations(databases.keys, now=clock)
        verifier = TokenVerifier([*issuers, local.trusted], now=clock)
        access = Access(
            Authenticator(verifier=verifier, accounts=accounts, revocations=revocations, now=clock, **options),
            accounts,
            revocations,
            local,
        )
        await access.authenticator.reload()
        made.append(access)
        return access

    yield make
    for access in made:
        await access.authenticator.close()


def trusting(idp: Issuer, **changed: Any) -> TrustedIssuer:
    """Trust in an issuer whose keys are what it publishes now."""
    options = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "keys": FixedKeys(KeySet.parse(json.dumps(idp.jwks()).encode())),
        "algorithms": frozenset({"RS256", "PS256", "ES256", "Ed25519", "EdDSA"}),
        **changed,
    }
    return TrustedIssuer(**options)


@pytest.fixture
async def access(access_with, issuer) -> Access:
    return await access_with(trusting(issuer))


@pytest.fixture
def trust() -> Callable[..., TrustedIssuer]:
    return trusting


class WebServer:
    """A small web server on loopback that answers every request with what the test puts into it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.delay = 0.0
        self.requests = 0
        self.received: list[bytes] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jwks"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            self.received.append(head + (await reader.readexactly(int(length[1])) if length else b""))
            self.requests += 1
            await asyncio.sleep(self.delay)
            headers = {"content-length": str(len(self.body)), "connection": "close", **self.headers}
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"HTTP/1.1 {self.status} Answer\r\n{lines}\r\n".encode() + self.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def web_server() -> AsyncIterator[WebServer]:
    async with httpx.AsyncClient(trust_env=False) as client:
        server = WebServer(client)
        await server.start()
        yield server
        await server.stop()
