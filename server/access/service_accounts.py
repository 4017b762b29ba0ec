"""Accounts of client applications: an id and a random secret instead of a token from an issuer.

The bearer form is `confide_sa_<id>_<secret>`; the prefix lets secret scanners find one that leaked. The secret has
256 random bits, so its SHA-256 can stand in the database without a slow hash: there is nothing to guess.

Documents in the keys database: `{_id, v: 1, name, secret: sha256, roles, purposes, regions, disabled, created_at}`.
Fields may not be renamed or removed. What somebody who can write to the collection could achieve: call with any
role. What somebody who can read it could: nothing, a hash of 256 random bits opens no door.
"""

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from customers.caller import Caller
from server.access.claims import CUSTOMER_ROLE, SERVICE_PREFIX, WORD
from server.errors import ServiceAccountInvalidError, ServiceAccountRefusedError

BEARER_PREFIX: Final = "confide_sa_"
_COLLECTION: Final = "service_accounts"
_BEARER = re.compile(r"confide_sa_([a-z2-7]{16})_([a-z2-7]{52})")
_NAME = re.compile(r"[\x20-\x7e]{1,64}")
# Compared with when there is no such account, so that a wrong id costs what a wrong secret costs.
_NOBODY: Final = hashlib.sha256(b"no service account").digest()


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """One account, without its secret."""

    id: str
    name: str
    roles: tuple[str, ...]
    purposes: frozenset[str] | None
    regions: frozenset[str]
    disabled: bool
    created_at: datetime

    @property
    def caller(self) -> Caller:
        """The caller that this account's secret stands for."""
        return Caller(
            actor=f"{SERVICE_PREFIX}{self.id}",
            roles=self.roles,
            client=self.id,
            purposes=self.purposes,
            customer_id=None,
            regions=self.regions,
            token_id=None,
        )


class ServiceAccounts:
    """The accounts, as of the last `load`; no request asks the database for one."""

    def __init__(
        self, keys: AsyncDatabase[dict[str, Any]], *, now: Callable[[], datetime], random: Callable[[int], bytes]
    ) -> None:
        self._documents = keys[_COLLECTION]
        self._now = now
        self._random = random
        self._accounts: dict[str, tuple[bytes, ServiceAccount]] = {}
        # One load at a time, so that an older answer never replaces a newer one.
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Take what the database holds now."""
        async with self._loading:
            documents = await self._documents.find({}).to_list(None)
            self._accounts = {found["_id"]: (bytes(found["secret"]), _account(found)) for found in documents}

    def verify(self, bearer: str) -> Caller:
        """The caller whose id and secret these are.

        Raises:
            ServiceAccountRefusedError: There is no such account, the secret is another, or it is disabled; the
                message does not say which.
        """
        found = _BEARER.fullmatch(bearer)
        identifier, secret = found.groups() if found else ("", "")
        expected, account = self._accounts.get(identifier, (_NOBODY, None))
        same = hmac.compare_digest(_hash(secret), expected)
        if not same or account is None or account.disabled:
            raise ServiceAccountRefusedError("no enabled service account has this id and secret")
        return account.caller

    async def create(
        self,
        name: str,
        *,
        roles: Iterable[str],
        purposes: Iterable[str] | None = None,
        regions: Iterable[str] = (),
    ) -> tuple[ServiceAccount, str]:
        """Make an account; its bearer text is returned here and can never be had again.

        The caller advances the epoch `revocations` so that every process knows the account.

        Raises:
            ServiceAccountInvalidError: A name or word has not the form it must have, or a role cannot be given.
        """
        roles, regions = frozenset(roles), frozenset(regions)
        purposes = None if purposes is None else frozenset(purposes)
        _check(name, roles | regions | (purposes or frozenset()))
        if not roles or CUSTOMER_ROLE in roles:
            raise ServiceAccountInvalidError("give the account one or more roles, and not `customer`")
        identifier, secret = _base32(self._random(10)), _base32(self._random(32))
        document = {
            "_id": identifier,
            "v": 1,
            "name": name,
            "secret": _hash(secret),
            "roles": sorted(roles),
            "purposes": None if purposes is None else sorted(purposes),
            "regions": sorted(regions),
            "disabled": False,
            "created_at": self._now(),
        }
        await self._documents.insert_one(document)
        return _account(document), f"{BEARER_PREFIX}{identifier}_{secret}"

    async def set_disabled(self, identifier: str, *, disabled: bool) -> bool:
        """Disable or enable an account; whether there is one. The caller advances the epoch `revocations`."""
        result = await self._documents.update_one({"_id": identifier}, {"$set": {"disabled": disabled}})
        return result.matched_count == 1

    async def all(self) -> Sequence[ServiceAccount]:
        """Every account, oldest first, from the database."""
        documents = await self._documents.find({}).to_list(None)
        return sorted(map(_account, documents), key=lambda account: (account.created_at, account.id))


def _account(document: dict[str, Any]) -> ServiceAccount:
    purposes = document["purposes"]
    return ServiceAccount(
        id=document["_id"],
        name=document["name"],
        roles=tuple(document["roles"]),
        purposes=None if purposes is None else frozenset(purposes),
        regions=frozenset(document["regions"]),
        disabled=bool(document["disabled"]),
        created_at=document["created_at"],
    )


def _check(name: str, words: Iterable[str]) -> None:
    if not _NAME.fullmatch(name):
        raise ServiceAccountInvalidError("a name is 1 to 64 printable ASCII characters")
    if not all(WORD.fullmatch(word) for word in words):
        raise ServiceAccountInvalidError("roles, purposes and regions are words of letters, digits and _.:/-")


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()
