"""One record of the access log, and its canonical bytes: the leaf of the tree.

The bytes are JSON after RFC 8785: keys sorted, no white space, every key present (null where there is no value),
integers only, UTF-8. The format has a page, docs/formats/audit-log.md, and frozen vectors in tests/audit/vectors.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise

import msgspec

from audit.errors import RecordInvalidError, RecordTooLargeError

VERSION = 1
MAX_RECORD_BYTES = 256 * 1024
MAX_TEXT = 256

_TIME = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{6}Z", re.ASCII)
_SUBJECT = 23  # with its comma
_SUBJECTS = re.compile(r"(?:[A-Za-z0-9_-]{22},)*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TRACE = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Kind(StrEnum):
    """What happened."""

    READ = "read"
    WRITE = "write"
    SEARCH = "search"
    EXPORT = "export"
    ERASURE_INTENT = "erasure_intent"
    ERASURE_DONE = "erasure_done"
    POLICY_CHANGE = "policy_change"
    ADMIN = "admin"


class Outcome(StrEnum):
    """How it ended."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_FOUND = "not_found"


class Verdict(StrEnum):
    """How a field left."""

    CLEAR = "clear"
    MASKED = "masked"
    WITHHELD = "withheld"


class Reason(StrEnum):
    """Why a field was masked or withheld."""

    POLICY = "POLICY"
    CONSENT = "CONSENT"
    OBJECTION = "OBJECTION"
    RESTRICTED = "RESTRICTED"
    SCOPE = "SCOPE"
    ERASED = "ERASED"


# Fields of the structs below may not be reordered, renamed or removed: their sorted names are the leaf's bytes.
# A change is a new VERSION.


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was decided about some fields, for every subject of the record.

    `rule` is the number of the rule that decided, or None for the default deny.
    """

    decision: Verdict
    fields: tuple[str, ...]
    reason: Reason | None = None
    rule: int | None = None


class Deviation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was decided otherwise for some subjects: consent, objection, restriction, row scope, erasure.

    `subjects` are positions in the record's own `subjects`.
    """

    decision: Verdict = Verdict.WITHHELD
    fields: tuple[str, ...]
    reason: Reason
    rule: int | None = None
    subjects: tuple[int, ...]


class Erasure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which key was destroyed: its fingerprint, its leaf, and the key ring that the leaf is counted in.

    `certificate` is the SHA-256, in hexadecimal, of the certificate that was made of it. It came later than the rest:
    where there is none, the key is not there either, so records from before keep their bytes.
    """

    certificate: str | msgspec.UnsetType = msgspec.UNSET
    fingerprint: str
    leaf: int
    ring: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One access: who, why, what of whom, under which rule, and how it ended.

    A record holds no customer id and no personal value. `subjects` are audit references (22 characters of
    base64url, 128 bits), `actor` and `client` are ids of accounts, `case` is a ticket number.

    Raises:
        RecordInvalidError: On construction, when a value is not of the form that the format's page states.
    """

    actor: str
    case: str | None = None
    client: str | None = None
    decisions: tuple[Decision, ...] = ()
    document: str | None = None
    erasure: Erasure | None = None
    exceptions: tuple[Deviation, ...] = ()
    filters: tuple[str, ...] = ()
    kind: Kind
    operation: str | None = None
    outcome: Outcome
    policy: str
    purpose: str | None = None
    roles: tuple[str, ...]
    subjects: tuple[str, ...] = ()
    time: str
    trace: str | None = None
    v: int = VERSION

    def __post_init__(self) -> None:
        """Hold the format's rules that types alone do not."""
        _require(self.v == VERSION, "v: this version is not known")
        _require(_is_time(self.time), "time: not RFC 3339 in UTC with six digits of the second")
        _require(all(a < b for a, b in pairwise(self.roles)), "roles: not sorted, or one twice")
        subjects = ",".join((*self.subjects, ""))
        _require(
            _SUBJECTS.fullmatch(subjects) is not None and len(subjects) == _SUBJECT * len(self.subjects),
            "subjects: an audit reference is 22 characters of base64url",
        )
        _require(self.document is None or _SHA256.fullmatch(self.document) is not None, "document: not a SHA-256")
        _require(self.trace is None or _TRACE.fullmatch(self.trace) is not None, "trace: not a trace id")
        for text in (self.actor, self.case, self.client, self.operation, self.policy, self.purpose):
            _require(text is None or len(text) <= MAX_TEXT, "a text is over 256 characters")
        for deviation in self.exceptions:
            _require(
                all(0 <= subject < len(self.subjects) for subject in deviation.subjects),
                "exceptions: a subject is not in the record",
            )
        _require(
            self.erasure is not None or self.kind is not Kind.ERASURE_DONE,
            "erasure: a finished erasure names the key that it destroyed",
        )
        certificate = msgspec.UNSET if self.erasure is None else self.erasure.certificate
        _require(
            certificate is msgspec.UNSET or _SHA256.fullmatch(certificate) is not None,
            "erasure: the certificate is named by a SHA-256",
        )


def timestamp(moment: datetime) -> str:
    """`moment` as records hold it, such as `2026-05-14T09:30:00.000000Z`; as text it sorts as in time.

    Raises:
        RecordInvalidError: `moment` has no time zone.
    """
    _require(moment.tzinfo is not None, "time: without a time zone")
    return f"{moment.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"


def moment(time: str) -> datetime:
    """The aware UTC time that `timestamp` wrote.

    Raises:
        RecordInvalidError: Not such a text.
    """
    _require(_is_time(time), "time: not RFC 3339 in UTC with six digits of the second")
    return datetime.fromisoformat(time)


def encode_record(record: Record) -> bytes:
    """The record's canonical bytes.

    Raises:
        RecordInvalidError: A text cannot be written as UTF-8.
        RecordTooLargeError: It is over 256 KiB.
    """
    try:
        data = _encoder.encode(record)
    except UnicodeEncodeError:
        raise RecordInvalidError("a text cannot be written as UTF-8") from None
    if len(data) > MAX_RECORD_BYTES:
        raise RecordTooLargeError("a record is over 256 KiB")
    return data


def decode_record(data: bytes) -> Record:
    """The record whose canonical bytes `data` is; no other bytes are accepted.

    Raises:
        RecordInvalidError: Not a record, or another encoding of one.
    """
    try:
        record = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Their messages quote what was read.
        raise RecordInvalidError("not a record of the access log") from None
    if _encoder.encode(record) != data:
        raise RecordInvalidError("not the canonical bytes of a record")
    return record


def _is_time(text: str) -> bool:
    if _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _require(held: bool, message: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not held:
        raise RecordInvalidError(message)


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Record)
