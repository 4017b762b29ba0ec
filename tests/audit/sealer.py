"""A working root key in memory: seals with a keyed hash, refuses what another sealed or for another context."""

import hmac
import os
from hashlib import sha256

from audit import SigningKeyCorruptError


class MemorySealer:
    def __init__(self, name="memory"):
        self.name = name

    def describe(self):
        return self.name

    async def wrap(self, plaintext, context):
        nonce = os.urandom(16)
        sealed = self._crypt(nonce, plaintext)
        return nonce + self._tag(nonce + sealed, context) + sealed

    async def unwrap(self, wrapped, context):
        nonce, tag, sealed = wrapped[:16], wrapped[16:48], wrapped[48:]
        if not hmac.compare_digest(tag, self._tag(nonce + sealed, context)):
            raise SigningKeyCorruptError("not sealed by this root key")
        return self._crypt(nonce, sealed)

    def _tag(self, data, context):
        return hmac.digest(self.name.encode(), len(context).to_bytes(8, "big") + context + data, "sha256")

    def _crypt(self, nonce, data):
        blocks = (sha256(self.name.encode() + nonce + bytes((n,))).digest() for n in range(len(data) // 32 + 1))
        return bytes(a ^ b for a, b in zip(data, b"".join(blocks), strict=False))
