"""Writes that lost a race inside the database engine are tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import DuplicateKeyError, OperationFailure

_WRITE_CONFLICT = 112
_ATTEMPTS = 40

Answer = TypeVar("Answer")


async def retrying(write: Callable[[], Awaitable[Answer]]) -> Answer:
    """`write()`'s answer, tried again while another writer is at the same document.

    For idempotent writes, and for upserts on a known `_id` (two at once: one of them meets a duplicate key). A
    write that conflicted was not applied.

    Raises:
        pymongo.errors.PyMongoError: Anything else, or the conflict itself after about two seconds.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return await write()
        except DuplicateKeyError:
            if attempt == _ATTEMPTS - 1:
                raise
        except OperationFailure as error:
            if error.code != _WRITE_CONFLICT or attempt == _ATTEMPTS - 1:
                raise
        await asyncio.sleep(min(0.001 * 2**attempt, 0.05))
    raise AssertionError("the loop returns or raises")  # pragma: no cover
