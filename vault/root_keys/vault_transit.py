"""The root key in HashiCorp Vault's Transit engine.

The key must be of an authenticated kind (`aes256-gcm96`, the default, or `chacha20-poly1305`): the context is passed
as associated data. Rotating the key inside Transit needs nothing here: ciphertexts name their key version, the next
change of the ring is wrapped by the newest, and `rotate_root` with the same key rewraps at once. Raising
`min_decryption_version` after that refuses older files.
"""

import base64
import binascii
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from vault.errors import RootKeyRefusedError, RootKeyUnavailableError

_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


class VaultTransitRootKey:
    """A named key of a Transit mount."""

    def __init__(
        self,
        address: str,
        key_name: str,
        token: str,
        *,
        mount: str = "transit",
        namespace: str | None = None,
        timeout_seconds: float = 10.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            address: Vault's address, such as `https://vault.internal:8200`.
            key_name: The key's name in the mount.
            token: A token that may `update` the paths `encrypt/<key>` and `decrypt/<key>` of the mount.
            mount: Where Transit is mounted.
            namespace: Vault Enterprise's namespace.
            timeout_seconds: For connecting and for each answer.
            transport: Another way to send requests: a private certificate authority, or a proxy.
        """
        self._address = address.rstrip("/")
        self._key_name = key_name
        self._mount = mount.strip("/")
        # Vault's own clients send it too: a forged cross-site request cannot.
        self._headers = {"X-Vault-Token": token, "X-Vault-Request": "true"}
        if namespace is not None:
            self._headers["X-Vault-Namespace"] = namespace
        self._timeout = timeout_seconds
        self._transport = transport

    def describe(self) -> str:
        """The provider, the mount and the key's name."""
        return f"vault-transit:{self._mount}/{self._key_name}"

    async def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """As `RootKey.wrap`; the result is Vault's own text, `vault:v<version>:<base64>`."""
        data = await self._post("encrypt", {"plaintext": _base64(plaintext), "associated_data": _base64(context)})
        ciphertext = data.get("ciphertext")
        if not isinstance(ciphertext, str) or not ciphertext.startswith("vault:v"):
            raise RootKeyUnavailableError("HashiCorp Vault gave an answer that is none")
        return ciphertext.encode()

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """As `RootKey.unwrap`."""
        try:
            ciphertext = wrapped.decode("ascii")
        except UnicodeDecodeError:
            raise RootKeyRefusedError("this ring file was not wrapped by HashiCorp Vault") from None
        data = await self._post("decrypt", {"ciphertext": ciphertext, "associated_data": _base64(context)})
        try:
            return base64.b64decode(data["plaintext"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise RootKeyUnavailableError("HashiCorp Vault gave an answer that is none") from None

    async def _post(self, operation: str, body: dict[str, str]) -> dict[str, Any]:
        url = f"{self._address}/v1/{quote(self._mount)}/{operation}/{quote(self._key_name, safe='')}"
        try:
            async with httpx.AsyncClient(timeout=self._timeout, transport=self._transport) as client:
                answer = await client.post(url, json=body, headers=self._headers)
            if answer.status_code == HTTPStatus.OK:
                data = answer.json()["data"]
                if isinstance(data, dict):
                    return data
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            # `from None`: a request's error text may carry what was sent.
            raise RootKeyUnavailableError("HashiCorp Vault did not answer") from None
        if answer.status_code in _REFUSED:
            raise RootKeyRefusedError("HashiCorp Vault does not let us use this key")
        if answer.status_code == HTTPStatus.BAD_REQUEST and operation == "decrypt":
            raise RootKeyRefusedError("HashiCorp Vault says that this key did not wrap the ring file")
        if answer.status_code == HTTPStatus.BAD_REQUEST:
            raise RootKeyRefusedError("HashiCorp Vault cannot wrap with this key")
        raise RootKeyUnavailableError("HashiCorp Vault could not serve the request")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
