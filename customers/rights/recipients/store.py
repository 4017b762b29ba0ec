"""The collection `recipients`: to whom personal data is disclosed.

    {_id, v, kind, url, known_by, fields, secret, created_at, disabled, purposes, sources, certificate}

The secret that messages are signed with, or that lets us in, is sealed under the service key and opens for its own
recipient only. One who can write here can have what people are known by sent to a host of the public network that they
name; who can only read learns who the recipients are. Fields may not be reordered in meaning or reused.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.rights.recipients.errors import RecipientNotFoundError, RecipientTakenError
from customers.rights.recipients.message import SECRET_PREFIX
from customers.rights.recipients.model import Recipient, RecipientKind

COLLECTION: Final = "recipients"
VERSION: Final = 1
_SEALED_FOR: Final = "recipient-secret"
_SECRET_BYTES: Final = 32


class Sealing(Protocol):
    """What of the vault keeps secrets that must be had again."""

    def seal_token(self, purpose: str, payload: bytes, context: bytes) -> str:
        """As `Vault.seal_token`."""

    def open_token(self, purpose: str, token: str, context: bytes) -> bytes:
        """As `Vault.open_token`."""


class RecipientStore:
    """Keeps recipients and their secrets."""

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], *, sealing: Sealing, random: Callable[[int], bytes]
    ) -> None:
        self._recipients = database[COLLECTION]
        self._sealing = sealing
        self._random = random

    async def add(self, recipient: Recipient, authorisation: str | None = None) -> str:
        """Add a recipient, who was checked before; give the secret that what they are sent is signed with.

        Args:
            recipient: Who.
            authorisation: Of OpenDSR: what is sent in the header of this name.

        Returns:
            The secret of a webhook, to be given to the recipient; nothing of OpenDSR.

        Raises:
            RecipientTakenError: There is one of this name.
        """
        made = ""
        if recipient.kind is RecipientKind.WEBHOOK:
            made = SECRET_PREFIX + base64.b64encode(self._random(_SECRET_BYTES)).decode()
        sealed = self._sealing.seal_token(
            _SEALED_FOR, (made or authorisation or "").encode(), recipient.name.encode()
        )
        document = {
            "_id": recipient.name,
            "v": VERSION,
            "kind": recipient.kind.value,
            "url": recipient.url,
            "known_by": list(recipient.known_by),
            "fields": list(recipient.fields),
            "secret": sealed,
            "created_at": recipient.created_at,
            "disabled": recipient.disabled,
            **({"purposes": list(recipient.purposes)} if recipient.purposes else {}),
            **({"sources": list(recipient.sources)} if recipient.sources else {}),
            **({} if recipient.certificate is None else {"certificate": recipient.certificate}),
        }
        try:
            await self._recipients.insert_one(document)
        except DuplicateKeyError:
            raise RecipientTakenError from None
        return made

    async def all(self) -> list[Recipient]:
        """Every recipient, also those that are disabled, by name."""
        found = await self._recipients.find({}).to_list(None)
        return sorted(map(_recipient, found), key=lambda each: each.name)

    async def get(self, name: str) -> tuple[Recipient, str] | None:
        """A recipient and their secret.

        Raises:
            vault.TokenInvalidError: The secret was changed, or is another recipient's.
        """
        found = await self._recipients.find_one({"_id": name})
        if found is None:
            return None
        return _recipient(found), self._sealing.open_token(_SEALED_FOR, found["secret"], name.encode()).decode()

    async def disable(self, name: str, *, disabled: bool) -> None:
        """Tell a recipient nothing any more, or again.

        Raises:
            RecipientNotFoundError: There is none of this name.
        """
        changed = await self._recipients.update_one({"_id": name}, {"$set": {"disabled": disabled}})
        if not changed.matched_count:
            raise RecipientNotFoundError


def _recipient(found: Mapping[str, Any]) -> Recipient:
    created_at: datetime = found["created_at"]
    return Recipient(
        name=found["_id"],
        kind=RecipientKind(found["kind"]),
        url=found["url"],
        known_by=tuple(found["known_by"]),
        fields=tuple(found["fields"]),
        created_at=created_at,
        disabled=found["disabled"],
        purposes=tuple(found.get("purposes", ())),
        sources=tuple(found.get("sources", ())),
        certificate=found.get("certificate"),
    )
