"""AES-256-GCM written out from NIST SP 800-38D, so that tests can check the sealed bytes without the code that makes
them, and forge what an attacker who knows keys can forge."""

import hmac

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

_POLYNOMIAL = 0xE1 << 120


def block_cipher(key: bytes, block: bytes) -> bytes:
    return Cipher(AES256(key), ECB()).encryptor().update(block)  # noqa: S305 - single blocks, inside GCM


def multiply(left: int, right: int) -> int:
    """In GF(2^128), bits in GCM's order (SP 800-38D, 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if (left >> bit) & 1:
            product ^= right
        right = (right >> 1) ^ (_POLYNOMIAL if right & 1 else 0)
    return product


def inverse(element: int) -> int:
    """The power 2^128 - 2."""
    result, power = 1 << 127, element
    for _ in range(127):
        power = multiply(power, power)
        result = multiply(result, power)
    return result


def hash_key(key: bytes) -> int:
    return int.from_bytes(block_cipher(key, bytes(16)))


def tag(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 16)

    data = (
        padded(associated)
        + padded(ciphertext)
        + (8 * len(associated)).to_bytes(8)
        + (8 * len(ciphertext)).to_bytes(8)
    )
    total = 0
    for at in range(0, len(data), 16):
        total = multiply(total ^ int.from_bytes(data[at : at + 16]), hash_key(key))
    mask = int.from_bytes(block_cipher(key, nonce + (1).to_bytes(4)))
    return (total ^ mask).to_bytes(16)


def stream(key: bytes, nonce: bytes, data: bytes) -> bytes:
    blocks = b"".join(block_cipher(key, nonce + (2 + at).to_bytes(4)) for at in range(-(-len(data) // 16)))
    return bytes(left ^ right for left, right in zip(data, blocks, strict=False))


def opens(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    ciphertext, found = sealed[:-16], sealed[-16:]
    return stream(key, nonce, ciphertext) if tag(key, nonce, ciphertext, associated) == found else None


def opening_under_both(
    keys: tuple[bytes, bytes], associated: tuple[bytes, bytes], nonce: bytes, first: bytes
) -> bytes:
    """One ciphertext and tag that AES-GCM opens under both keys (Dodis et al. 2018): the second block is solved."""
    blank = first + bytes(16)
    one, other = (int.from_bytes(tag(key, nonce, blank, data)) for key, data in zip(keys, associated, strict=True))
    squares = [multiply(hash_key(key), hash_key(key)) for key in keys]
    solved = multiply(one ^ other, inverse(squares[0] ^ squares[1]))
    both = first + solved.to_bytes(16)
    return both + tag(keys[0], nonce, both, associated[0])


def hkdf(secret: bytes, info: bytes, size: int, salt: bytes = b"") -> bytes:
    """RFC 5869 with SHA-256, written out."""
    extracted = hmac.digest(salt or bytes(32), secret, "sha256")
    blocks, block = b"", b""
    for count in range(1, -(-size // 32) + 1):
        block = hmac.digest(extracted, block + info + bytes([count]), "sha256")
        blocks += block
    return blocks[:size]
