"""A small witness (C2SP tlog-witness): it signs a shard's checkpoint only when that follows from the last it signed.

Run it where the log's operators have no hand. It keeps one file for each tree, the last checkpoint it signed, on the
disk before the answer leaves. What one who can write to that directory could achieve: have it sign a tree that does
not follow from what it saw before; nothing else rests on it.
"""

import asyncio
import fcntl
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from audit.checkpoint import MAX_SIZE, Checkpoint, key_name, origin, require_log_name
from audit.errors import (
    NoteError,
    NoteInvalidError,
    ProofInvalidError,
    VerifierKeyInvalidError,
    WitnessCorruptError,
)
from audit.note import MAX_NOTE_BYTES, KeyKind, Note, VerifierKey, decode_base64, parse_note
from audit.signing import SigningKey, verify_note
from audit.tree import verify_consistency

SIZE_TYPE: Final = "text/x.tlog.size"
MAX_PROOF: Final = 63
_MAX_BODY = MAX_NOTE_BYTES + 8 * 1024
_SECONDS = 10.0
_OLD = re.compile(r"old (0|[1-9]\d{0,12})", re.ASCII)
_ORIGIN = re.compile(r"confide\.audit/([^/]+)/([0-9a-f]{12})", re.ASCII)
_HASH = 32


@dataclass(frozen=True, slots=True)
class Submission:
    """What is posted to a witness: the size it signed last, the proof from there, and the checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    @classmethod
    def parse(cls, body: bytes) -> "Submission":
        """The submission that a request's body is.

        Raises:
            NoteInvalidError: Not one.
        """
        head, found, rest = body.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            first, lines = "", []
        old = _OLD.fullmatch(first)
        proof = tuple(decode_base64(line) or b"" for line in lines)
        if not found or old is None or len(proof) > MAX_PROOF or any(len(each) != _HASH for each in proof):
            raise NoteInvalidError("a submission is the old size, a proof, an empty line and a checkpoint")
        return cls(int(old[1]), proof, parse_note(rest))


def log_of(key: VerifierKey) -> str:
    """The name of the log that a key signs for.

    Raises:
        VerifierKeyInvalidError: It is not the key of a log.
    """
    prefix, slash, log = key.name.partition("/")
    if f"{prefix}{slash}{log}" != key_name(log):
        raise VerifierKeyInvalidError("this is not the public key of an access log")
    return log


class WitnessState:
    """The last checkpoint signed for each tree, one file each, in a directory that one process at a time uses."""

    def __init__(self, directory: Path) -> None:
        """Take the directory.

        Raises:
            WitnessCorruptError: Another witness runs on it: two could sign two trees.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise WitnessCorruptError("another witness runs on this directory: give each one of its own") from None

    def read(self, name: str) -> Checkpoint | None:
        """The last checkpoint signed for a tree.

        Raises:
            WitnessCorruptError: Its file is damaged; a witness that forgot must not sign.
        """
        try:
            checkpoint = Checkpoint.parse(self._path(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, NoteError, UnicodeDecodeError):
            raise WitnessCorruptError("a file of the witness is damaged") from None
        if checkpoint.origin != name:
            raise WitnessCorruptError("a file of the witness is another tree's")
        return checkpoint

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; on the disk before this returns."""
        path = self._path(checkpoint.origin)
        new = path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(checkpoint.text())
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let another process have the directory."""
        os.close(self._lock)

    def _path(self, name: str) -> Path:
        return self._directory / f"{sha256(name.encode()).hexdigest()}.checkpoint"


class Witness:
    """Signs what follows from what it signed."""

    def __init__(
        self,
        state: WitnessState,
        key: SigningKey,
        logs: Mapping[str, Sequence[VerifierKey]],
        now: Callable[[], datetime],
    ) -> None:
        """Nothing is read yet.

        Args:
            state: What it signed before.
            key: Its own key, for cosignatures.
            logs: The logs that it witnesses, by name, with the keys that may sign for each.
            now: The present, with a time zone.

        Raises:
            ValueError: The key is not for cosignatures.
            LogNameInvalidError: Not the name of a log.
        """
        if key.kind is not KeyKind.COSIGNATURE:
            raise ValueError("a witness signs with a key for cosignatures")
        self._state = state
        self._key = key
        self._logs = {require_log_name(log): tuple(keys) for log, keys in logs.items()}
        self._now = now
        self._one = asyncio.Lock()

    async def add_checkpoint(self, body: bytes) -> Response:
        """The answer to a submission; what is wrong is checked in the specification's order."""
        try:
            submission = Submission.parse(body)
            checkpoint = Checkpoint.parse(submission.note.text)
        except NoteInvalidError as error:
            return _text(400, str(error))
        found = _ORIGIN.fullmatch(checkpoint.origin)
        if found is None or found[1] not in self._logs or checkpoint.origin != origin(found[1], found[2]):
            return _text(404, "this witness does not know the log")
        try:
            verify_note(submission.note, self._logs[found[1]])
        except NoteError as error:
            return _text(403, str(error))
        if not submission.old <= checkpoint.size <= MAX_SIZE:
            return _text(400, "the old size is larger than the checkpoint's")
        async with self._one:
            return await asyncio.to_thread(self._follow, submission, checkpoint)

    def _follow(self, submission: Submission, checkpoint: Checkpoint) -> Response:
        last = self._state.read(checkpoint.origin)
        size = 0 if last is None else last.size
        if submission.old != size:
            return _size(size)
        if last is not None and last.size == checkpoint.size and last.root != checkpoint.root:
            return _size(size)
        if not submission.old and submission.proof:
            return _text(422, "from nothing there is no proof")
        try:
            if last is not None and size:
                verify_consistency(
                    old_size=size,
                    old_root=last.root,
                    new_size=checkpoint.size,
                    new_root=checkpoint.root,
                    proof=submission.proof,
                )
        except ProofInvalidError as error:
            return _text(422, str(error))
        if checkpoint != last:
            self._state.write(checkpoint)
        return PlainTextResponse(str(self._key.cosign(submission.note.text, int(self._now().timestamp()))))


def witness_app(
    directory: Path,
    *,
    key: SigningKey,
    logs: Mapping[str, Sequence[VerifierKey]],
    now: Callable[[], datetime],
) -> Starlette:
    """The witness as an ASGI app: `POST /add-checkpoint`.

    Args:
        directory: Where it keeps what it signed; created where missing, and locked while the process lives.
        key: Its key, of kind COSIGNATURE.
        logs: The names of the logs it witnesses, each with the keys that may sign for it.
        now: The present, with a time zone.

    Raises:
        WitnessCorruptError: Another witness runs on the directory.
        ValueError: The key is of another kind.
        LogNameInvalidError: Not the name of a log.
    """
    witness = Witness(WitnessState(directory), key, logs, now)

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await _body(request)
        except (TimeoutError, ValueError):
            return _text(400, "the request is too large, or took too long to arrive")
        try:
            return await witness.add_checkpoint(body)
        except WitnessCorruptError as error:
            return _text(500, str(error))

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])


async def _body(request: Request) -> bytes:
    """The request's body.

    Raises:
        TimeoutError: It did not arrive in time.
        ValueError: It is too large.
    """
    body = bytearray()
    async with asyncio.timeout(_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                raise ValueError
    return bytes(body)


def _text(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)


def _size(size: int) -> Response:
    """A conflict: what the witness has signed is of this size."""
    return Response(f"{size}\n", 409, media_type=SIZE_TYPE)
