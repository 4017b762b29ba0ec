"""Who of the staff may sign in: local accounts, and what is known of those whom an identity provider vouches for.

Documents of `staff` in the keys database (docs/formats/staff.md): `{_id: actor, v: 1, kind: "local" | "oidc", disabled,
roles, purposes, regions, created_at, changed_at, generation, seen_at}`, of local accounts also `password` (Argon2id),
`totp` (the authenticator's secret, sealed under this server's service key), `step` (the newest that was spent) and
`invitation` while one is out (`invitations.py`), and of others `issuer` and `subject`. Fields may not be renamed or
removed. What somebody who can write to the collection could achieve: sign in with any role. Who reads it: may try
passwords against Argon2id, and still lacks the authenticator's code.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.caller import Caller
from server.access.claims import CUSTOMER_ROLE, STAFF_PREFIX, WORD
from server.console.sessions import Door, Sealing
from server.console.staff import one_time_codes
from server.console.staff.errors import StaffInvalidError, StaffNotFoundError
from server.console.staff.passwords import Passwords, check_new

COLLECTION: Final = "staff"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")
_TOTP: Final = "staff authenticator"
_TAKEN: Final = "there is such an account; `confide staff reset` gives it new secrets"
_NOBODY: Final = "there is no such account; `confide staff list` names them"


@dataclass(frozen=True, slots=True)
class Member:
    """One of the staff, without secrets."""

    actor: str
    kind: Door
    roles: tuple[str, ...]
    purposes: frozenset[str] | None
    regions: frozenset[str]
    disabled: bool
    generation: int
    created_at: datetime
    seen_at: datetime | None
    subject: str | None

    @property
    def name(self) -> str:
        """As they type it, or as the identity provider names them."""
        return self.actor.removeprefix(STAFF_PREFIX) if self.kind is Door.LOCAL else self.actor

    def caller(self, roles: Iterable[str] | None = None, regions: Iterable[str] | None = None) -> Caller:
        """Who acts: with the account's own roles, or those that an identity provider says."""
        return Caller(
            actor=self.actor,
            roles=self.roles if roles is None else tuple(sorted(set(roles))),
            client=None,
            purposes=self.purposes,
            customer_id=None,
            regions=self.regions if regions is None else frozenset(regions),
            token_id=None,
        )


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a local account is proved by; there is no password while its owner has not taken up their invitation."""

    password: str | None
    totp: str


@dataclass(frozen=True, slots=True)
class NewSecrets:
    """What its owner is told once."""

    actor: str
    secret: str
    address: str


class StaffAccounts:
    """The accounts. Every request of somebody signed in asks for theirs, so a change is felt by the next."""

    def __init__(
        self,
        keys: AsyncDatabase[dict[str, Any]],
        sealing: Sealing,
        passwords: Passwords,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._documents = keys[COLLECTION]
        self._sealing = sealing
        self._passwords = passwords
        self._now = now
        self._random = random

    async def check(
        self,
        name: str,
        *,
        roles: Iterable[str],
        purposes: Iterable[str] | None = None,
        regions: Iterable[str] = (),
    ) -> None:
        """Return only if such an account could be made now.

        Raises:
            StaffInvalidError: The name or a word cannot be taken, or the name is.
        """
        _check(name, roles, purposes, regions)
        if await self.find(f"{STAFF_PREFIX}{name}") is not None:
            raise StaffInvalidError(_TAKEN)

    async def add(
        self,
        name: str,
        password: str | None,
        *,
        roles: Iterable[str],
        purposes: Iterable[str] | None = None,
        regions: Iterable[str] = (),
    ) -> NewSecrets:
        """Make a local account; the authenticator's secret is given here and never again.

        Without a password nobody signs in with it before its owner takes up an invitation.

        Raises:
            StaffInvalidError: The name, the password or a word cannot be taken, or the name is.
        """
        _check(name, roles, purposes, regions)
        if password is not None:
            check_new(name, password)
        actor, secret = f"{STAFF_PREFIX}{name}", one_time_codes.new_secret(self._random)
        document = {
            **self._fresh(actor, Door.LOCAL),
            "roles": sorted(set(roles)),
            "purposes": None if purposes is None else sorted(set(purposes)),
            "regions": sorted(set(regions)),
            "password": None if password is None else await self._passwords.hash(password),
            "totp": self._sealed(actor, secret),
            "step": 0,
        }
        try:
            await self._documents.insert_one(document)
        except DuplicateKeyError:
            raise StaffInvalidError(_TAKEN) from None
        return NewSecrets(actor, secret, one_time_codes.address(secret, name, "Confide"))

    async def reset(self, name: str, password: str | None, invitation: Mapping[str, Any] | None = None) -> NewSecrets:
        """Give a local account another password and another authenticator; whoever is signed in with it is not.

        Without a password its owner chooses one with the invitation. One that was out before is good no more.

        Raises:
            StaffNotFoundError: There is no such local account.
            StaffInvalidError: The password cannot be taken.
        """
        if password is not None:
            check_new(name, password)
        actor, secret = f"{STAFF_PREFIX}{name}", one_time_codes.new_secret(self._random)
        hashed = None if password is None else await self._passwords.hash(password)
        values = {"password": hashed, "totp": self._sealed(actor, secret), "step": 0, "invitation": invitation}
        await self._change(actor, values, local=True)
        return NewSecrets(actor, secret, one_time_codes.address(secret, name, "Confide"))

    async def set_password(self, member: Member, password: str) -> None:
        """Take another password from its owner. Other sessions of theirs end.

        Raises:
            StaffInvalidError: It cannot be taken.
        """
        check_new(member.name, password)
        await self._change(member.actor, {"password": await self._passwords.hash(password)}, local=True)

    async def set_disabled(self, actor: str, *, disabled: bool) -> None:
        """Let nobody in by this account, or let them in again; an invitation that was out is good no more.

        Raises:
            StaffNotFoundError: There is no such account.
        """
        values: dict[str, Any] = {"disabled": True, "invitation": None} if disabled else {"disabled": False}
        await self._change(actor, values, local=False)

    async def set_roles(self, actor: str, roles: Iterable[str]) -> None:
        """Give a local account other roles; its sessions go on with them.

        Raises:
            StaffNotFoundError: There is no such local account.
            StaffInvalidError: A role cannot be given.
        """
        _check("xx", roles, None, ())
        changed = await self._documents.update_one(
            {"_id": actor, "kind": Door.LOCAL.value},
            {"$set": {"roles": sorted(set(roles)), "changed_at": self._now()}},
        )
        if not changed.matched_count:
            raise StaffNotFoundError("there is no local account of this name; `confide staff list` names them")

    async def find(self, actor: str) -> Member | None:
        """One account, as the database has it now."""
        document = await self._documents.find_one({"_id": actor})
        return None if document is None else _member(document)

    async def of_subject(self, issuer: str, subject: str) -> list[str]:
        """Whom a provider means by one of its subjects; the names are the access log's."""
        found = await self._documents.find(
            {"kind": Door.OIDC.value, "issuer": issuer, "subject": subject}, {"_id": 1}
        ).to_list(None)
        return [each["_id"] for each in found]

    async def any_local(self) -> bool:
        """Whether there is an account of this server's own."""
        return await self._documents.find_one({"kind": Door.LOCAL.value}, {"_id": 1}) is not None

    async def all(self) -> list[Member]:
        """Every account, by name."""
        return sorted(map(_member, await self._documents.find({}).to_list(None)), key=lambda each: each.actor)

    async def proof(self, actor: str) -> tuple[Member, Secrets] | None:
        """A local account with what it is proved by."""
        document = await self._documents.find_one({"_id": actor})
        if document is None or document["kind"] != Door.LOCAL.value:
            return None
        secret = self._sealing.open_token(_TOTP, document["totp"], actor.encode()).decode()
        return _member(document), Secrets(document["password"], secret)

    async def spend(self, actor: str, generation: int, step: int) -> bool:
        """Spend an authenticator's code; False where it was spent before, or the account is not as it was."""
        changed = await self._documents.update_one(
            {
                "_id": actor,
                "kind": Door.LOCAL.value,
                "disabled": False,
                "generation": generation,
                "step": {"$lt": step},
            },
            {"$set": {"step": step, "seen_at": self._now()}},
        )
        return bool(changed.matched_count)

    async def rehashed(self, member: Member, password: str) -> None:
        """Hash a password anew that was verified a moment ago; nothing else changes."""
        hashed = await self._passwords.hash(password)
        await self._documents.update_one(
            {"_id": member.actor, "generation": member.generation}, {"$set": {"password": hashed}}
        )

    async def vouched(self, actor: str, issuer: str, subject: str, roles: Iterable[str]) -> Member:
        """Somebody whom an identity provider vouched for a moment ago; known from now on, so that they can be disabled.

        Raises:
            StaffInvalidError: Their name was given to somebody else before, or by another provider.
        """
        held = {"roles": sorted(set(roles)), "seen_at": self._now(), "issuer": issuer}
        for _ in range(2):
            document = await self._documents.find_one({"_id": actor})
            if document is not None:
                break
            fresh = {**self._fresh(actor, Door.OIDC), **held, "purposes": None, "regions": [], "subject": subject}
            try:
                await self._documents.insert_one(fresh)
            except DuplicateKeyError:  # they came by another door just now
                continue
            return _member(fresh)
        if document is None or document["kind"] != Door.OIDC.value or document.get("subject") != subject:
            raise StaffInvalidError("this name belonged to somebody else before")
        # Accounts from before issuers were kept have none: who vouches for them next is theirs from then on.
        mine = {"_id": actor, "issuer": {"$in": [None, issuer]}}
        if not (await self._documents.update_one(mine, {"$set": held})).matched_count:
            raise StaffInvalidError("another identity provider gave this name before; ask who runs this server")
        return _member({**document, **held})

    def _fresh(self, actor: str, kind: Door) -> dict[str, Any]:
        now = self._now()
        return {
            "_id": actor,
            "v": 1,
            "kind": kind.value,
            "disabled": False,
            "generation": 1,
            "created_at": now,
            "changed_at": now,
            "seen_at": None,
        }

    def _sealed(self, actor: str, secret: str) -> str:
        return self._sealing.seal_token(_TOTP, secret.encode(), actor.encode())

    async def _change(self, actor: str, values: Mapping[str, Any], *, local: bool) -> None:
        """Change an account so that sessions from before are over."""
        which = {"_id": actor, **({"kind": Door.LOCAL.value} if local else {})}
        changed = await self._documents.update_one(
            which, {"$set": {**values, "changed_at": self._now()}, "$inc": {"generation": 1}}
        )
        if not changed.matched_count:
            raise StaffNotFoundError(_NOBODY)


def _member(document: Mapping[str, Any]) -> Member:
    purposes = document["purposes"]
    return Member(
        actor=document["_id"],
        kind=Door(document["kind"]),
        roles=tuple(document["roles"]),
        purposes=None if purposes is None else frozenset(purposes),
        regions=frozenset(document["regions"]),
        disabled=bool(document["disabled"]),
        generation=int(document["generation"]),
        created_at=document["created_at"],
        seen_at=document["seen_at"],
        subject=document.get("subject"),
    )


def _check(name: str, roles: Iterable[str], purposes: Iterable[str] | None, regions: Iterable[str]) -> None:
    if not _NAME.fullmatch(name):
        raise StaffInvalidError(
            "a name is 2 to 63 lower-case letters, digits and . _ -, and begins with a letter or digit"
        )
    held = set(roles)
    if not held or CUSTOMER_ROLE in held:
        raise StaffInvalidError("give the account one or more roles, and not `customer`")
    if not all(WORD.fullmatch(word) for word in (*held, *(purposes or ()), *regions)):
        raise StaffInvalidError("roles, purposes and regions are words of letters, digits and _.:/-")


__all__ = ["COLLECTION", "Member", "NewSecrets", "Secrets", "StaffAccounts"]
