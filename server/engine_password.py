"""The password of an embedded engine: made once, kept in a file beside its data, asked for ever after.

The engine gets its accounts only while it asks nobody who they are, so there is one start in which it does not. That
start is on a port nobody was told, over data that hold nothing yet, lasts for one connection (well under a second) and
ends with a kill. It counts only if this connection was the only one the engine ever had: whoever else came is noticed,
and what they may have left is not used.
"""

import asyncio
import contextlib
import itertools
import os
import secrets
import stat
import struct
from pathlib import Path
from typing import Any, Final

import bson

from server.errors import EngineStartError

USER: Final = "confide"
_PRIVATE: Final = 0o600
# OP_MSG: length, request, answered request, opcode; flags; the kind of its one section. Little-endian.
_HEADER: Final = struct.Struct("<iiii")
_OP_MSG: Final = 2013
_BEFORE_DOCUMENT: Final = bytes(5)
_ANSWER_SECONDS: Final = 20.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def new_password() -> str:
    """256 random bits, in characters that need no escaping in a URI."""
    return secrets.token_urlsafe(32)


def read_password(path: Path) -> str | None:
    """The password in this file; None where there is no file.

    Raises:
        EngineStartError: Others than its owner can reach the file, or it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EngineStartError(f"the embedded engine's password, {path}, cannot be read") from error
    with os.fdopen(descriptor, encoding="ascii") as file:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & ~_PRIVATE:
            raise EngineStartError(
                f"others than its owner can reach the embedded engine's password, {path}: remove it, and the next "
                "start makes a new one"
            )
        return file.read()


def write_password(path: Path, password: str) -> None:
    """Put the password there, whole or not at all, readable by its owner only."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


async def only_account(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str) -> None:
    """Make `USER` with this password the only account of an engine, over the first connection it ever had.

    Raises:
        EngineStartError: Somebody else connected too, or the engine refused.
    """
    ask = _Asking(reader, writer)
    for user in (await ask("usersInfo", 1))["users"]:
        await ask("dropUser", user["user"])
    await ask("createUser", USER, pwd=password, roles=["root"], mechanisms=["SCRAM-SHA-256"])
    # The last thing that is asked: the engine is killed next.
    if (await ask("serverStatus", 1))["connections"]["totalCreated"] != 1:
        raise EngineStartError(
            "somebody else on this machine connected to the embedded engine while its password was set: start again"
        )


class _Asking:
    """Commands over one connection, one at a time. A driver would open several, and they could not be told apart."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)

    async def __call__(self, command: str, argument: object, **options: object) -> dict[str, Any]:
        document = bson.encode({command: argument, **options, "$db": "admin"})
        length = _HEADER.size + len(_BEFORE_DOCUMENT) + len(document)
        self._writer.write(_HEADER.pack(length, next(self._numbers), 0, _OP_MSG) + _BEFORE_DOCUMENT + document)
        found: dict[str, Any] = {}
        with contextlib.suppress(OSError, EOFError, TimeoutError, bson.errors.InvalidBSON):
            async with asyncio.timeout(_ANSWER_SECONDS):
                (length, *_) = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
                found = bson.decode((await self._reader.readexactly(length - _HEADER.size))[len(_BEFORE_DOCUMENT) :])
        if found.get("ok") != 1:
            raise EngineStartError(f"the embedded engine did not do what its set-up needs ({command})")
        return found
