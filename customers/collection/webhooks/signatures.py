"""Whether a delivery was signed by who holds the source's secret. Pure; over the bytes as they came.

Nothing of a body is parsed before this says so. The work depends on the length of the body and on how many signatures
the headers hold, not on which source it is, nor on whether there is such a source: it is always done for two keys, and
the keys that nobody has are made of zeros and count for nothing. What is compared is compared in constant time.

A time that is too far off is only told to who has signed it rightly; to all others a delivery is refused as any other
is, so its answer tells nothing of whether there is such a source.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from hashlib import sha256
from typing import Final

from customers.collection.sources import SourceKind

TOLERANCE_SECONDS: Final = 300
_KEYS: Final = 2
_NOBODYS: Final = bytes(32)
_MOST_SIGNATURES: Final = 8
_LONGEST_HEADER: Final = 4096
_SECONDS: Final = re.compile(r"\d{1,12}", re.ASCII)
_ID: Final = re.compile(r"[!-~]{1,256}", re.ASCII)


class Judgement(Enum):
    """What a signature is worth."""

    GOOD = auto()
    REFUSED = auto()
    TIME_OFF = auto()


def judged(
    kind: SourceKind, headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: datetime
) -> Judgement:
    """Whether a delivery was signed with one of these keys, and when.

    Args:
        kind: How its source signs.
        headers: The request's, names in lower case; one that came twice holds both, with a comma between.
        body: As it came.
        keys: Those of the source; none where there is no such source.
        now: The time; by the clock of the sender it was at most 300 seconds earlier or later.
    """
    if kind is SourceKind.SHOPIFY:
        # https://shopify.dev/docs/apps/build/webhooks/subscribe/https: there is no time in it.
        return _said(_matches(b"", body, keys, [_base64(headers.get("x-shopify-hmac-sha256", ""))]), None, now)
    if kind is SourceKind.STRIPE:
        return _stripe(headers.get("stripe-signature", ""), body, keys, now)
    return _standard(headers, body, keys, now)


def kind_of(headers: Mapping[str, str]) -> SourceKind:
    """Whose signature these headers hold, where no source says so: so that an unknown one costs what a known one does."""
    if "x-shopify-hmac-sha256" in headers:
        return SourceKind.SHOPIFY
    return SourceKind.STRIPE if "stripe-signature" in headers else SourceKind.STANDARD_WEBHOOKS


def _stripe(header: str, body: bytes, keys: Sequence[bytes], now: datetime) -> Judgement:
    """`t=…,v1=…`: hexadecimal HMAC-SHA256 of `t.body` (https://docs.stripe.com/webhooks/signature)."""
    parts = [part.strip().partition("=") for part in header[:_LONGEST_HEADER].split(",")]
    times = [value for name, _, value in parts if name == "t"]
    signatures = [_hexadecimal(value) for name, _, value in parts if name == "v1"]
    stated = times[0] if len(times) == 1 and _SECONDS.fullmatch(times[0]) else None
    matches = _matches(f"{stated}.".encode(), body, keys, signatures)
    return _said(matches and stated is not None, stated, now)


def _standard(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes], now: datetime) -> Judgement:
    """`v1,…` of `id.timestamp.body` (https://www.standardwebhooks.com); those of other versions do not count."""
    name, stated = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    well_formed = bool(_ID.fullmatch(name) and _SECONDS.fullmatch(stated))
    listed = headers.get("webhook-signature", "")[:_LONGEST_HEADER].split()
    signatures = [_base64(each.removeprefix("v1,")) for each in listed if each.startswith("v1,")]
    signed = f"{name}.{stated}.".encode() if well_formed else b""
    matches = _matches(signed, body, keys, signatures)
    return _said(matches and well_formed, stated if well_formed else None, now)


def _said(matches: bool, stated: str | None, now: datetime) -> Judgement:  # noqa: FBT001 - what it is about
    if not matches:
        return Judgement.REFUSED
    if stated is not None and abs(now.timestamp() - int(stated)) > TOLERANCE_SECONDS:
        return Judgement.TIME_OFF
    return Judgement.GOOD


def _matches(before: bytes, body: bytes, keys: Sequence[bytes], signatures: Sequence[bytes]) -> bool:
    """Whether one of the signatures is HMAC-SHA256 of `before` and the body under one of the keys."""
    found = False
    for place in range(_KEYS):
        held = place < len(keys)
        mac = hmac.new(keys[place] if held else _NOBODYS, before, sha256)
        mac.update(body)
        digest = mac.digest()
        for signature in signatures[:_MOST_SIGNATURES]:
            found |= hmac.compare_digest(digest, signature) & held
    return found


def _base64(text: str) -> bytes:
    """What is encoded, or nothing: no signature is empty."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


__all__ = ["TOLERANCE_SECONDS", "Judgement", "judged", "kind_of"]
