"""The certificates of erasures, kept so that they can be fetched afterwards by whoever knows their id.

A certificate is begun when what an erasure is about is still known (`draft`), and written once, whoever comes first,
when all is done. What one who can write here could do: remove certificates, or exchange them for others, which the
access log does not bear out.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.rights.certificate import Kept

_COLLECTION = "certificates"


@dataclass(frozen=True, slots=True)
class Stored:
    """A certificate as far as it has come.

    Attributes:
        keys: The fingerprints that are known so far.
        kept: What is known to be kept of the profiles that were merged into the one it is about.
        body: The certificate's bytes, once it is written.
        entry: The entry of the access log that has its digest, once there is one.
        receipt: The proof of that entry, once somebody has asked for it.
    """

    keys: tuple[str, ...]
    kept: tuple[Kept, ...]
    body: bytes | None
    entry: str | None
    receipt: bytes | None


class CertificateStore:
    """Reads and writes the collection `certificates`."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._certificates = database[_COLLECTION]

    async def find(self, certificate_id: str) -> Stored | None:
        """What there is of a certificate."""
        found = await self._certificates.find_one({"_id": certificate_id})
        if found is None:
            return None
        body, receipt = found.get("body"), found.get("receipt")
        return Stored(
            keys=tuple(found["keys"]),
            kept=tuple(msgspec.convert(found["kept"], list[Kept])),
            body=None if body is None else bytes(body),
            entry=found.get("entry"),
            receipt=None if receipt is None else bytes(receipt),
        )

    async def draft(self, certificate_id: str, keys: Sequence[str], kept: Sequence[Kept]) -> None:
        """Note what is known before the documents go; what was noted before stays as it is."""
        with contextlib.suppress(DuplicateKeyError):
            await self._certificates.insert_one(
                {"_id": certificate_id, "keys": list(keys), "kept": msgspec.to_builtins(list(kept))}
            )

    async def write(self, certificate_id: str, body: bytes) -> bytes:
        """Write a certificate that was begun, unless another process was faster; gives the bytes that hold."""
        await self._certificates.update_one(
            {"_id": certificate_id, "body": {"$exists": False}}, {"$set": {"body": body}}
        )
        found = await self.find(certificate_id)
        return body if found is None or found.body is None else found.body

    async def logged(self, certificate_id: str, entry: str) -> None:
        """Note which entry of the access log has the certificate's digest."""
        await self._certificates.update_one({"_id": certificate_id}, {"$set": {"entry": entry}})

    async def proved(self, certificate_id: str, receipt: bytes) -> None:
        """Keep the proof of that entry, which holds for ever."""
        await self._certificates.update_one({"_id": certificate_id}, {"$set": {"receipt": receipt}})
