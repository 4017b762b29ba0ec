"""Starting and ending `confide` as processes."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("confide")
ROOT = Path(__file__).parents[3]


class Started:
    """A process: what it says, and how it ends."""

    def __init__(self, pid: int, ended: "asyncio.Future[int]", out: Path, err: Path) -> None:
        self.pid = pid
        self._ended = ended
        self._out = out
        self._err = err

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def code(self) -> int | None:
        return self._ended.result() if self._ended.done() else None

    def signal(self, number: int) -> None:
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def wait(self, seconds: float = 30.0) -> int:
        """Its exit code; negative for the signal that ended it."""
        return await asyncio.wait_for(asyncio.shield(self._ended), seconds)

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self.wait()


class Starter:
    """Starts processes through the zygote, or as the console script."""

    def __init__(self, zygote: asyncio.subprocess.Process, answers: asyncio.StreamReader) -> None:
        self._zygote = zygote
        self._answers = answers
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._lock = asyncio.Lock()
        self._listening = asyncio.create_task(self._listen())

    async def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        out: Path,
        err: Path,
        run: str | None = None,
    ) -> Started:
        """Start `confide`, or one of the tests' own programs (`module:function`)."""
        out.touch(0o600)
        err.touch(0o600)
        order = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "directory": str(directory),
            "out": str(out),
            "err": str(err),
            **({} if run is None else {"run": run}),
        }
        async with self._lock:
            self._zygote.stdin.write(json.dumps(order).encode() + b"\n")
            pid = await self._started.get()
            return Started(pid, self._ends[pid], out, err)

    async def start_script(
        self, arguments: Sequence[str], environment: Mapping[str, str], directory: Path, out: Path, err: Path
    ) -> Started:
        """As `start`, by the console script that users type."""
        with out.open("ab") as to_out, err.open("ab") as to_err:
            process = await asyncio.create_subprocess_exec(
                PROGRAM, *arguments, env=dict(environment), cwd=directory, start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL, stdout=to_out, stderr=to_err,
            )  # fmt: skip
        ended = asyncio.ensure_future(process.wait())
        return Started(process.pid, ended, out, err)

    async def _listen(self) -> None:
        while line := await self._answers.readline():
            told = json.loads(line)
            if "code" in told:
                self._ends[told["pid"]].set_result(told["code"])
            else:
                self._ends[told["pid"]] = asyncio.get_running_loop().create_future()
                self._started.put_nowait(told["pid"])

    async def close(self) -> None:
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening


@contextlib.asynccontextmanager
async def starter() -> AsyncIterator[Starter]:
    """A zygote for the length of a block; what it started ends with whoever started it."""
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.server.processes.zygote", str(write), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, pass_fds=(write,),
    )  # fmt: skip
    os.close(write)
    answers = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(answers), os.fdopen(read, "rb", buffering=0)
    )
    if not await answers.readline():
        raise RuntimeError("confide cannot be imported: what it says stands above")
    made = Starter(process, answers)
    try:
        yield made
    finally:
        await made.close()
        transport.close()
        process.stdin.close()
        await process.wait()
