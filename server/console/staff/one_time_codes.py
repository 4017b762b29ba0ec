"""Codes of an authenticator app (TOTP, RFC 6238): six digits, thirty seconds, each good once. Pure."""

import base64
import hmac
from collections.abc import Callable
from datetime import datetime
from typing import Final

import pyotp

STEP_SECONDS: Final = 30
_SECRET_BYTES: Final = 20
_DIGITS: Final = 6
# A clock that is a little wrong, and somebody who types slowly.
_AROUND: Final = (0, -1, 1)


def new_secret(random: Callable[[int], bytes]) -> str:
    """A secret to share with an authenticator app, in base32."""
    return base64.b32encode(random(_SECRET_BYTES)).decode()


def address(secret: str, name: str, issuer: str) -> str:
    """What an authenticator app reads: an `otpauth` address."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer)


def step_of(secret: str, code: str, at: datetime) -> int | None:
    """The step of time that a code belongs to; None where it is not one of now. A step is spent with its code."""
    typed = "".join(code.split())
    now = int(at.timestamp()) // STEP_SECONDS
    made = pyotp.TOTP(secret)
    found = None
    for around in _AROUND:  # every one, so that it takes as long for each
        expected = made.generate_otp(now + around)
        if hmac.compare_digest(expected.encode(), typed.encode(errors="surrogatepass")) and len(typed) == _DIGITS:
            found = now + around
    return found


__all__ = ["STEP_SECONDS", "address", "new_secret", "step_of"]
