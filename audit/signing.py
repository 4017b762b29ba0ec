"""Ed25519 (RFC 8032): the signatures of notes. The only file of this package that imports `cryptography`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.checkpoint import KeyChange
from audit.errors import KeyChangeInvalidError, SignatureInvalidError, SignatureMissingError
from audit.note import KeyKind, Note, Signature, VerifierKey

SEED_SIZE = 32
_SIGNATURE = 64
_SECONDS = Struct(">Q")


def verify_signature(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the Ed25519 key `public` (32 bytes) signed `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Those of `keys` that signed the note, at least one. Signatures of other keys are passed over.

    Raises:
        SignatureInvalidError: A signature in the name of one of the keys is not its.
        SignatureMissingError: None of the keys signed.
    """
    known = {(key.name, key.id): key for key in keys}
    signed: list[VerifierKey] = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not _verified(key, note.text, signature.value):
            raise SignatureInvalidError("a signature is not of the key that it names")
        signed.append(key)
    if not signed:
        raise SignatureMissingError("the note is not signed by a key that is trusted here")
    return tuple(signed)


def verify_key_change(note: Note, trusted: VerifierKey) -> KeyChange:
    """The key change that the note is, from the key `trusted` to its `new`; both have signed it.

    Raises:
        KeyChangeInvalidError: Not a key change, or from another key.
        SignatureMissingError: One of the two did not sign.
        SignatureInvalidError: A signature in the name of one of them is not its.
    """
    change = KeyChange.parse(note.text)
    if change.old != trusted:
        raise KeyChangeInvalidError("the key change is not from the key that is trusted")
    if len(verify_note(note, (change.old, change.new))) != 2:  # noqa: PLR2004 - both
        raise SignatureMissingError("a key change is signed by the old key and by the new")
    return change


def cosignature_time(signature: Signature) -> int:
    """The POSIX time that a verified cosignature states."""
    return int(_SECONDS.unpack(signature.value[: _SECONDS.size])[0])


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with the name it signs under. Shows no secret, and is never pickled."""

    name: str
    kind: KeyKind
    _key: Ed25519PrivateKey

    @classmethod
    def from_seed(cls, name: str, seed: bytes, kind: KeyKind = KeyKind.ED25519) -> "SigningKey":
        """The key of a 32-byte seed (the private key of RFC 8032)."""
        return cls(name, kind, Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def generate(cls, name: str, random: Callable[[int], bytes], kind: KeyKind = KeyKind.ED25519) -> "SigningKey":
        """A new key."""
        return cls.from_seed(name, random(SEED_SIZE), kind)

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        return VerifierKey(self.name, self._key.public_key().public_bytes_raw(), self.kind)

    @property
    def seed(self) -> bytes:
        """The secret."""
        return self._key.private_bytes_raw()

    def sign(self, text: str) -> Signature:
        """The signature line over a note's text."""
        if self.kind is not KeyKind.ED25519:
            raise ValueError("a witness's key signs with a time")
        return Signature(self.name, self.verifier.id, self._key.sign(text.encode()))

    def cosign(self, text: str, seconds: int) -> Signature:
        """A witness's signature line over a checkpoint's text, as of a POSIX time (C2SP tlog-cosignature)."""
        if self.kind is not KeyKind.COSIGNATURE:
            raise ValueError("only a witness's key cosigns")
        value = _SECONDS.pack(seconds) + self._key.sign(_cosigned(text, seconds))
        return Signature(self.name, self.verifier.id, value)

    def __repr__(self) -> str:
        return f"<signing key {self.verifier}>"

    def __reduce_ex__(self, _protocol: object) -> Never:
        raise TypeError("a signing key is never copied or pickled")


def _verified(key: VerifierKey, text: str, value: bytes) -> bool:
    if key.kind is KeyKind.ED25519:
        return len(value) == _SIGNATURE and verify_signature(key.public, text.encode(), value)
    if len(value) != _SECONDS.size + _SIGNATURE:
        return False
    seconds = int(_SECONDS.unpack(value[: _SECONDS.size])[0])
    return seconds < 1 << 63 and verify_signature(key.public, _cosigned(text, seconds), value[_SECONDS.size :])


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
