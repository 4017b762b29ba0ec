"""Recipients of personal data, and what they are told: that it is rectified, erased or restricted (GDPR Art. 19). Pure."""

import base64
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from customers.errors import FieldProblem, InputInvalidError
from customers.identity.model import Identifier, IdentifierType
from customers.outgoing import AddressRefusedError, Allowed, Origin
from policies import Catalogue, PolicySet

GIVEN_UP_AFTER: Final = timedelta(days=30)
"""How long a recipient may be out of reach before what they were to be told is destroyed."""
CUSTOMER_ID: Final = "customer_id"
_EXTERNAL: Final = "external_id:"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_SYSTEM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_AUTHORISATION: Final = re.compile(r"[!-~]+( [!-~]+)?", re.ASCII)
_LONGEST_URL: Final = 2_000
_LONGEST_AUTHORISATION: Final = 4_000
_LONGEST_SOURCE: Final = 200


class RecipientKind(StrEnum):
    """How a recipient is told. The values of this and the other enums here are stored; none may be changed."""

    WEBHOOK = "webhook"
    """A POST that is signed as Standard Webhooks has it."""
    OPENDSR = "opendsr"
    """A request as OpenDSR has it; of erasures alone, for it knows nothing else."""


class NoticeKind(StrEnum):
    """What a recipient is told of."""

    ERASURE = "erasure"
    RECTIFICATION = "rectification"
    RESTRICTION = "restriction"
    """Nothing is to be done with the person's data but to keep it (GDPR Art. 18)."""
    RESTRICTION_LIFTED = "restriction_lifted"


CHANGES: Final = frozenset(set(NoticeKind) - {NoticeKind.ERASURE})
"""What happens to somebody who stays: sealed under their own key, and told as it holds when it is told."""


class State(StrEnum):
    """How far a delivery has come."""

    WAITING = "waiting"
    TOLD = "told"
    NOT_KNOWN = "not_known"
    """Of this person there is nothing by which the recipient knows anybody, so there was nothing to tell."""
    VOID = "void"
    """It came to nothing: the change was not made, or the person was erased before, of which the recipient is told."""
    GIVEN_UP = "given_up"
    """They could not be told in time, or what they were to be told cannot be read any more."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody to whom personal data is disclosed.

    Attributes:
        name: What they are called, everywhere, also towards the person.
        kind: How they are told.
        url: Where.
        known_by: What they know people by: `customer_id`, `email`, `phone`, `external_id:system`.
        fields: What they are given of people: paths of the catalogue. Of what is corrected they are told of these alone.
        created_at: Since when.
        disabled: Whether they are told nothing any more, for they have nothing any more.
        purposes: For which alone they are given data, so that of whom it was never for any they have nothing; every one
            where none is named.
        sources: From which alone what they are given comes; every one where none is named.
        certificate: Of OpenDSR: the certificate, or public key, in PEM, that proves what they answer; None where nothing
            does.
    """

    name: str
    kind: RecipientKind
    url: str = field(repr=False)
    known_by: tuple[str, ...]
    fields: tuple[str, ...]
    created_at: datetime
    disabled: bool = False
    purposes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    certificate: str | None = field(default=None, repr=False)

    def tells(self, kind: NoticeKind, paths: Iterable[str] = ()) -> tuple[str, ...] | None:
        """The fields they are told of; None where they are not told of such a thing at all."""
        if kind is NoticeKind.ERASURE:
            return self.fields
        if self.kind is RecipientKind.OPENDSR:
            return None
        if kind is not NoticeKind.RECTIFICATION:
            return self.fields
        told = tuple(sorted(set(paths) & set(self.fields)))
        return told or None


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a recipient took what they were told.

    Attributes:
        at: When.
        status: What they answered, a status of HTTP.
        attempt: How often they were tried, this time included.
        entry: The access log's entry of what was disclosed by that.
        verified: Whether it is proven that the answer is theirs; None where their answers prove nothing.
    """

    at: datetime
    status: int
    attempt: int
    entry: str
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing that one recipient is told.

    Attributes:
        id: `dlv_…`; recipients are told it, so that what comes twice counts once.
        recipient: Who.
        kind: Of what.
        state: How far it has come.
        at: When it happened.
        give_up_at: Until when they are tried.
        fields: What of the person it is about.
        key: The id of the key that the message is sealed under: of its own, or the customer's.
        certificate: Of an erasure: the id of its certificate.
        customer_id: Of anything else: whose data it is; None once they are erased.
        version: Of anything else: the version of the profile before it.
        sealed: Whom it is about; None once it need not be known any more.
        told_at: When they took it.
        receipt: That they did.
    """

    id: str
    recipient: str
    kind: NoticeKind
    state: State
    at: datetime
    give_up_at: datetime
    fields: tuple[str, ...]
    key: str | None
    certificate: str | None = None
    customer_id: str | None = None
    version: int | None = None
    sealed: bytes | None = field(default=None, repr=False)
    told_at: datetime | None = None
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class KnownAs:
    """One thing that a person is known by."""

    by: str
    value: str = field(repr=False)


