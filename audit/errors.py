"""What can go wrong with the access log.

AuditError
├── AuditUnavailableError
│   └── AuditClosedError
├── AuditCorruptError
├── AuditForkError
├── RecordInvalidError
│   └── RecordTooLargeError
├── ProofInvalidError
├── NoteError
│   ├── NoteInvalidError
│   │   ├── NoteTooLargeError
│   │   ├── NoteSignedTwiceError
│   │   ├── CheckpointInvalidError
│   │   ├── RosterInvalidError
│   │   ├── KeyChangeInvalidError
│   │   └── ReceiptInvalidError
│   ├── VerifierKeyInvalidError
│   │   └── VerifierKeyKindError
│   ├── SignatureMissingError
│   └── SignatureInvalidError
├── SigningKeyError
│   ├── SigningKeyMissingError
│   ├── SigningKeyExistsError
│   ├── SigningKeyPermissionsError
│   ├── SigningKeyKindError
│   ├── SigningKeyForeignError
│   ├── SigningKeyCorruptError
│   └── SigningKeyStaleError
├── AuditBehindWitnessError
├── AuditInconsistentError
├── WitnessError
│   ├── WitnessMissingError
│   ├── WitnessNewError
│   ├── WitnessForeignError
│   ├── WitnessCorruptError
│   ├── WitnessLackingError
│   ├── WitnessUnreadableError
│   ├── WitnessUnwritableError
│   ├── WitnessUnreachableError
│   └── WitnessRefusedError
├── RosterContendedError
├── LogNameInvalidError
├── EntryNotFoundError
├── EntryIdInvalidError
├── ShardIdInvalidError
├── BundleInvalidError
│   └── BundleTooLargeError
├── NothingSignedError
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


class NoteError(AuditError):
    """Something about a signed note."""


class NoteInvalidError(NoteError):
    """Not a signed note, or one whose text is not what it should be."""


class NoteTooLargeError(NoteInvalidError):
    """A note over the size limit, or with too many signatures; nothing of it was read."""


class NoteSignedTwiceError(NoteInvalidError):
    """A note with two signatures of one key."""


class CheckpointInvalidError(NoteInvalidError):
    """Not the text of a checkpoint."""


class RosterInvalidError(NoteInvalidError):
    """Not the text of a roster, or one that does not follow the roster before it."""


class KeyChangeInvalidError(NoteInvalidError):
    """Not the text of a key change, or one that does not follow from the key before it."""


class ReceiptInvalidError(NoteInvalidError):
    """Not a receipt: a proof that an entry is in the log."""


class VerifierKeyInvalidError(NoteError):
    """Not the text of a verifier key."""


class VerifierKeyKindError(VerifierKeyInvalidError):
    """A verifier key for another kind of signature than is needed here."""


class SignatureMissingError(NoteError):
    """No signature of a key that is trusted here."""


class SignatureInvalidError(NoteError):
    """A signature in the name of a trusted key which that key did not make."""


class SigningKeyError(AuditError):
    """Something about the log's signing key."""


class SigningKeyMissingError(SigningKeyError):
    """There is no signing key file."""


class SigningKeyExistsError(SigningKeyError):
    """There is a signing key file already; one is never overwritten by a new one."""


class SigningKeyPermissionsError(SigningKeyError):
    """The signing key file may be read or written by others, or may not be read by us."""


class SigningKeyKindError(SigningKeyError):
    """The file is not a signing key file: a key or a file of another kind."""


class SigningKeyForeignError(SigningKeyError):
    """The signing key is another log's, or was sealed under another root key."""


class SigningKeyCorruptError(SigningKeyError):
    """The signing key file is damaged."""


class SigningKeyStaleError(SigningKeyError):
    """The signing key is not the one that the log's chain of key changes leads to."""


class AuditBehindWitnessError(AuditError):
    """The database holds less of the log than the witness has seen: an old backup, or a log cut off."""


class AuditInconsistentError(AuditError):
    """The database holds another log than the one that was signed before."""


class WitnessError(AuditError):
    """The witness cannot do its part; the log itself is as it was."""


class WitnessMissingError(WitnessError):
    """There is no directory at the witness's path."""


class WitnessNewError(WitnessError):
    """The directory has never been a witness of this log, or was emptied; the log has rosters already."""


class WitnessForeignError(WitnessError):
    """The directory is the witness of another log."""


class WitnessCorruptError(WitnessError):
    """The witness holds a file that is no roster or key change of this log, or lacks one."""


class WitnessLackingError(WitnessError):
    """The witness lacks rosters that were signed: it could not be written, was emptied, or is an older copy."""


class WitnessUnreadableError(WitnessError):
    """The witness's files may not be read."""


class WitnessUnwritableError(WitnessError):
    """The witness's directory cannot be written to: read-only, full, or not ours."""


class WitnessUnreachableError(WitnessError):
    """An HTTP witness did not answer, or not as a witness does."""


class WitnessRefusedError(WitnessError):
    """An HTTP witness does not know this log, or not its key."""


class RosterContendedError(AuditError):
    """Other processes wrote rosters each time this one tried; try again."""


class LogNameInvalidError(AuditError):
    """Not the name of a log."""


class BundleInvalidError(AuditError):
    """The file is not a bundle, or not a whole one; `member` and `offset` say where."""

    def __init__(self, message: str, member: str, offset: int) -> None:
        super().__init__(f"{message} ({member}, byte {offset})")
        self.member = member
        self.offset = offset


class BundleTooLargeError(BundleInvalidError):
    """A part of the bundle is larger than the format allows."""


class NothingSignedError(AuditError):
    """There is no signed roster yet, so an export could prove nothing: make a checkpoint first."""
