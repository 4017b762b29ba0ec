"""What the commands print: readable on a terminal and in a pipe, JSON where a script asks."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

# In a pipe there is no width to ask for.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 132)
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Advance(Protocol):
    """Says how far a long work has got."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """`done` of `total` are finished; a total given once stays."""


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))  # noqa: T201 - the command's answer


def fail(error: Exception) -> int:
    """Say what went wrong on standard error; give the exit code."""
    from server.cli.advice import told  # noqa: PLC0415 - it knows every failure, which takes a second to import

    err.print(f"confide: {told(error)}", markup=False)
    return 1


@contextmanager
def progress(label: str, total: int | None = None) -> Iterator[Advance]:
    """A bar with rate and time left on a terminal; on a pipe, a line for every tenth."""
    if not sys.stderr.isatty():
        yield _lines(label, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task(label, total=total)

        def advance(done: int, total: int | None = None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def _lines(label: str, total: int | None) -> Advance:
    told = -1
    known = total

    def advance(done: int, total: int | None = None) -> None:
        nonlocal told, known
        known = total if total is not None else known
        tenth = done * 10 // known if known else done // 10_000
        if tenth > told:
            told = tenth
            err.print(f"{label}: {done}" + (f" of {known}" if known else ""))

    return advance
