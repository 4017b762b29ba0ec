"""A directory outside the database with a copy of every roster and key change: what a restored backup cannot undo.

Files are written once and never changed. A file that was cut off in a crash is completed, which loses nothing: it is
known by being the beginning of what is to be written. The file `witness.txt` says which log the directory witnesses,
so that an empty mount point is not taken for a new witness.

What one who can write here could achieve: remove files, or put an older copy in its place, which is noticed by a
process that runs when it next writes, and at the next start by how much the database has more; not write a roster that
verifies. With this directory *and* the database in one hand, the end of the log can be cut off unseen: keep it on
another machine or on storage that only grows.
"""

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Final, NoReturn

from audit.checkpoint import MAX_ROSTER_BYTES, require_log_name
from audit.errors import (
    AuditInconsistentError,
    WitnessCorruptError,
    WitnessForeignError,
    WitnessMissingError,
    WitnessUnreadableError,
    WitnessUnwritableError,
)
from audit.note import MAX_NOTE_BYTES

MARKER: Final = "witness.txt"
_TITLE = "confide.audit.witness/v1"
_FILE = re.compile(r"(roster|key)-(\d{12})\.note", re.ASCII)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class WitnessDirectory:
    """The directory at one path, as a log's witness. Blocks: call it from a thread."""

    def __init__(self, path: Path, log: str) -> None:
        """Nothing is read yet.

        Raises:
            LogNameInvalidError: Not the name of a log.
        """
        self.path = path
        self._marker = f"{_TITLE}\n{require_log_name(log)}\n".encode()
        self._newest = 0

    def begun(self) -> bool:
        """Whether the directory is this log's witness already; False where it is nothing yet.

        Raises:
            WitnessMissingError: There is no such directory.
            WitnessForeignError: It is another log's witness.
            WitnessCorruptError: It has rosters and does not say of which log.
            WitnessUnreadableError: It cannot be read.
        """
        try:
            if not stat.S_ISDIR(self.path.stat().st_mode):
                raise WitnessMissingError("the witness's path is not a directory: give the path of one")
        except FileNotFoundError:
            raise WitnessMissingError(
                "there is no directory at the witness's path: mount it, or create an empty one"
            ) from None
        except OSError as error:
            _unreadable(error)
        found = self._read(MARKER, len(self._marker) + MAX_NOTE_BYTES)
        if found is None or (found != self._marker and self._marker.startswith(found)):
            if self.counts() != (0, 0):
                raise WitnessCorruptError(f"the witness's directory has rosters but no whole {MARKER}: restore it")
            return False
        if found != self._marker:
            raise WitnessForeignError("the directory is the witness of another log: give this log one of its own")
        return True

    def begin(self) -> None:
        """Make the directory this log's witness.

        Raises:
            WitnessForeignError: It is another log's.
            WitnessUnwritableError: It cannot be written to.
        """
        if not self.begun():
            self._write(MARKER, self._marker)

    def counts(self) -> tuple[int, int]:
        """How many rosters and key changes are here.

        Raises:
            WitnessCorruptError: One in between is missing.
            WitnessUnreadableError: The directory cannot be read.
        """
        numbers: dict[str, set[int]] = {"roster": set(), "key": set()}
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if found := _FILE.fullmatch(entry.name):
                        numbers[found[1]].add(int(found[2]))
        except OSError as error:
            _unreadable(error)
        for kind, there in numbers.items():
            missing = set(range(1, max(there, default=0) + 1)) - there
            if missing:
                raise WitnessCorruptError(f"the witness lacks {kind}-{min(missing):012d}.note: restore it")
        return len(numbers["roster"]), len(numbers["key"])

    def newest(self) -> int:
        """The sequence of the newest roster here, 0 for none. Looks only beyond what it saw before."""
        if not self._newest:
            self._newest = self.counts()[0]
        try:
            while self._path("roster", self._newest + 1).exists():
                self._newest += 1
            if self._newest and not self._path("roster", self._newest).exists():
                raise WitnessCorruptError(f"the witness lacks roster-{self._newest:012d}.note: restore it")
        except OSError as error:
            _unreadable(error)
        return self._newest

    def roster(self, sequence: int) -> bytes:
        """A roster's note.

        Raises:
            WitnessCorruptError: It is not here, or too large for one.
            WitnessUnreadableError: It cannot be read.
        """
        return self._note("roster", sequence, MAX_ROSTER_BYTES)

    def key_change(self, sequence: int) -> bytes:
        """A key change's note; raises as `roster`."""
        return self._note("key", sequence, MAX_NOTE_BYTES)

    def write_roster(self, sequence: int, note: bytes) -> None:
        """Write a roster's note, on the disk before this returns; again, it changes nothing.

        Raises:
            AuditInconsistentError: Another roster of this sequence is here.
            WitnessUnwritableError: The directory cannot be written to.
        """
        self._write(self._path("roster", sequence).name, note)
        if sequence == self._newest + 1:
            self._newest = sequence  # from now on it is missed

    def write_key_change(self, sequence: int, note: bytes) -> None:
        """Write a key change's note; as `write_roster`."""
        self._write(self._path("key", sequence).name, note)

    def _path(self, kind: str, sequence: int) -> Path:
        return self.path / f"{kind}-{sequence:012d}.note"

    def _note(self, kind: str, sequence: int, most: int) -> bytes:
        data = self._read(self._path(kind, sequence).name, most)
        if data is None or len(data) > most:
            raise WitnessCorruptError(f"the witness lacks a whole {kind}-{sequence:012d}.note: restore it")
        return data

    def _read(self, name: str, most: int) -> bytes | None:
        try:
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                return file.read(most + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            _unreadable(error)

    def _write(self, name: str, data: bytes) -> None:
        """Under a name of its own first, so that the file is whole from the moment it has its name."""
        found = self._read(name, len(data))
        if found == data:
            return
        if found is not None and not data.startswith(found):
            raise AuditInconsistentError(f"the witness holds another {name}: the log was forked, or restored")
        new = self.path / f".{name}.{os.getpid()}.{id(self)}"
        try:
            new.unlink(missing_ok=True)  # of a process that died and had our number
            with os.fdopen(os.open(new, _NEW_FILE, 0o644), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if found is None:
                self._name(new, name, data)
            else:
                new.replace(self.path / name)  # completes what a crash cut off
            self._settle()
        except OSError as error:
            why = f": {os.strerror(error.errno)}" if error.errno else ""
            raise WitnessUnwritableError(
                f"the witness's directory cannot be written to{why}; make it writable, the log catches up"
            ) from None
        finally:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)

    def _name(self, new: Path, name: str, data: bytes) -> None:
        """Give the file its name, which must be free, in one step where the file system has links."""
        try:
            os.link(new, self.path / name, follow_symlinks=False)
        except FileExistsError:  # another process was first: it must have written the same
            if self._read(name, len(data)) != data:
                raise AuditInconsistentError(
                    f"the witness holds another {name}: the log was forked, or restored"
                ) from None
            return
        except (
            OSError
        ):  # no links here: a rename, before which the name is looked at, since it would take the other's
            found = self._read(name, len(data))
            if found is not None and not data.startswith(found):
                raise AuditInconsistentError(
                    f"the witness holds another {name}: the log was forked, or restored"
                ) from None
            new.replace(self.path / name)

    def _settle(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _unreadable(error: OSError) -> NoReturn:
    why = f": {os.strerror(error.errno)}" if error.errno else ""
    raise WitnessUnreadableError(f"the witness's directory cannot be read{why}; make it readable") from None