def known_as(known_by: Sequence[str], customer_ids: Sequence[str], held: Iterable[Identifier]) -> tuple[KnownAs, ...]:
    """What a recipient knows a person by, of all that the person is known by; in the recipient's order."""
    identifiers = list(held)
    found: list[KnownAs] = []
    for by in known_by:
        if by == CUSTOMER_ID:
            found += [KnownAs(by, each) for each in customer_ids]
        elif by.startswith(_EXTERNAL):
            system = by.removeprefix(_EXTERNAL) + ":"
            found += [
                KnownAs(by, each.value.removeprefix(system))
                for each in identifiers
                if each.type is IdentifierType.EXTERNAL_ID and each.value.startswith(system)
            ]
        else:
            found += [KnownAs(by, each.value) for each in identifiers if each.type.value == by]
    return tuple(dict.fromkeys(found))


def path_of(by: str) -> str:
    """The field of the catalogue that something by which a person is known is disclosed as."""
    if by == CUSTOMER_ID:
        return "profile.id"
    return "profile.identifiers" if by.startswith(_EXTERNAL) else f"profile.{by}"


def check(recipient: Recipient, policies: PolicySet, allowed: Allowed, authorisation: str | None) -> None:
    """Refuse a recipient who cannot be one.

    Args:
        recipient: Who.
        policies: The fields and the purposes there are.
        allowed: Which origins may be asked.
        authorisation: What is sent in the header of this name; of OpenDSR alone.

    Raises:
        InputInvalidError: It says why, and repeats nothing.
    """
    problems = [*_names(recipient, policies.catalogue), *_place(recipient.url, allowed)]
    problems += _limits(recipient, policies.purposes)
    if recipient.certificate is not None and recipient.kind is not RecipientKind.OPENDSR:
        problems.append(FieldProblem("certificate", "is for recipients of OpenDSR, who sign what they answer"))
    if authorisation is not None:
        if recipient.kind is not RecipientKind.OPENDSR:
            problems.append(FieldProblem("authorization", "is for recipients of OpenDSR; webhooks are signed"))
        elif len(authorisation) > _LONGEST_AUTHORISATION or _AUTHORISATION.fullmatch(authorisation) is None:
            problems.append(
                FieldProblem("authorization", "must be a scheme and a secret, such as Bearer and a token")
            )
    if problems:
        raise InputInvalidError(problems)


def _names(recipient: Recipient, catalogue: Catalogue) -> list[FieldProblem]:
    problems = []
    if _NAME.fullmatch(recipient.name) is None:
        problems.append(FieldProblem("name", "must have at most 63 lower-case letters, digits, - and _"))
    plain = {CUSTOMER_ID, IdentifierType.EMAIL.value}
    if recipient.kind is RecipientKind.WEBHOOK:
        plain.add(IdentifierType.PHONE.value)
    good = [
        by in plain or (by.startswith(_EXTERNAL) and _SYSTEM.fullmatch(by.removeprefix(_EXTERNAL)) is not None)
        for by in recipient.known_by
    ]
    if not good or not all(good):
        told = "customer_id, email, phone (of webhooks), or external_id: and a system, such as external_id:shop"
        problems.append(FieldProblem("known-by", f"must be one of {told}"))
    known = {field.path for field in catalogue.object("profile")}
    if not set(recipient.fields) <= known:
        problems.append(FieldProblem("field", "must be a profile's field of the catalogue, such as profile.email"))
    return problems


def _limits(recipient: Recipient, purposes: Collection[str]) -> list[FieldProblem]:
    problems = []
    if not set(recipient.purposes) <= set(purposes):
        problems.append(FieldProblem("purpose", "must be a purpose that there is, such as marketing"))
    if not all(0 < len(each) <= _LONGEST_SOURCE for each in recipient.sources):
        problems.append(FieldProblem("source", f"must have 1 to {_LONGEST_SOURCE} characters"))
    return problems


def _place(url: str, allowed: Allowed) -> list[FieldProblem]:
    if len(url) > _LONGEST_URL:
        return [FieldProblem("url", f"must have at most {_LONGEST_URL} characters")]
    try:
        allowed.check(Origin.of(url))
    except AddressRefusedError as error:
        return [FieldProblem("url", f"cannot be asked: {error}")]
    return []


def sealable(known: Iterable[KnownAs], parts: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """What of a delivery is sealed.

    Args:
        known: What the person is known by.
        parts: The same of profiles that were merged into theirs, sealed under the key of each, by profile: of one that
            is taken out again nothing is told, and of one that is erased after that nothing can be read.
    """
    values: dict[str, Any] = {"person": [[each.by, each.value] for each in known]}
    if parts:
        values["parts"] = {name: base64.b64encode(each).decode() for name, each in parts.items()}
    return values


def unsealed(values: Mapping[str, Any]) -> tuple[KnownAs, ...]:
    """What was sealed of one profile."""
    return tuple(KnownAs(by, value) for by, value in values["person"])


def unsealed_parts(values: Mapping[str, Any]) -> dict[str, bytes]:
    """What was sealed beside it of the profiles that were merged into it."""
    return {name: base64.b64decode(each) for name, each in values.get("parts", {}).items()}
