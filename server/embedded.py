"""The embedded engine of a data directory: one at a time, and none left behind by a process that was killed.

The engine allows one process to open its data, and outlives a Confide that had no time to stop it. So a Confide locks
`engine.lock` in the data directory for as long as it runs the engine, and writes the engine's process id into it, and
its own: who gets the lock and finds such an engine still running stops it first.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from server.engine import EmbeddedEngine, being_set_up, embedded_engine
from server.errors import EngineStartError
from server.logs import Event, log

_DIRECTORY = "engine"
LOCK = "engine.lock"
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05


@contextlib.asynccontextmanager
async def engine_of(data_dir: Path) -> AsyncIterator[EmbeddedEngine]:
    """The engine over this data directory for the length of a block.

    Raises:
        EngineStartError: Another process runs it, or it cannot be started.
        EngineNotInstalledError: The extra `embedded` is not installed.
        EngineLostError: It ended during the block. Whatever else the block raised came of that.
    """
    with _locked(data_dir) as lock:
        await asyncio.to_thread(_stop_left_over, lock, data_dir / _DIRECTORY)
        async with embedded_engine(data_dir / _DIRECTORY, on_process=lambda pid: _note(lock, pid)) as engine:
            try:
                yield engine
            except Exception:
                engine.check()
                raise
            engine.check()
            _note(lock, None)


@contextlib.asynccontextmanager
async def stopping_with(engine: EmbeddedEngine | None, stop: asyncio.Event) -> AsyncIterator[None]:
    """For the length of a block, set `stop` when the engine ends; without an engine nothing happens."""
    if engine is None:
        yield
        return

    def ended(task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            log(Event.ENGINE_LOST, logging.CRITICAL)
            stop.set()

    watching = asyncio.create_task(engine.wait(), name="engine")
    watching.add_done_callback(ended)
    try:
        yield
    finally:
        watching.cancel()


def free(data_dir: Path, then: Callable[[], None] | None = None) -> None:
    """Return once no engine runs over this data directory; `then` is called while none can be started.

    Raises:
        EngineStartError: Another process runs it.
    """
    with _locked(data_dir) as lock:
        _stop_left_over(lock, data_dir / _DIRECTORY)
        if then is not None:
            then()


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[int]:
    lock = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineStartError(
                f"another Confide runs the embedded engine over {data_dir}{_holder(lock)}: stop it first, or have both "
                "use a MongoDB (CONFIDE_MONGO_URI)"
            ) from None
        engine, _ = _noted(lock)
        _note(lock, engine)
        yield lock
    finally:
        os.close(lock)  # which also gives the lock back


def _note(lock: int, engine: int | None) -> None:
    """Note the engine's process id, if there is one, and in the second line our own."""
    text = f"{'' if engine is None else engine}\n{os.getpid()}\n".encode()
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))


def _noted(lock: int) -> tuple[int | None, int | None]:
    """The process ids of the engine and of the Confide that has noted it."""
    lines = [*os.pread(lock, 64, 0).split(b"\n"), b"", b""]
    engine, holder = (int(line) if line.isdigit() else None for line in lines[:2])
    return engine, holder


def _holder(lock: int) -> str:
    _, holder = _noted(lock)
    return "" if holder is None else f" (process {holder})"


def _stop_left_over(lock: int, directory: Path) -> None:
    """Stop the engine whose process id is noted, if it still runs over this directory."""
    pid, _ = _noted(lock)
    if pid is None:
        return
    deadline = time.monotonic() + _STOP_SECONDS
    number = signal.SIGTERM
    while _runs_over(pid, directory):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while _runs_over(pid, directory) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        number = signal.SIGKILL
        deadline = time.monotonic() + _STOP_SECONDS


def _runs_over(pid: int, directory: Path) -> bool:
    """Whether this process is an engine over this directory: the number may be another's by now."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # gone; or a system without /proc, where the engine itself says that its data is in use
        return False
    directory = directory.absolute()
    return os.fsencode(directory) in words or os.fsencode(being_set_up(directory)) in words
