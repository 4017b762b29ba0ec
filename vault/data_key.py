"""The data key of one customer: what seals and opens that customer's groups, and all that is derived from it.

Whoever loses this key loses the groups, the audit references and the pseudonyms of that customer, for ever and in
every old copy: that is what erasure rests on.
"""

import hmac
from base64 import b32encode
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Never, Self

import msgspec

from vault.envelope import KEY_SIZE, Label, SealingKey, hkdf, unwrap_data_key, wrap_data_key
from vault.errors import EnvelopeError, SecretExposedError, UnsealableValueError
from vault.slot import encode_part, key_prefix, of_every_document, slot_bytes

__all__ = ["DataKey"]

_BLOCK = 64
_END = b"\x80"
_DEEPEST = 32
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode


class DataKey:
    """A customer's data encryption key. Nothing it prints, copies or pickles holds a byte of it.

    The cipher, the commitment and what is derived are made at first use and kept.
    """

    __slots__ = (
        "_audit_reference",
        "_pseudonym_key",
        "_random",
        "_sealing_key",
        "_secret",
        "_slot_prefix",
        "customer_id",
        "generation",
        "leaf",
        "tenant",
    )

    def __init__(
        self,
        secret: bytes,
        *,
        tenant: str,
        customer_id: str,
        generation: int,
        leaf: int,
        random: Callable[[int], bytes],
    ) -> None:
        """A data key of 32 secret bytes; see `fresh` and `unwrap`.

        Raises:
            ValueError: the secret is not 32 bytes, or a part has no encoding.
        """
        if len(secret) != KEY_SIZE:
            raise ValueError("A data key has 32 bytes.")
        self.tenant = tenant
        self.customer_id = customer_id
        self.generation = generation
        self.leaf = leaf
        self._secret = secret
        self._random = random
        self._slot_prefix = key_prefix(tenant, customer_id, generation)
        self._sealing_key: SealingKey | None = None
        self._audit_reference: bytes | None = None
        self._pseudonym_key: bytes | None = None

    @classmethod
    def fresh(
        cls, *, tenant: str, customer_id: str, leaf: int, random: Callable[[int], bytes], generation: int = 1
    ) -> Self:
        """A new data key of 32 bytes from `random`."""
        return cls(
            random(KEY_SIZE),
            tenant=tenant,
            customer_id=customer_id,
            generation=generation,
            leaf=leaf,
            random=random,
        )

    @classmethod
    def unwrap(
        cls,
        wrapped: bytes,
        leaf_key: bytes,
        *,
        tenant: str,
        customer_id: str,
        generation: int,
        leaf: int,
        ring_id: bytes,
        random: Callable[[int], bytes],
    ) -> Self:
        """The data key that `wrap` wrapped under that leaf key of that ring for that customer.

        Raises:
            EnvelopeError: anything differs.
        """
        secret = unwrap_data_key(
            wrapped,
            leaf_key,
            tenant=tenant,
            customer_id=customer_id,
            generation=generation,
            leaf=leaf,
            ring_id=ring_id,
        )
        return cls(secret, tenant=tenant, customer_id=customer_id, generation=generation, leaf=leaf, random=random)

    def wrap(self, leaf_key: bytes, *, ring_id: bytes) -> bytes:
        """This key sealed under the leaf key of its own leaf number in that ring, for the key record."""
        return wrap_data_key(
            self._secret,
            leaf_key,
            tenant=self.tenant,
            customer_id=self.customer_id,
            generation=self.generation,
            leaf=self.leaf,
            ring_id=ring_id,
            random=self._random,
        )

    def moved(self, leaf: int) -> "DataKey":
        """The same key at another leaf number, to be wrapped there when the ring is rotated."""
        return DataKey(
            self._secret,
            tenant=self.tenant,
            customer_id=self.customer_id,
            generation=self.generation,
            leaf=leaf,
            random=self._random,
        )

    def seal(
        self, collection: str, document_id: str, group: str, schema_version: int, values: Mapping[str, Any]
    ) -> bytes:
        """The envelope of a group's values, which opens only in this slot.

        Dates become ISO 8601 text and decimals text. The payload is padded to a multiple of 64 bytes, so that the
        length of an envelope does not tell which of a group's fields have values.

        Raises:
            UnsealableValueError: a value has another type, or is a number or a text that MessagePack cannot hold.
        """
        return self._sealed(_payload(values), collection, document_id, group, schema_version)

    def seal_json(
        self, collection: str, document_id: str, groups: Mapping[str, Mapping[str, Any]], schema_version: int
    ) -> dict[str, bytes]:
        """As `seal`, for all groups of a document at once, and values out of JSON, which need no look at each of them.

        Raises:
            UnsealableValueError: as `seal`.
        """
        prefix, own = self._slot_prefix, encode_part(document_id)
        parts = []
        for group, values in groups.items():
            slot = prefix + of_every_document(collection, group, schema_version) + own
            parts.append((_padded(_encoded(values)), slot))
        return dict(zip(groups, (self._sealing_key or self._sealing()).seal_all(parts), strict=True))

    def _sealed(self, payload: bytes, collection: str, document_id: str, group: str, schema_version: int) -> bytes:
        return self._sealing().seal(
            _padded(payload), slot_bytes(self._slot_prefix, collection, document_id, group, schema_version)
        )

    def open(
        self, envelope: bytes, collection: str, document_id: str, group: str, schema_version: int
    ) -> dict[str, Any]:
        """The values sealed in that slot.

        Raises:
            EnvelopeError: the envelope was sealed with another key, for another slot, or changed.
        """
        return self.open_groups({group: envelope}, collection, document_id, (group,), schema_version)

    def open_groups(
        self,
        envelopes: Mapping[str, bytes],
        collection: str,
        document_id: str,
        groups: Iterable[str],
        schema_version: int,
    ) -> dict[str, Any]:
        """The values of several groups of one document together; a group that has no envelope has none.

        The names of fields differ between the groups of a document.

        Raises:
            EnvelopeError: as `open`, for any of them.
        """
        found: dict[str, Any] = {}
        try:
            sealing, prefix, own = self._sealing(), self._slot_prefix, encode_part(document_id)
            for group in groups:
                envelope = envelopes.get(group)
                if envelope is None:
                    continue
                slot = prefix + of_every_document(collection, group, schema_version) + own
                payload = sealing.open(envelope, slot).rstrip(b"\0")
                if not payload.endswith(_END):
                    raise EnvelopeError
                found.update(_decode(payload[:-1]))
        except (ValueError, msgspec.MsgspecError):  # a slot that cannot be, or an authentic payload of another writer
            pass
        else:
            return found
        raise EnvelopeError

    @property
    def audit_reference(self) -> bytes:
        """The 16 bytes by which the access log knows this customer. Without the key nobody can link the two."""
        if self._audit_reference is None:
            self._audit_reference = hkdf(self._secret, Label.AUDIT_REFERENCE.encode(), 16)
        return self._audit_reference

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that name this key, for certificates. Tells nothing of the key or the customer."""
        return hkdf(self._secret, Label.FINGERPRINT.encode(), 16).hex()

    def pseudonym(self, text: str) -> str:
        """A stable stand-in for a text: the same for the same text of this customer, another for another customer.

        18 characters of 80 bits: `p_` and lower-case base32.
        """
        if self._pseudonym_key is None:
            self._pseudonym_key = hkdf(self._secret, Label.PSEUDONYM.encode())
        digest = hmac.digest(self._pseudonym_key, text.encode("utf-8", "surrogatepass"), "sha256")
        return "p_" + b32encode(digest[:10]).decode().lower()

    def _sealing(self) -> SealingKey:
        if self._sealing_key is None:
            self._sealing_key = SealingKey(
                self._secret, Label.DOCUMENT, generation=self.generation, random=self._random
            )
        return self._sealing_key

    def __repr__(self) -> str:
        return f"<DataKey generation {self.generation}, leaf {self.leaf}>"

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise SecretExposedError


def _padded(payload: bytes) -> bytes:
    payload += _END
    return payload + bytes(-len(payload) % _BLOCK)


def _payload(values: Mapping[str, Any]) -> bytes:
    try:
        plain = _plain(values, _DEEPEST)
    except (TypeError, ValueError, RecursionError):
        pass
    else:
        return _encoded(plain)
    # As below.
    raise UnsealableValueError


def _encoded(values: Any) -> bytes:
    try:
        return _encode(values)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        pass
    # Raised outside the handler, so that no cause that could quote the value hangs on it.
    raise UnsealableValueError


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if not depth:
        raise ValueError
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(item, depth - 1) for name, item in value.items()}
    raise TypeError
