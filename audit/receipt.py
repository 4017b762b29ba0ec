"""A receipt: the proof that an entry is in the log (C2SP tlog-proof), to be checked offline. Values in, values out.

The extra data are the record's canonical bytes, so that a receipt alone tells what was logged.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from audit.checkpoint import MAX_SIZE, Checkpoint
from audit.errors import NoteInvalidError, NoteTooLargeError, ReceiptInvalidError
from audit.note import MAX_NOTE_BYTES, Note, VerifierKey, decode_base64, encode_base64, parse_note
from audit.record import MAX_RECORD_BYTES
from audit.signing import verify_note
from audit.tree import leaf_hash, verify_inclusion

TITLE = "c2sp.org/tlog-proof@v1"
MAX_RECEIPT_BYTES = 4 * MAX_RECORD_BYTES // 3 + MAX_NOTE_BYTES
_MAX_PROOF = 63
_HASH = 32
_HEAD = re.compile(r"extra ([A-Za-z0-9+/=]*)\nindex (0|[1-9]\d{0,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A record's bytes, its place in a shard's tree, the path from it to the root, and the signed checkpoint."""

    record: bytes
    index: int
    proof: tuple[bytes, ...]
    note: Note

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that the proof leads to.

        Raises:
            CheckpointInvalidError: The note is not one.
        """
        return Checkpoint.parse(self.note.text)

    def to_bytes(self) -> bytes:
        """The file."""
        lines = (TITLE, f"extra {encode_base64(self.record)}", f"index {self.index}", *map(encode_base64, self.proof))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.note.to_bytes()

    @classmethod
    def parse(cls, data: bytes) -> "Receipt":
        """The receipt that a file is; nothing of it is verified yet.

        Raises:
            NoteTooLargeError: It is larger than any receipt.
            ReceiptInvalidError: Not a receipt.
        """
        if len(data) > MAX_RECEIPT_BYTES:
            raise NoteTooLargeError("a receipt is larger than any record's")
        head, found, rest = data.partition(b"\n\n")
        try:
            title, *lines = head.decode("ascii").split("\n")
            note = parse_note(rest)
            Checkpoint.parse(note.text)
        except (UnicodeDecodeError, NoteInvalidError):
            raise ReceiptInvalidError("a receipt ends with a signed checkpoint") from None
        parts = _HEAD.fullmatch("\n".join(lines[:2]))
        record = decode_base64(parts[1]) if parts else None
        proof = tuple(decode_base64(line) or b"" for line in lines[2:])
        if (
            title != TITLE or not found or parts is None or record is None
            or int(parts[2]) > MAX_SIZE or len(proof) > _MAX_PROOF or any(len(each) != _HASH for each in proof)
        ):  # fmt: skip
            raise ReceiptInvalidError("a receipt is a title, the record, its index and a proof, in this order")
        return cls(record, int(parts[2]), proof, note)

    def verify(self, keys: Iterable[VerifierKey]) -> Checkpoint:
        """The checkpoint, if one of `keys` signed it and the record is in its tree at `index`.

        Raises:
            NoteError: It is not signed by any of them, or not as it should be.
            ProofInvalidError: The proof does not lead from the record to the checkpoint.
        """
        verify_note(self.note, keys)
        checkpoint = self.checkpoint
        verify_inclusion(
            leaf=leaf_hash(self.record),
            index=self.index,
            size=checkpoint.size,
            root=checkpoint.root,
            proof=self.proof,
        )
        return checkpoint
