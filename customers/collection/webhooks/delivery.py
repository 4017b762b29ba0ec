"""What every sender's delivery becomes: events as the tracking API has them, or a privacy request. Pure.

A payload may hold anything, for nobody but its sender has looked at it. So each value is taken only where it has the
form that is expected, and whatever has not is as if it were not there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import msgspec

from customers.collection.webhooks.errors import DeliveryInvalidError, Flaw

MAX_TEXT: Final = 512
_LONGEST_BASE: Final = 64


class RequestKind(StrEnum):
    """What a privacy request asks for; the values are stored."""

    ACCESS = "access"
    ERASURE = "erasure"
    SHOP_ERASURE = "shop_erasure"


@dataclass(frozen=True, slots=True)
class PrivacyRequest:
    """A request that a sender hands on for one of its customers, or for all of a shop's.

    Attributes:
        kind: What is asked for.
        message_id: The sender's name for it; who sends it again, sends the same.
        shop: The shop whose customer it is.
        person: Who it is: the ids of the sender, the best known first, then e-mail addresses and telephone numbers.
    """

    kind: RequestKind
    message_id: str
    shop: str
    person: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"<PrivacyRequest {self.kind}>"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a delivery says.

    Attributes:
        events: Events for the intake, in their order; none where nobody's data is in it, or nothing that is kept.
        request: The privacy request that it is instead.
    """

    events: Sequence[Any] = ()
    request: PrivacyRequest | None = None


def parsed(body: bytes) -> Any:
    """A body as JSON (RFC 8259).

    Raises:
        DeliveryInvalidError: It is none, or is nested too deeply.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    # Outside the handler: the decoder's error may quote what was sent, and must not be the context of this one.
    raise DeliveryInvalidError(Flaw.NOT_JSON)


def message_id(base: str, *parts: str) -> str:
    """A message id of at most 100 characters out of the sender's name for a delivery and of what is made of it."""
    if not base.isascii() or not base.isprintable() or not 0 < len(base) <= _LONGEST_BASE:
        base = sha256(base.encode(errors="surrogatepass")).hexdigest()
    return ":".join((base, *parts))


def identify(message: str, who: Mapping[str, str], traits: Mapping[str, Any], at: Any) -> dict[str, Any]:
    """An `identify`; `who` is its userId or anonymousId."""
    return {"type": "identify", "messageId": message, **who, "traits": dict(traits), **_when(at)}


def track(message: str, who: Mapping[str, str], name: str, properties: Mapping[str, Any], at: Any) -> dict[str, Any]:
    """A `track`; `who` is its userId or anonymousId."""
    return {"type": "track", "messageId": message, **who, "event": name, "properties": dict(properties), **_when(at)}


def guest(traits: Mapping[str, Any]) -> dict[str, str]:
    """The anonymous id of who has no account with the sender: the same whenever they come with the same address.

    Ids are stored sealed and as keyed tokens, so this hash is nowhere to be tried against addresses.
    """
    for name in ("email", "phone"):
        value = traits.get(name)
        if isinstance(value, str) and value.strip():
            folded = f"{name}:{value.strip().casefold()}".encode(errors="surrogatepass")
            return {"anonymousId": f"guest-{sha256(folded).hexdigest()[:32]}"}
    return {}


def mapping(value: Any) -> Mapping[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """A text with something in it, cut where no name or address is longer."""
    return value.strip()[:MAX_TEXT] if isinstance(value, str) and value.strip() else None


def name_of(value: Any) -> str | None:
    """The id of a thing: a text, a whole number, or an object that has one."""
    if isinstance(value, dict):
        value = value.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value < 1 << 63 else None
    return text(value)


def number(value: Any) -> int | float | None:
    """An amount as a number, from a number or from a text such as `"19.90"`."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) <= 32:  # noqa: PLR2004 - longer than any amount
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else None
    return value if isinstance(value, float) and math.isfinite(value) else None


def moment(value: Any) -> str | None:
    """A time from seconds since 1970, as RFC 3339."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 36:
        return None
    return datetime.fromtimestamp(value, UTC).isoformat()


def known(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is there: no None, no empty text, list or object."""
    return {name: value for name, value in values.items() if value is not None and value not in ("", [], {})}


def _when(at: Any) -> dict[str, Any]:
    return {"timestamp": at} if isinstance(at, str) else {}
