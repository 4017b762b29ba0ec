"""Signed notes after C2SP signed-note: text, a blank line, signature lines. Values in, values out; no keys, no crypto.

Stricter than the specification where it leaves a choice: no key may sign twice, base64 is canonical, and the number of
signatures and of bytes is bounded before anything is read. The format has a page, docs/formats/signed-note.md.
"""

import base64
import binascii
import re
from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256

from audit.errors import (
    NoteInvalidError,
    NoteSignedTwiceError,
    NoteTooLargeError,
    VerifierKeyInvalidError,
    VerifierKeyKindError,
)

MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 32
_MAX_NAME = 256
_KEY_ID = 4
_PUBLIC_KEY = 32
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_DASH = "\N{EM DASH} "
_VKEY = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", re.ASCII)


class KeyKind(IntEnum):
    """What a key signs, as the specification numbers it."""

    ED25519 = 1
    """The note's text."""
    COSIGNATURE = 4
    """A checkpoint's text and a time, by a witness (C2SP tlog-cosignature, with Ed25519)."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose, by the key with which id, and the bytes after the id."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.value)}\n"

    @classmethod
    def parse(cls, line: str) -> "Signature":
        """The signature that a line, without its line end, writes.

        Raises:
            NoteInvalidError: Not a signature line.
        """
        parts = line.removeprefix(_DASH).split(" ")
        if not line.startswith(_DASH) or len(parts) != 2 or not is_key_name(parts[0]):  # noqa: PLR2004 - name, value
            raise NoteInvalidError("a signature line is a dash, a key's name and base64")
        data = decode_base64(parts[1])
        if data is None or len(data) <= _KEY_ID:
            raise NoteInvalidError("a signature is the base64 of a key's id and at least one byte more")
        return cls(parts[0], data[:_KEY_ID], data[_KEY_ID:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends with a line end, and its signatures. Trust nothing of it before they are verified."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def to_bytes(self) -> bytes:
        """The note as it is stored and sent."""
        return f"{self.text}\n{''.join(map(str, self.signatures))}".encode()

    def signed(self, *signatures: Signature) -> "Note":
        """The note with these signatures behind those it has."""
        return replace(self, signatures=(*self.signatures, *signatures))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under. As text, the `vkey` of C2SP: `name+id+base64`."""

    name: str
    public: bytes
    kind: KeyKind = KeyKind.ED25519

    def __post_init__(self) -> None:
        """Hold what the format says of names and keys."""
        if not is_key_name(self.name) or len(self.public) != _PUBLIC_KEY:
            raise VerifierKeyInvalidError("a verifier key has a name without spaces or plus, and 32 bytes")

    @property
    def id(self) -> bytes:
        """Four bytes that, with the name, tell which signatures are this key's. Not a commitment to the key."""
        return sha256(self.name.encode() + b"\n" + bytes((self.kind,)) + self.public).digest()[:_KEY_ID]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode_base64(bytes((self.kind,)) + self.public)}"

    @classmethod
    def parse(cls, text: str, kind: KeyKind = KeyKind.ED25519) -> "VerifierKey":
        """The verifier key of this kind that `text` writes; white space around it is allowed.

        Raises:
            VerifierKeyInvalidError: Not a verifier key.
            VerifierKeyKindError: One of another kind.
        """
        found = _VKEY.fullmatch(text.strip())
        data = decode_base64(found[3]) if found else None
        if found is None or not data:
            raise VerifierKeyInvalidError("a verifier key is a name, eight digits and base64, with plus between them")
        if data[0] != kind:
            raise VerifierKeyKindError(f"a verifier key of kind {int(kind)} is needed; this is of another kind")
        key = cls(found[1], data[1:], kind)
        if key.id.hex() != found[2]:
            raise VerifierKeyInvalidError("the id in the verifier key is not the key's")
        return key


def parse_note(data: bytes, *, max_bytes: int = MAX_NOTE_BYTES) -> Note:
    """The note that `data` is, all of it.

    Raises:
        NoteTooLargeError: It has more than `max_bytes` bytes or 32 signatures.
        NoteSignedTwiceError: Two signatures name one key.
        NoteInvalidError: Not a signed note.
    """
    if len(data) > max_bytes:
        raise NoteTooLargeError(f"a note is over {max_bytes} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise NoteInvalidError("a note is not UTF-8") from None
    text, found, tail = whole.rpartition("\n\n")
    if _CONTROL.search(whole) or not found or not text or not tail.endswith("\n"):
        raise NoteInvalidError("a note is text, a blank line and signature lines, without control characters")
    if tail.count("\n") > MAX_SIGNATURES:
        raise NoteTooLargeError(f"a note has over {MAX_SIGNATURES} signatures")
    signatures = tuple(Signature.parse(line) for line in tail[:-1].split("\n"))
    if len({(each.name, each.key_id) for each in signatures}) < len(signatures):
        raise NoteSignedTwiceError("a note has two signatures of one key")
    return Note(text + "\n", signatures)


def is_key_name(name: str) -> bool:
    """Whether a key may have this name."""
    return (
        0 < len(name) <= _MAX_NAME
        and "+" not in name
        and not any(each.isspace() for each in name)
        and not _CONTROL.search(name)
    )


def encode_base64(data: bytes) -> str:
    """Standard base64, padded."""
    return base64.b64encode(data).decode()


def decode_base64(text: str) -> bytes | None:
    """What `encode_base64` wrote; None for any other text, another spelling of the same bytes included."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if encode_base64(data) == text else None
