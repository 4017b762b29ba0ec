"""The embedded engine of a data directory: one, which every Confide on this machine shares, and none left behind.

The engine lets one process open its data, so whoever comes first starts it and whoever comes next connects to it: a
command works beside a server. It ends with the last one that uses it, whoever started it.

Two files say how things stand. `engine.lock` is locked while the engine is started or stopped, which takes seconds, and
holds three lines: the engine's process id, that of the Confide that started it, and the port. `engine.users` is locked,
shared, by every Confide that uses the engine, for as long as it does; the system takes the lock from one that is
killed. So who can lock both alone knows that an engine which still runs is nobody's, and stops it. What is in the lock
file is believed as far as the password is: what answers on the port must know it.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from server.engine import EmbeddedEngine, being_set_up, check_password, password_file, uri_of
from server.engine_password import read_password
from server.errors import EngineLostError, EngineStartError
from server.logs import Event, log

_DIRECTORY = "engine"
LOCK = "engine.lock"
USERS = "engine.users"
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
# Longer than an engine takes to start, and then to stop.
_TURN_SECONDS = 90.0
_FREE_SECONDS = 2.0


class Engine(Protocol):
    """An engine that is used; `uri` is what a client connects to, and a secret."""

    uri: str

    @property
    def pid(self) -> int:
        """The operating system's id of the engine's process."""

    async def wait(self) -> None:
        """Return when it has ended."""

    def check(self) -> None:
        """Return unless it has ended without having been told to; raises EngineLostError."""


class JoinedEngine:
    """An engine that another process has started."""

    def __init__(self, pid: int, uri: str, directory: Path) -> None:
        self.uri = uri
        self._pid = pid
        self._directory = directory

    @property
    def pid(self) -> int:
        """The operating system's id of the engine's process."""
        return self._pid

    async def wait(self) -> None:
        """Return when it has ended."""
        while _lives(self._pid, self._directory):  # noqa: ASYNC110 - another process, and nothing tells of its end
            await asyncio.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Return unless it has ended: as long as it is used nobody stops it.

        Raises:
            EngineLostError: It has; the message names its log file.
        """
        if not _lives(self._pid, self._directory):
            raise EngineLostError(
                f"the embedded engine ended while it was needed: see {self._directory}.log, then start Confide again; "
                "nothing that was acknowledged is lost"
            )


@contextlib.asynccontextmanager
async def engine_of(data_dir: Path) -> AsyncIterator[Engine]:
    """The engine over this data directory for the length of a block: started, or another process's that runs it.

    Raises:
        EngineStartError: It cannot be started, or another process has been starting it for longer than that takes.
        EngineNotInstalledError: The extra `embedded` is not installed.
        EngineLostError: It ended during the block. Whatever else the block raised came of that.
    """
    with _opened(data_dir / LOCK) as lock, _opened(data_dir / USERS) as users:
        await _turn(lock, data_dir)
        try:
            engine = await _joined(lock, users, data_dir) or await _started(lock, data_dir)
            fcntl.flock(users, fcntl.LOCK_SH)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
        try:
            try:
                yield engine
            except Exception:
                engine.check()
                raise
            engine.check()
        finally:
            fcntl.flock(users, fcntl.LOCK_UN)
            await _left(engine, lock, users, data_dir)


