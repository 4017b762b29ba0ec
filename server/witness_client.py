"""Asks an HTTP witness (C2SP tlog-witness) to sign checkpoints of the log. The `Cosigner` of audit/cosigning.py.

A signature is verified. Only signatures are: that the witness has seen more, or another tree, anybody on the way could
say as well, so it is passed on only from where TLS or the machine itself says who answers.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from audit.checkpoint import Checkpoint
from audit.cosigning import Consistency
from audit.errors import (
    AuditBehindWitnessError,
    AuditError,
    AuditInconsistentError,
    NoteError,
    WitnessRefusedError,
    WitnessUnreachableError,
)
from audit.note import KeyKind, Note, Signature, VerifierKey, encode_base64, parse_note
from audit.signing import verify_note
from server.loopback import is_loopback

_SIZE = re.compile(rb"(0|[1-9]\d{0,12})\n")
_MAX_ANSWER = 64 * 1024
_OK, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 200, 403, 404, 409, 422
_ATTEMPTS = 4
_HEADERS = {"content-type": "text/plain", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content: bytes


class WitnessClient:
    """One witness, known by its address and its public key."""

    def __init__(self, url: str, key: VerifierKey, client: httpx.AsyncClient) -> None:
        """Nothing is sent yet.

        Args:
            url: The submission prefix.
            key: The witness's key, of kind COSIGNATURE.
            client: With a timeout for each read; whoever calls bounds the whole.

        Raises:
            ValueError: The key is not for cosignatures.
        """
        if key.kind is not KeyKind.COSIGNATURE:
            raise ValueError("a witness signs with a key for cosignatures")
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        parts = urlsplit(url)
        self._believed = parts.scheme == "https" or is_loopback(parts.hostname)
        self._key = key
        self._client = client
        self._sizes: dict[str, int] = {}

    async def cosign(self, checkpoint: Note, consistency: Consistency) -> tuple[Signature, ...]:
        """The witness's signature over the checkpoint, verified.

        Args:
            checkpoint: Signed by the log.
            consistency: Proves the checkpoint's tree to have grown out of the one of the size given to it.

        Raises:
            AuditBehindWitnessError: The witness has signed a larger tree.
            AuditInconsistentError: It has signed another tree.
            WitnessRefusedError: It does not know the log, or not its key.
            WitnessUnreachableError: It does not answer, or not as this witness would.
        """
        wanted = Checkpoint.parse(checkpoint.text)
        old = min(self._sizes.get(wanted.origin, 0), wanted.size)
        for _ in range(_ATTEMPTS):  # another process may be submitting, too
            answer = await self._post(old, await consistency(old), checkpoint)
            if answer.status == _OK:
                signature = self._verified(checkpoint, answer)
                self._sizes[wanted.origin] = wanted.size
                return (signature,)
            if answer.status != _CONFLICT:
                raise self._refusal(answer.status)
            signed = _SIZE.fullmatch(answer.content)
            if signed is None:
                raise WitnessUnreachableError("the witness did not answer as one does")
            if int(signed[1]) > wanted.size:
                raise self._contradiction(
                    AuditBehindWitnessError(
                        "the database holds less of a shard than an HTTP witness has signed: restore a newer backup"
                    )
                )
            if int(signed[1]) == old == wanted.size:
                raise self._contradiction(
                    AuditInconsistentError("an HTTP witness has signed another tree of this size for a shard")
                )
            old = int(signed[1])
        raise WitnessUnreachableError("the witness has signed something else every time: try again")

    async def _post(self, old: int, proof: tuple[bytes, ...], checkpoint: Note) -> _Answer:
        lines = [f"old {old}", *map(encode_base64, proof)]
        body = "".join(f"{line}\n" for line in lines).encode() + b"\n" + checkpoint.to_bytes()
        content = bytearray()
        try:
            async with self._client.stream("POST", self._url, content=body, headers=_HEADERS) as answer:
                if "content-encoding" in answer.headers:  # it may unpack to anything
                    raise WitnessUnreachableError("the witness did not answer as one does")
                async for chunk in answer.aiter_bytes():
                    content += chunk
                    if len(content) > _MAX_ANSWER:
                        raise WitnessUnreachableError("the witness did not answer as one does")
        except httpx.HTTPError as error:
            raise WitnessUnreachableError(f"the witness does not answer: {type(error).__name__}") from None
        return _Answer(answer.status_code, bytes(content))

    def _verified(self, checkpoint: Note, answer: _Answer) -> Signature:
        """The answer's signature by the witness's key; others are passed over."""
        try:
            note = parse_note(f"{checkpoint.text}\n".encode() + answer.content)
            verify_note(note, [self._key])
        except NoteError as error:
            raise WitnessUnreachableError(f"the witness did not answer as this one does: {error}") from None
        return next(each for each in note.signatures if (each.name, each.key_id) == (self._key.name, self._key.id))

    def _refusal(self, status: int) -> AuditError:
        if status == _UNPROCESSABLE:
            return self._contradiction(
                AuditInconsistentError("an HTTP witness has signed a tree of which this one did not grow")
            )
        if status == _NOT_FOUND:
            return WitnessRefusedError("the witness does not know this log: give it the log's name and public key")
        if status == _FORBIDDEN:
            return WitnessRefusedError("the witness does not know the key that signs: give it the public key")
        return WitnessUnreachableError(f"the witness answered with status {status}")

    def _contradiction(self, error: AuditError) -> AuditError:
        if self._believed:
            return error
        return WitnessUnreachableError(
            f"{error}, or so somebody says: over plain HTTP anybody can. Give the witness an https address"
        )
