"""The directory of the demo's data: made, emptied and refused. Nothing is removed but what a demo made."""

import json
import shutil
from pathlib import Path

from server import embedded
from server.demo.errors import DemoDirectoryError

_OURS = "demo.json"
_LOADED = "loaded"
_MARK = {"confide demo": 1}


def claim(directory: Path, *, fresh: bool) -> None:
    """See that the directory is a demo's, and empty it when that is wished or an earlier load was cut off.

    Raises:
        DemoDirectoryError: It is something else, and was left as it is.
        EngineStartError: Another process uses it.
    """
    if not _is_ours(directory):
        _begin(directory)
    elif fresh or not is_loaded(directory):
        embedded.free(directory, lambda: _empty(directory))


def is_loaded(directory: Path) -> bool:
    """Whether the demo company is complete."""
    return (directory / _LOADED).exists()


def set_loaded(directory: Path) -> None:
    """Say that the demo company is complete."""
    (directory / _LOADED).write_text("The demo company is complete.\n")


def _is_ours(directory: Path) -> bool:
    try:
        found = json.loads((directory / _OURS).read_text())
    except (OSError, ValueError):
        return False
    return bool(found == _MARK)


def _begin(directory: Path) -> None:
    """Mark a directory that is new or empty, before anything else is in it."""
    if directory.exists() and not directory.is_dir():
        raise DemoDirectoryError(f"{directory} is no directory: give --data another one")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise DemoDirectoryError(f"{directory} is not empty, and no demo made it: give --data another directory")
    (directory / _OURS).write_text(json.dumps(_MARK) + "\n")


def _empty(directory: Path) -> None:
    """Remove everything but our mark, and the locks that keep others out meanwhile; what says complete goes first."""
    (directory / _LOADED).unlink(missing_ok=True)
    for each in directory.iterdir():
        if each.name in {_OURS, embedded.LOCK, embedded.USERS}:
            continue
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
