"""Blind index tokens: what the database knows an identifier by, and nobody without the index keys can compute.

A token is HMAC-SHA256 of the normalised value under a key of its own tenant, index and epoch. Equal values have equal
tokens, which is all a look-up needs and all the database learns. Pure; the bytes are described in
`docs/formats/blind-index.md` and what goes into them may not be reordered or removed.
"""

import hmac
from collections.abc import Mapping
from typing import Never

from vault.envelope import KEY_SIZE, Label, hkdf
from vault.errors import SecretExposedError, UnknownIndexError
from vault.normalise import Index, normalise
from vault.slot import encode_parts

__all__ = ["TOKEN_SIZE", "BlindTokens"]

TOKEN_SIZE = 32


class BlindTokens:
    """Makes the tokens of one tenant, in every epoch whose key is still held."""

    __slots__ = ("_keys", "_region", "epochs")

    def __init__(self, epoch_keys: Mapping[int, bytes], *, tenant: str, region: str | None = None) -> None:
        """Derive the key of every index in every epoch.

        Args:
            epoch_keys: 32 secret bytes by the number of their epoch, which counts up from 1; at least one.
            tenant: whose tokens they are; another tenant's never equal them.
            region: the country (ISO 3166-1 alpha-2) of telephone numbers written without one.

        Raises:
            ValueError: there is no epoch, or a key is not 32 bytes.
        """
        if not epoch_keys or any(len(key) != KEY_SIZE for key in epoch_keys.values()):
            raise ValueError("Blind tokens need at least one epoch, and a key of 32 bytes for each.")
        self.epochs: tuple[int, ...] = tuple(sorted(epoch_keys, reverse=True))
        """The epochs, newest first; `tokens` gives its tokens in this order."""
        self._region = region
        self._keys = {
            (epoch, index.value): hkdf(epoch_keys[epoch], encode_parts(Label.BLIND_INDEX, tenant, index, epoch))
            for epoch in self.epochs
            for index in Index
        }

    def tokens(self, index: str, value: str) -> list[bytes]:
        """The 32-byte tokens of a value in any spelling, newest epoch first.

        Raises:
            UnknownIndexError: there is no such index.
            InvalidIdentifierError: the value cannot be an identifier of that kind.
        """
        message = normalise(index, value, region=self._region).encode()
        return [hmac.digest(self._keys[epoch, str(index)], message, "sha256") for epoch in self.epochs]

    def token(self, index: str, value: str, epoch: int | None = None) -> bytes:
        """The 32-byte token of a value in one epoch, by default the newest, in which new entries are written.

        Raises:
            UnknownIndexError: there is no such index, or its key of that epoch is no longer held.
            InvalidIdentifierError: the value cannot be an identifier of that kind.
        """
        message = normalise(index, value, region=self._region).encode()
        key = self._keys.get((self.epochs[0] if epoch is None else epoch, str(index)))
        if key is None:
            raise UnknownIndexError
        return hmac.digest(key, message, "sha256")

    def __repr__(self) -> str:
        return f"<BlindTokens of epochs {', '.join(map(str, self.epochs))}>"

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise SecretExposedError
