"""Sealed envelopes: AES-256-GCM that commits to its key. The only file of the vault that imports `cryptography`.

An envelope is `version ‖ algorithm ‖ generation ‖ commitment ‖ nonce ‖ ciphertext ‖ tag`. The secret given to a
`SealingKey` is never used as a key itself: HKDF-SHA256 (RFC 5869) makes of it, under the label of its use, the
AES-256-GCM key (NIST SP 800-38D) and the 32-byte commitment. AES-GCM alone does not commit: one ciphertext can be
made to open under two keys (Dodis, Grubbs, Ristenpart and Woodage 2018; Albertini et al. 2022). With the commitment
that needs a collision of SHA-256.

Cursors and other tokens, of which one key makes more than random 96-bit nonces allow, use XAES-256-GCM (C2SP), whose
192-bit nonces may be random without limit.

Every refusal is one error with one text, whatever was wrong. Formats are described in `docs/formats/envelope.md`;
fields may not be reordered or removed.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from enum import StrEnum
from struct import Struct
from typing import Never

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.errors import EnvelopeError, SecretExposedError, TokenInvalidError
from vault.slot import encode_parts

__all__ = ["KEY_SIZE", "Label", "SealingKey", "TokenKey", "generation_of", "hkdf", "unwrap_data_key", "wrap_data_key"]

KEY_SIZE = 32
"""Bytes of every secret here: data keys, leaf keys, root keys, service keys."""

_HEADER = Struct(">BBI32s")  # format version, algorithm, key generation, commitment
_FORMAT = 1
_AES_256_GCM = 1
_NONCE_SIZE = 12
_TAG_SIZE = 16
_LEAST = _HEADER.size + _NONCE_SIZE + _TAG_SIZE

_TOKEN_HEADER = bytes([1, 2])  # format version, algorithm (XAES-256-GCM)
_TOKEN_NONCE_SIZE = 24
_TOKEN_LEAST = len(_TOKEN_HEADER) + _TOKEN_NONCE_SIZE + _TAG_SIZE


class Label(StrEnum):
    """Every use a key is derived for. Two labels never share a key; a label may not be renamed or given again."""

    DOCUMENT = "confide/1/document"
    DATA_KEY = "confide/1/data-key"
    KEY_RING = "confide/1/key-ring"
    ROOT = "confide/1/root"
    TOKEN = "confide/1/token"  # noqa: S105 - a label, not a secret
    AUDIT_REFERENCE = "confide/1/audit-reference"
    FINGERPRINT = "confide/1/fingerprint"
    PSEUDONYM = "confide/1/pseudonym"
    BLIND_INDEX = "confide/1/blind-index"
    DIGEST = "confide/1/digest"


def hkdf(secret: bytes, info: bytes, size: int = KEY_SIZE, *, salt: bytes | None = None) -> bytes:
    """HKDF-SHA256 (RFC 5869): `size` bytes that tell nothing of the secret nor of what another `info` gives."""
    return HKDF(algorithm=SHA256(), length=size, salt=salt, info=info).derive(secret)


class SealingKey:
    """A key for one use that seals and opens envelopes. Holds the cipher and the commitment, so an open is two calls.

    Safe to share between threads. At most 2^32 envelopes may be sealed with one (SP 800-38D, 8.3).
    """

    __slots__ = ("_cipher", "_header", "_random")

    def __init__(self, secret: bytes, label: Label, *, random: Callable[[int], bytes], generation: int = 0) -> None:
        """Derive the key of `label` from a 32-byte secret.

        Raises:
            ValueError: the secret is not 32 bytes, or the generation not a number of four bytes.
        """
        if len(secret) != KEY_SIZE or not 0 <= generation < 1 << 32:
            raise ValueError("A sealing key needs a secret of 32 bytes and a generation of four.")
        derived = hkdf(secret, label.encode(), 2 * KEY_SIZE)
        self._cipher = AESGCM(derived[:KEY_SIZE])
        self._header = _HEADER.pack(_FORMAT, _AES_256_GCM, generation, derived[KEY_SIZE:])
        self._random = random

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """An envelope of the plaintext, which opens only with this key, this generation and this context."""
        nonce = self._random(_NONCE_SIZE)
        return self._header + nonce + self._cipher.encrypt(nonce, plaintext, self._header + context)

    def seal_all(self, plaintexts: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """As `seal`, for several plaintexts, each with its context; the nonces are drawn together."""
        nonces = self._random(_NONCE_SIZE * len(plaintexts))
        header, encrypt = self._header, self._cipher.encrypt
        found: list[bytes] = []
        start = 0
        for plaintext, context in plaintexts:
            nonce = nonces[start : (start := start + _NONCE_SIZE)]
            found.append(header + nonce + encrypt(nonce, plaintext, header + context))
        return found

    def open(self, envelope: bytes, context: bytes) -> bytes:
        """The plaintext of an envelope sealed with this key, this generation and this context.

        Raises:
            EnvelopeError: for anything else, whatever differs.
        """
        # One comparison in constant time checks version, algorithm, generation and commitment together.
        if (
            isinstance(envelope, bytes)  # a store may hand back whatever was written into it
            and len(envelope) >= _LEAST
            and hmac.compare_digest(envelope[: _HEADER.size], self._header)
        ):
            try:
                return self._cipher.decrypt(
                    envelope[_HEADER.size : _HEADER.size + _NONCE_SIZE],
                    envelope[_HEADER.size + _NONCE_SIZE :],
                    self._header + context,
                )
            except InvalidTag:
                pass
        raise EnvelopeError

    def __repr__(self) -> str:
        return "<SealingKey>"

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise SecretExposedError


def generation_of(envelope: bytes) -> int:
    """The key generation an envelope claims; only opening it shows whether that is so.

    Raises:
        EnvelopeError: the bytes are too short, or of another format.
    """
    if len(envelope) < _LEAST or envelope[0] != _FORMAT or envelope[1] != _AES_256_GCM:
        raise EnvelopeError
    return int.from_bytes(envelope[2:6])


def wrap_data_key(
    data_key: bytes,
    leaf_key: bytes,
    *,
    tenant: str,
    customer_id: str,
    generation: int,
    leaf: int,
    ring_id: bytes,
    random: Callable[[int], bytes],
) -> bytes:
    """The data key, sealed under the leaf key of the ring; opens only for that customer, generation, leaf and ring.

    Raises:
        ValueError: a key is not 32 bytes, or a part has no encoding.
    """
    if len(data_key) != KEY_SIZE:
        raise ValueError("A data key has 32 bytes.")
    context = _wrapping_context(tenant, customer_id, generation, leaf, ring_id)
    return SealingKey(leaf_key, Label.DATA_KEY, generation=generation, random=random).seal(data_key, context)


def unwrap_data_key(
    wrapped: bytes, leaf_key: bytes, *, tenant: str, customer_id: str, generation: int, leaf: int, ring_id: bytes
) -> bytes:
    """The 32 bytes of a data key that `wrap_data_key` wrapped with the same arguments.

    Raises:
        EnvelopeError: anything differs.
    """
    try:
        context = _wrapping_context(tenant, customer_id, generation, leaf, ring_id)
        key = SealingKey(leaf_key, Label.DATA_KEY, generation=generation, random=_no_randomness)
    except (ValueError, TypeError):  # a key record with parts that no envelope has
        key = None
    data_key = key.open(wrapped, context) if key else b""
    if len(data_key) != KEY_SIZE:
        raise EnvelopeError
    return data_key


class TokenKey:
    """Seals short-lived tokens that clients hold, such as cursors: opaque, unforgeable, bound to a use and a context.

    XAES-256-GCM (C2SP `XAES-256-GCM.md`): each token has its own key and nonce out of 192 random bits.
    """

    __slots__ = ("_blocks", "_mask", "_random")

    def __init__(self, secret: bytes, *, random: Callable[[int], bytes]) -> None:
        """Derive the token key from a 32-byte service key.

        Raises:
            ValueError: the secret is not 32 bytes.
        """
        if len(secret) != KEY_SIZE:
            raise ValueError("A token key needs a secret of 32 bytes.")
        self._blocks, self._mask = _xaes_key(hkdf(secret, Label.TOKEN.encode()))
        self._random = random

    def seal(self, purpose: str, payload: bytes, context: bytes) -> str:
        """A URL-safe token of the payload; opens only for the same purpose and context.

        Raises:
            ValueError: the purpose is not valid Unicode.
        """
        nonce = self._random(_TOKEN_NONCE_SIZE)
        sealed = _xaes(self._blocks, self._mask, nonce).encrypt(nonce[12:], payload, _token_context(purpose, context))
        return urlsafe_b64encode(_TOKEN_HEADER + nonce + sealed).rstrip(b"=").decode()

    def open(self, purpose: str, token: str, context: bytes) -> bytes:
        """The payload of a token that `seal` made with the same purpose and context.

        Raises:
            TokenInvalidError: for anything else, whatever differs.
        """
        data = _token_bytes(token)
        if len(data) >= _TOKEN_LEAST and data.startswith(_TOKEN_HEADER):
            nonce = data[2:26]
            try:
                cipher = _xaes(self._blocks, self._mask, nonce)
                return cipher.decrypt(nonce[12:], data[26:], _token_context(purpose, context))
            except InvalidTag:
                pass
        raise TokenInvalidError

    def __repr__(self) -> str:
        return "<TokenKey>"

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise SecretExposedError


def _wrapping_context(tenant: str, customer_id: str, generation: int, leaf: int, ring_id: bytes) -> bytes:
    return encode_parts("confide/wrap/1", tenant, customer_id, generation, leaf, ring_id)


def _no_randomness(_size: int) -> Never:
    raise AssertionError("Opening needs no randomness.")


def _token_context(purpose: str, context: bytes) -> bytes:
    return _TOKEN_HEADER + encode_parts("confide/token/1", purpose, context)


def _token_bytes(token: str) -> bytes:
    """The bytes of a token, or none when it is not the one spelling that `TokenKey.seal` gives those bytes."""
    try:
        data = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
    except ValueError:
        return b""
    # base64 ignores stray characters and unused bits; a token has one spelling, so none can be used twice over.
    return data if urlsafe_b64encode(data).rstrip(b"=") == token.encode("ascii") else b""


def _xaes_key(key: bytes) -> tuple[Cipher[ECB], int]:
    """The block cipher of the key and the subkey K1 of CMAC (NIST SP 800-38B, 6.1)."""
    blocks = Cipher(AES256(key), ECB())  # noqa: S305 - the block cipher inside CMAC, on blocks that never repeat
    high = int.from_bytes(blocks.encryptor().update(bytes(16)))
    doubled = high << 1
    return blocks, (doubled ^ (1 << 128 | 0x87) if doubled >> 128 else doubled)


def _xaes(blocks: Cipher[ECB], mask: int, nonce: bytes) -> AESGCM:
    """The AES-256-GCM key of one nonce: CMAC in counter mode (NIST SP 800-108r1) over its first twelve bytes."""
    both = b"".join(
        (int.from_bytes(bytes([0, number]) + b"X\0" + nonce[:12]) ^ mask).to_bytes(16) for number in (1, 2)
    )
    return AESGCM(blocks.encryptor().update(both))
