"""What lets somebody in: links, codes and what a browser holds. Pure, but for the randomness it is given."""

import base64
from collections.abc import Callable
from typing import Final

_SECRET_BYTES: Final = 32
_CODE_BYTES: Final = 16
CODE_DIGITS: Final = 8


def secret_text(random: Callable[[int], bytes]) -> str:
    """43 characters of base64url that nobody can guess."""
    return base64.urlsafe_b64encode(random(_SECRET_BYTES)).decode().rstrip("=")


def code_text(random: Callable[[int], bytes]) -> str:
    """Eight digits, each of the hundred million as likely as the next (to within 2^-100)."""
    return f"{int.from_bytes(random(_CODE_BYTES)) % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


__all__ = ["CODE_DIGITS", "code_text", "secret_text"]
