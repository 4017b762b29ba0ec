"""The one place a sealed group belongs to, as canonical bytes.

The bytes are the associated data of the group's envelope, so a ciphertext opens only where it was sealed. Injective:
two different slots never have the same bytes, because every part is preceded by its length. Described in
`docs/formats/slot.md`; parts may not be reordered or removed.
"""

from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Slot", "encode_parts", "key_prefix", "slot_bytes"]

_DOMAIN = b"confide/slot/1"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a sealed group lives: whose it is, which document, which group, which schema, which generation of key."""

    tenant: str
    customer_id: str
    collection: str
    document_id: str
    group: str
    schema_version: int
    generation: int

    def to_bytes(self) -> bytes:
        """The canonical bytes of the slot.

        Raises:
            ValueError: a text is not valid Unicode (a lone surrogate), or a number is negative or over 2^64 - 1.
        """
        prefix = key_prefix(self.tenant, self.customer_id, self.generation)
        return slot_bytes(prefix, self.collection, self.document_id, self.group, self.schema_version)


def encode_parts(*parts: str | bytes | int) -> bytes:
    """An injective encoding of a fixed list of parts: each preceded by its length in four bytes, big-endian.

    Text is UTF-8 and a number eight bytes, big-endian. Which parts there are, and their types, must be fixed by the
    first part, a domain; then no two lists have the same bytes.

    Raises:
        ValueError: a text is not valid Unicode (a lone surrogate), or a number is negative or over 2^64 - 1.
    """
    return b"".join(map(encode_part, parts))


def key_prefix(tenant: str, customer_id: str, generation: int) -> bytes:
    """The bytes that all slots of one data key begin with; made once per key."""
    return encode_parts(_DOMAIN, tenant, customer_id, generation)


def slot_bytes(prefix: bytes, collection: str, document_id: str, group: str, schema_version: int) -> bytes:
    """The bytes of a slot of the data key that `prefix` belongs to; the same as `Slot.to_bytes`."""
    return prefix + of_every_document(collection, group, schema_version) + encode_part(document_id)


@lru_cache(maxsize=512)
def of_every_document(collection: str, group: str, schema_version: int) -> bytes:
    """The part of a slot that all documents of a collection share for a group."""
    return encode_parts(collection, group, schema_version)


def encode_part(part: str | bytes | int) -> bytes:
    """One part, as `encode_parts` writes it."""
    if type(part) is str and part.isascii():  # as nearly all are
        return len(part).to_bytes(4) + part.encode()
    try:
        encoded = part.encode() if isinstance(part, str) else part if isinstance(part, bytes) else part.to_bytes(8)
        return len(encoded).to_bytes(4) + encoded
    except (UnicodeEncodeError, OverflowError, AttributeError):  # a store may hand back anything
        pass
    raise ValueError("A part of a slot is not valid text or not a number of eight bytes.")
