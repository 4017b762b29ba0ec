"""What a controller's request says (https://github.com/opengdpr/OpenDSR, section 7). Pure; errors repeat nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from customers.outgoing import AddressRefusedError, Allowed, Origin
from customers.rights.requests import Kind, Regime
from server.opendsr.errors import OpenDsrRefusedError, Problem

API_VERSION: Final = "1.0"
KINDS: Final = {"access": Kind.ACCESS, "portability": Kind.PORTABILITY, "erasure": Kind.ERASURE}
IDENTITIES: Final = {"email": "email", "phone_number": "phone", "controller_customer_id": "external_id"}
"""What a person may be named by, and the blind index in which that is looked up."""
MOST_IDENTITIES: Final = 20
MOST_CALLBACKS: Final = 5
_LONGEST: Final = 512
_LONGEST_URL: Final = 2_000
_REGIMES: Final = {"gdpr": Regime.GDPR, "ccpa": Regime.CPRA}
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a controller makes it.

    Attributes:
        id: The controller's name for it: a UUID.
        kind: What is asked for.
        regime: The law whose terms hold.
        identities: Whom it is about: the blind index and the value.
        callbacks: Where changes of its status are told.
    """

    id: str
    kind: Kind
    regime: Regime
    identities: tuple[tuple[str, str], ...] = field(repr=False)
    callbacks: tuple[str, ...] = field(repr=False)


def is_request_id(text: str) -> bool:
    """Whether this can be a subject_request_id."""
    return _UUID.fullmatch(text) is not None


def asked(body: bytes, allowed: Allowed) -> Asked:
    """What a body asks for.

    Args:
        body: As it came.
        allowed: Which origins may be asked: callbacks go nowhere else.

    Raises:
        OpenDsrRefusedError: It is not as the specification says, or asks for what is not supported.
    """
    said = _object(body)
    regime = _REGIMES.get(said.get("regulation", ""))
    if regime is None:
        raise OpenDsrRefusedError(Problem.REGULATION)
    name = said.get("subject_request_id")
    if not isinstance(name, str) or not is_request_id(name):
        raise OpenDsrRefusedError(Problem.REQUEST_ID)
    kind = KINDS.get(said.get("subject_request_type", ""))
    if kind is None:
        raise OpenDsrRefusedError(Problem.REQUEST_TYPE)
    if not _is_moment(said.get("submitted_time")):
        raise OpenDsrRefusedError(Problem.SUBMITTED)
    return Asked(name, kind, regime, _identities(said.get("subject_identities")), _callbacks(said, allowed))


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = None
    # Outside the handler: the decoder's error may quote what was sent.
    if not isinstance(said, dict) or not all(isinstance(said.get(each, ""), str) for each in _TEXTS):
        raise OpenDsrRefusedError(Problem.NOT_JSON)
    return said


def _identities(said: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(said, dict):  # as version 3 of some processors has it: {type: {value, encoding}}
        said = [
            {"identity_type": name, "identity_value": each.get("value"), "identity_format": each.get("encoding")}
            for name, each in said.items()
            if isinstance(each, dict)
        ]
    if not isinstance(said, list) or not 0 < len(said) <= MOST_IDENTITIES:
        raise OpenDsrRefusedError(Problem.IDENTITIES)
    found = []
    for each in said:
        index = IDENTITIES.get(each.get("identity_type")) if _flat(each) else None
        value = each.get("identity_value") if index is not None else None
        if index is None or not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
            raise OpenDsrRefusedError(Problem.IDENTITIES)
        if each.get("identity_format", "raw") != "raw":
            raise OpenDsrRefusedError(Problem.IDENTITIES)
        found.append((index, value))
    return tuple(found)


def _flat(each: Any) -> bool:
    return isinstance(each, dict) and isinstance(each.get("identity_type"), str)


def _callbacks(said: Mapping[str, Any], allowed: Allowed) -> tuple[str, ...]:
    found: Sequence[Any] = said.get("status_callback_urls") or ()
    if not isinstance(found, list | tuple) or len(found) > MOST_CALLBACKS:
        raise OpenDsrRefusedError(Problem.CALLBACKS)
    for each in found:
        try:
            good = isinstance(each, str) and len(each) <= _LONGEST_URL
            if good:
                allowed.check(Origin.of(each))
        except AddressRefusedError:
            good = False
        if not good:
            raise OpenDsrRefusedError(Problem.CALLBACKS)
    return tuple(found)


def _is_moment(said: Any) -> bool:
    try:
        return isinstance(said, str) and datetime.fromisoformat(said) is not None
    except ValueError:
        return False


_TEXTS: Final = ("regulation", "subject_request_type", "subject_request_id")
