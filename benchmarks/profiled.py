"""`confide serve` under cProfile, and which part of the system takes which share of its processor time.

    python -m benchmarks.profiled FILE      serves; SIGUSR1 begins, SIGUSR2 ends, and the figures are in FILE at its end

cProfile makes many small calls dearer than few large ones, so that shares of Python code are overstated and those of
compiled code understated: they tell where to look, not what a request costs.
"""

import asyncio
import cProfile
import os
import pstats
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.asking import Question, Taking, fitting
from benchmarks.loading import Load, Requests
from benchmarks.processes import free_port, running
from benchmarks.world import World

__all__ = ["profile"]

_CONNECTIONS = 8
_MOST_LINES = 12
# The first that a path contains.
_PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("driver", ("/pymongo/", "/bson/")),
    ("HTTP and event loop", (
        "/uvicorn/", "/starlette/", "/uvloop/", "/asyncio/", "/schema/over_http", "/schema/arriving", "/schema/media",
        "/schema/parameters", "/server/http", "/anyio/", "/json/",
    )),
    ("telemetry and log", ("/opentelemetry/", "/server/telemetry", "/server/logs", "/logging/")),
    ("who is asking", ("/server/access", "/joserfc/", "/authlib/")),
    ("decrypting", ("/vault/", "/cryptography/")),
    ("access log", ("/audit/", "/customers/disclosure")),
    ("policy, consent, reading", ("/policies/", "/customers/")),
    ("execution", ("/graphql/", "/strawberry/", "/schema/")),
)  # fmt: skip
_OTHER = "other"

Function = tuple[str, int, str]


def part_of(function: Function) -> str:
    """The part of the system a function belongs to."""
    path = function[0].replace("\\", "/")
    if "generated" in path or path.startswith("<"):
        return "execution"
    return next((name for name, places in _PARTS if any(place in path for place in places)), _OTHER)


def shares(found: Mapping[Function, Any]) -> dict[str, float]:
    """Of each part its share of all time, what is built in counted to who called it.

    Args:
        found: As `pstats.Stats.stats`.
    """
    taken: dict[str, float] = {}
    for function, (_, __, own, ___, callers) in found.items():
        if function[0] != "~" or not callers:
            taken[part_of(function)] = taken.get(part_of(function), 0.0) + own
            continue
        for caller, numbers in callers.items():
            part = part_of(caller)
            taken[part] = taken.get(part, 0.0) + numbers[2]
    whole = sum(taken.values()) or 1.0
    return {
        name: round(seconds / whole, 4)
        for name, seconds in sorted(taken.items(), key=lambda item: item[1], reverse=True)
    }


def _dearest(found: Mapping[Function, Any]) -> list[tuple[str, float]]:
    """The functions that take most by themselves, each with its share."""
    whole = sum(each[2] for each in found.values()) or 1.0
    most = sorted(found.items(), key=lambda item: item[1][2], reverse=True)[:_MOST_LINES]
    return [(_named(function), round(numbers[2] / whole, 4)) for function, numbers in most]


def _named(function: Function) -> str:
    path, line, name = function
    if path == "~":
        return name.strip("<>")
    return f"{'/'.join(Path(path).parts[-2:])}:{line} {name}"


async def profile(made: World, questions: Mapping[str, Question], taking: Taking) -> dict[str, Any]:
    """For each question the shares of the parts, and the dearest functions."""
    answer: dict[str, Any] = {}
    for name, asked in questions.items():
        with tempfile.TemporaryDirectory() as directory:
            file, port = Path(directory) / "profile", free_port()
            command = [sys.executable, "-m", "benchmarks.profiled", str(file)]
            root = Path(__file__).parent.parent
            async with running("Confide, profiled", command, made.environment(port), port, cwd=root) as server:
                count = await fitting(server, asked, _CONNECTIONS, Taking(1, 4 * taking.seconds))
                async with Load(port, _CONNECTIONS) as load:
                    await signalled(server.pid, signal.SIGUSR1)
                    await load.run(Requests(asked.prepared, lambda _: None), count)
                    await signalled(server.pid, signal.SIGUSR2)
            found: Any = pstats.Stats(str(file)).stats  # type: ignore[attr-defined]  # it has no types
            answer[name] = {"requests": count, "shares": shares(found), "functions": _dearest(found)}
    return answer


async def signalled(pid: int, number: signal.Signals) -> None:
    """Send a signal to a server of ours."""
    os.kill(pid, number)
    await asyncio.sleep(0.3)


def _serve(file: Path) -> None:
    """Serve as the command does, under a profile of processor time."""
    from server.cli import main  # noqa: PLC0415 - not where only the figures are read

    taken = cProfile.Profile(time.process_time)
    signal.signal(signal.SIGUSR1, lambda *_: taken.enable())
    signal.signal(signal.SIGUSR2, lambda *_: taken.disable())
    sys.argv = ["confide", "serve"]
    try:
        main()
    finally:
        taken.disable()
        taken.dump_stats(file)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
