"""Server processes that are measured: started, and their processor time read as the kernel accounts it."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CPUTime", "Running", "free_port", "running"]

_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_PROC = Path("/proc")


class CPUTime:
    """User and system time of a process and all that it started, in seconds, to the microsecond.

    A thread that ended in between is not counted: what is measured here keeps its threads.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = self._threads()

    def _threads(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for pid in _tree(self._pid):
            for thread in (_PROC / str(pid) / "task").glob("*/schedstat"):
                found[str(thread)] = int(thread.read_text().split()[0])
        return found

    def passed(self) -> float:
        """Seconds since this was made, or last asked."""
        before, self._before = self._before, self._threads()
        return sum(now - before.get(thread, 0) for thread, now in self._before.items()) / 1e9


def _tree(root: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for each in _PROC.iterdir():
        if not each.name.isdigit():
            continue
        try:
            parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(each.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


@dataclass(frozen=True)
class Running:
    """A server that accepts connections.

    Attributes:
        name: What it is called in the report.
        pid: Its process.
        port: Where it listens, on loopback.
        database: The database's process, where its processor time is to be told as well.
    """

    name: str
    pid: int
    port: int
    database: int | None = None

    def memory(self) -> int:
        """Bytes that its processes hold in memory."""
        pages = sum(int((_PROC / str(pid) / "statm").read_text().split()[1]) for pid in _tree(self.pid))
        return pages * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], environment: Mapping[str, str], port: int, *, cwd: Path | None = None
) -> AsyncIterator[Running]:
    """A server for the length of a block, from when it accepts connections.

    Raises:
        SystemExit: It ended, or did not accept a connection within a minute.
    """
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=cwd)  # noqa: ASYNC220 - waited for below
    try:
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        while True:
            if process.poll() is not None:
                raise SystemExit(f"{name} ended with {process.returncode}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if asyncio.get_running_loop().time() > deadline:
                    raise SystemExit(f"{name} does not accept connections") from None
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        yield Running(name, process.pid, port)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
