"""What proves an answer or a callback to be this server's: RSA over SHA-256, in the header `X-OpenDSR-Signature`.

The key and the certificate are the operator's, for the certificate must be of an authority that controllers trust.
"""

import base64
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from server.errors import SettingsError

DOMAIN: Final = "x-opendsr-processor-domain"
SIGNATURE: Final = "x-opendsr-signature"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_LONGEST: Final = 64 * 1024
_PEM: Final = b"-----BEGIN CERTIFICATE-----"
_PRIVATE: Final = b"PRIVATE KEY"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the operator's key.

    Attributes:
        domain: The name that the certificate is of.
        certificate: The certificate in PEM, for whoever checks.
    """

    domain: str
    certificate: bytes
    _key: Any = field(repr=False)

    @classmethod
    def load(cls, origin: str, key: Path | None, certificate: Path | None) -> "Signer":
        """The signer of these files.

        Raises:
            SettingsError: A file is missing, cannot be used, or the key can be read by others.
        """
        if key is None or certificate is None:
            raise SettingsError("CONFIDE_OPENDSR_ORIGIN needs CONFIDE_OPENDSR_KEY and CONFIDE_OPENDSR_CERTIFICATE")
        try:
            if os.stat(key).st_mode & _OTHERS:  # noqa: PTH116 - follows a link to the file itself
                raise SettingsError("CONFIDE_OPENDSR_KEY: others can read the file; chmod 600 it")
            secret, shown = key.read_bytes()[:_LONGEST], certificate.read_bytes()[:_LONGEST]
        except OSError:
            raise SettingsError("CONFIDE_OPENDSR_KEY, CONFIDE_OPENDSR_CERTIFICATE: a file cannot be read") from None
        if _PEM not in shown or _PRIVATE in shown:
            raise SettingsError("CONFIDE_OPENDSR_CERTIFICATE: must be a certificate in PEM, and no private key")
        return cls(urlsplit(origin).hostname or "", shown, _rsa(secret))

    def headers(self, body: bytes) -> dict[str, str]:
        """The headers that prove a body."""
        made = jws.JWSRegistry.algorithms["RS256"].sign(body, self._key)
        return {DOMAIN: self.domain, SIGNATURE: base64.b64encode(made).decode()}


def _rsa(secret: bytes) -> RSAKey:
    try:
        return RSAKey.import_key(secret)
    except (JoseError, ValueError, TypeError):
        pass
    raise SettingsError("CONFIDE_OPENDSR_KEY: must be an RSA private key in PEM, without a passphrase")