@contextlib.asynccontextmanager
async def stopping_with(engine: Engine | None, stop: asyncio.Event) -> AsyncIterator[None]:
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
        EngineStartError: Another process uses it.
    """
    with _opened(data_dir / LOCK) as lock, _opened(data_dir / USERS) as users:
        deadline = time.monotonic() + _FREE_SECONDS
        while not _alone(lock):
            if time.monotonic() > deadline:
                raise _in_use(lock, data_dir)
            time.sleep(_POLL_SECONDS)
        if not _alone(users):
            raise _in_use(lock, data_dir)
        _stop_left_over(_noted(lock).engine, data_dir / _DIRECTORY)
        _note(lock, _Noted())
        if then is not None:
            then()


async def _joined(lock: int, users: int, data_dir: Path) -> JoinedEngine | None:
    """The engine that others use, where there are any and it runs; what is left over of none of them is stopped."""
    noted = _noted(lock)
    directory = data_dir / _DIRECTORY
    if _alone(users):
        await asyncio.to_thread(_stop_left_over, noted.engine, directory)
        return None
    if noted.engine is None or noted.port is None or not _lives(noted.engine, directory):
        # Those who use it learn of it in a moment, and end; only then may another be started.
        raise _in_use(lock, data_dir)
    file = password_file(directory.absolute())
    uri = uri_of(noted.port, read_password(file))
    await check_password(uri, file)
    return JoinedEngine(noted.engine, uri, directory)


async def _started(lock: int, data_dir: Path) -> EmbeddedEngine:
    _note(lock, _Noted(None, os.getpid()))
    engine = await EmbeddedEngine.start(
        data_dir / _DIRECTORY, on_process=lambda pid: _note(lock, _Noted(pid, os.getpid()))
    )
    _note(lock, _Noted(engine.pid, os.getpid(), engine.port))
    return engine


async def _left(engine: Engine, lock: int, users: int, data_dir: Path) -> None:
    """Stop the engine, unless others use it: then it ends with the last of them."""
    try:
        await _turn(lock, data_dir)
        if not _alone(users):
            if isinstance(engine, EmbeddedEngine):
                engine.release()
            return
        if isinstance(engine, EmbeddedEngine):
            await engine.stop()
        else:
            await asyncio.to_thread(_stop, engine.pid, data_dir / _DIRECTORY)
        _note(lock, _Noted())
    except BaseException:
        # Whoever comes next finds it and stops it, so it is not left for ever.
        if isinstance(engine, EmbeddedEngine):
            engine.release()
        raise


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A file to lock, which closing gives back."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _alone(descriptor: int) -> bool:
    """Whether nobody else has locked this file, which is ours alone then."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _turn(lock: int, data_dir: Path) -> None:
    """Wait until nobody else is starting or stopping the engine.

    Raises:
        EngineStartError: Another process has been at it for longer than that takes.
    """
    deadline = time.monotonic() + _TURN_SECONDS
    while not _alone(lock):
        if time.monotonic() > deadline:
            raise _in_use(lock, data_dir)
        await asyncio.sleep(_POLL_SECONDS)


def _in_use(lock: int, data_dir: Path) -> EngineStartError:
    holder = _noted(lock).holder
    named = "" if holder is None or not _exists(holder) else f" (process {holder})"
    return EngineStartError(
        f"another Confide runs the embedded engine over {data_dir}{named}: stop it first, or have both use a MongoDB "
        "(CONFIDE_MONGO_URI)"
    )


@dataclass(frozen=True, slots=True)
class _Noted:
    """What the lock file says: the engine's process id, that of the Confide that started it, and the port."""

    engine: int | None = None
    holder: int | None = None
    port: int | None = None


def _note(lock: int, noted: _Noted) -> None:
    text = "".join(f"{'' if each is None else each}\n" for each in (noted.engine, noted.holder, noted.port)).encode()
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))


def _noted(lock: int) -> _Noted:
    lines = [*os.pread(lock, 64, 0).split(b"\n"), b"", b"", b""]
    return _Noted(*(int(line) if line.isdigit() else None for line in lines[:3]))


def _stop_left_over(pid: int | None, directory: Path) -> None:
    """Stop the engine whose process id was noted, if it still runs over this directory."""
    if pid is not None and _runs_over(pid, directory):
        _stop(pid, directory)


def _stop(pid: int, directory: Path) -> None:
    deadline = time.monotonic() + _STOP_SECONDS
    number = signal.SIGTERM
    while _lives(pid, directory):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        while _lives(pid, directory) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        number = signal.SIGKILL
        deadline = time.monotonic() + _STOP_SECONDS


def _lives(pid: int, directory: Path) -> bool:
    """Whether the engine that is used still runs; where the system does not say what runs, whether its process does."""
    return _runs_over(pid, directory) or (not Path("/proc/self").exists() and _exists(pid))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _runs_over(pid: int, directory: Path) -> bool:
    """Whether this process is an engine over this directory: the number may be another's by now."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # gone; or a system without /proc, where the engine itself says that its data is in use
        return False
    directory = directory.absolute()
    return os.fsencode(directory) in words or os.fsencode(being_set_up(directory)) in words
