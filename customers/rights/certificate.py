"""The certificate of an erasure: what was destroyed, when, and what is kept under which law. Values in, values out.

Its bytes are JSON after RFC 8785, and their SHA-256 stands in the access log's record of the erasure's end. So whoever
has the certificate and the receipt of that record can prove, with the log's public key alone, that the erasure was
certified then and so. There is no customer in it, and nothing of one. The format has a page,
docs/formats/erasure-certificate.md; fields may not be renamed, reordered or removed, and a change is a new version.
"""

import contextlib
import hashlib
from collections.abc import Iterable

import msgspec

from audit import (
    Kind,
    NoteError,
    ProofInvalidError,
    Receipt,
    VerifierKey,
    decode_record,
    timestamp,
)
from audit.errors import RecordInvalidError
from customers.errors import CertificateInvalidError, CertificateNotProvedError
from vault import Erasure

VERSION = "confide.erasure.certificate/v1"
MAX_BYTES = 256 * 1024
_ORIGIN = "confide.audit/{}/"


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of one kind of record, under which law, until when."""

    fields: tuple[str, ...]
    law: str
    object: str
    records: int
    rule: str
    until: str


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When one step was done."""

    at: str
    step: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a certificate says.

    Attributes:
        begun: When the erasure was begun.
        deployment: The name of the access log that has the record.
        finished: When it was finished; nothing could decrypt any more from the step `followed` on.
        id: By which it can be fetched; random.
        keys: The fingerprints of the keys that were destroyed: one for each profile that was the person's.
        kept: What is kept, sealed under keys of their own.
        policy: The version of the policy that said so.
        reached: Every collection and kind of file that was looked at.
        recipients: Who is to be told.
        steps: When each step was done, in their order.
        version: Of this format.
    """

    begun: str
    deployment: str
    finished: str
    id: str
    kept: tuple[Kept, ...] = ()
    keys: tuple[str, ...]
    policy: str
    reached: tuple[str, ...]
    recipients: tuple[str, ...] = ()
    steps: tuple[Step, ...]
    version: str = VERSION


def certificate_id(erasure: Erasure) -> str:
    """The id of an erasure's certificate: 130 random bits, which tell nothing of whom it is about."""
    return f"crt_{erasure.reference}"


def steps_of(erasure: Erasure) -> tuple[Step, ...]:
    """When each step of an erasure was done; the last one is done once the certificate is there."""
    return tuple(Step(at=timestamp(at), step=step.value) for step, at in erasure.times.items())


def encode_certificate(certificate: Certificate) -> bytes:
    """Its canonical bytes."""
    return _encoder.encode(certificate)


def digest(data: bytes) -> str:
    """What the access log's record says of a certificate: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def decode_certificate(data: bytes) -> Certificate:
    """The certificate whose canonical bytes `data` is; no other bytes are accepted.

    Raises:
        CertificateInvalidError: Not a certificate, or another encoding of one.
    """
    certificate = None
    if len(data) <= MAX_BYTES:
        # Raised below, as the message quotes what was read.
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            certificate = _decoder.decode(data)
    if certificate is None or certificate.version != VERSION or _encoder.encode(certificate) != data:
        raise CertificateInvalidError
    return certificate


def verify_certificate(data: bytes, receipt: Receipt, keys: Iterable[VerifierKey]) -> Certificate:
    """The certificate, if the receipt proves that the access log has the end of this very erasure.

    Args:
        data: The certificate's bytes.
        receipt: Of the record of the erasure's end.
        keys: The log's public keys that are trusted.

    Raises:
        CertificateInvalidError: Not a certificate.
        CertificateNotProvedError: The receipt proves nothing, or something else.
    """
    certificate = decode_certificate(data)
    try:
        checkpoint = receipt.verify(keys)
        record = decode_record(receipt.record)
    except (NoteError, ProofInvalidError, RecordInvalidError) as error:
        raise CertificateNotProvedError(f"the receipt is not good: {error}") from error
    if record.kind is not Kind.ERASURE_DONE or record.erasure is None:
        raise CertificateNotProvedError("the receipt is of another kind of entry")
    if record.erasure.certificate != digest(data):
        raise CertificateNotProvedError("the receipt is of another erasure, or the certificate was changed")
    if not checkpoint.origin.startswith(_ORIGIN.format(certificate.deployment)):
        raise CertificateNotProvedError("the receipt is of another log than the certificate names")
    return certificate


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Certificate)
