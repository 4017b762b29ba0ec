"""The tamper-evident access log. Knows records and hashes; knows no customers, no policies and no keys of theirs."""

from audit.batch import Fault, FaultKind
from audit.entry import Entry, EntryId, Head, Page, Position, Tombstone
from audit.errors import (
    AuditClosedError,
    AuditCorruptError,
    AuditError,
    AuditForkError,
    AuditUnavailableError,
    EntryIdInvalidError,
    EntryNotFoundError,
    PositionInvalidError,
    ProofInvalidError,
    RecordInvalidError,
    RecordTooLargeError,
    ShardIdInvalidError,
)
from audit.log import AccessLog
from audit.query import AccessQuery
from audit.reader import AccessReader, ShardCheck
from audit.record import (
    Decision,
    Deviation,
    Erasure,
    Kind,
    Outcome,
    Reason,
    Record,
    Verdict,
    decode_record,
    encode_record,
    moment,
    timestamp,
)

__all__ = [
    "AccessLog",
    "AccessQuery",
    "AccessReader",
    "AuditClosedError",
    "AuditCorruptError",
    "AuditError",
    "AuditForkError",
    "AuditUnavailableError",
    "Decision",
    "Deviation",
    "Entry",
    "EntryId",
    "EntryIdInvalidError",
    "EntryNotFoundError",
    "Erasure",
    "Fault",
    "FaultKind",
    "Head",
    "Kind",
    "Outcome",
    "Page",
    "Position",
    "PositionInvalidError",
    "ProofInvalidError",
    "Reason",
    "Record",
    "RecordInvalidError",
    "RecordTooLargeError",
    "ShardCheck",
    "ShardIdInvalidError",
    "Tombstone",
    "Verdict",
    "decode_record",
    "encode_record",
    "moment",
    "timestamp",
]
