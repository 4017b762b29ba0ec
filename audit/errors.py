"""What can go wrong with the access log.

AuditError
├── AuditUnavailableError
│   └── AuditClosedError
├── AuditCorruptError
├── AuditForkError
├── RecordInvalidError
│   └── RecordTooLargeError
├── ProofInvalidError
├── EntryNotFoundError
├── EntryIdInvalidError
├── ShardIdInvalidError
└── PositionInvalidError
"""


class AuditError(Exception):
    """Anything this package raises; its text never holds a stored value or what the caller gave."""


class AuditUnavailableError(AuditError):
    """The database did not answer, or did not confirm a record: nothing may leave that rests on it."""


class AuditClosedError(AuditUnavailableError):
    """The log is closing or closed, and takes no more records."""


class AuditCorruptError(AuditError):
    """What is stored cannot have been written by this log; the message names the batch."""


class AuditForkError(AuditError):
    """Something else wrote where this log's next batch belongs: two writers share a shard."""


class RecordInvalidError(AuditError):
    """Not a record of this format, or not its canonical bytes."""


class RecordTooLargeError(RecordInvalidError):
    """A record over the size limit; an operation over very many customers writes several records."""


class ProofInvalidError(AuditError):
    """The proof does not show what it claims."""


class EntryNotFoundError(AuditError):
    """There is no such entry."""


class EntryIdInvalidError(AuditError):
    """Not the id of an entry."""


class ShardIdInvalidError(AuditError):
    """Not a shard id: twelve lower-case hexadecimal digits."""


class PositionInvalidError(AuditError):
    """Not a position that a search of this log gave out."""
