"""Making exports of the access log: each a task of this process, in its turn, that leaves a whole bundle or none."""

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from audit import (
    AccessQuery,
    AccessReader,
    AuditError,
    BundleForm,
    Checkpointer,
    ExportProgress,
    StoredNotes,
    export_bundle,
    timestamp,
)
from audit.export import uninterrupted
from customers.oversight.export_files import ExportFiles, Job, Making, Stage

STOPPED: Final = "The server was stopped before the export was finished. Start another."

_FULL: Final = "The server's disk has no room for it. Ask whoever runs the server, then start another."
_BROKEN: Final = "Something went wrong on the server. Its own log says more."
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOTE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported.

    Attributes:
        query: Which entries.
        form: What the bundle holds besides the records' own bytes.
        filters: The fields of the catalogue that the query uses.
        conditions: The query as it was asked for, to be shown to whoever asked; a customer's id is not kept.
        subject: The audit reference of the customer that the query is about (16 bytes), if it is about one.
    """

    query: AccessQuery
    form: BundleForm
    filters: tuple[str, ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)
    subject: bytes | None = None


@dataclass(slots=True)
class Live:
    """An export that this process makes."""

    job: Job
    making: Making
    task: "asyncio.Task[None] | None" = None
    given_up: bool = False
    noting: threading.Lock = field(default_factory=threading.Lock)
    """Held while it is noted how far it is, so that nothing is noted after how it ended."""

    def give_up(self) -> None:
        """Let it end soon. A driver may swallow a cancellation (wait_for of Python 3.11 does), so it is noted too."""
        self.given_up = True
        if self.task is not None:
            self.task.cancel()

    def go_on(self) -> None:
        """Return only if it was not given up."""
        if self.given_up:
            raise asyncio.CancelledError


class ExportMaker:
    """Makes exports in this process.

    Args:
        files: Where they go.
        reader, rosters, checkpointer: The log, its signed notes, and what signs it first.
        now: The present, with a time zone.
        lifetime: How long a finished export is kept.
        running: How many are made at a time; further ones wait.
        reserve_bytes: An export fails when the disk has less room than this.
        failed: Told the error when an export failed.
    """

    def __init__(
        self,
        files: ExportFiles,
        reader: AccessReader,
        rosters: StoredNotes,
        checkpointer: Checkpointer,
        *,
        now: Callable[[], datetime],
        lifetime: timedelta,
        running: int,
        reserve_bytes: int,
        failed: Callable[[Exception], None],
    ) -> None:
        self._files = files
        self._reader = reader
        self._rosters = rosters
        self._checkpointer = checkpointer
        self._now = now
        self._lifetime = lifetime
        self._reserve = reserve_bytes
        self._failed = failed
        self._turns = asyncio.Semaphore(running)
        self._live: dict[str, Live] = {}

    def job(self, job: str) -> Job | None:
        """An export that is being made here, as it is now."""
        live = self._live.get(job)
        return None if live is None else live.job

    async def begin(self, job: Job, wanted: Wanted) -> None:
        """Note an export, and make it in its turn."""
        live = Live(job, await asyncio.to_thread(self._files.begin, job))
        self._live[job.id] = live
        live.task = asyncio.create_task(self._make(live, wanted), name="export")
        await asyncio.sleep(0)  # a task that is cancelled before it ran would never tidy up

    async def give_up(self, job: str | None = None) -> None:
        """End an export that is being made here, or all of them, as failed; returns when that is done."""
        ending = [each for each in self._live.values() if job in (None, each.job.id)]
        for each in ending:
            each.give_up()
        await asyncio.gather(*(each.task for each in ending if each.task is not None), return_exceptions=True)

    async def _make(self, live: Live, wanted: Wanted) -> None:
        """Make one export in its turn, whatever becomes of it."""
        noting: asyncio.Task[None] | None = None
        failure = STOPPED
        try:
            async with self._turns:
                live.job = msgspec.structs.replace(live.job, stage=Stage.RUNNING)
                noting = asyncio.create_task(self._note(live), name="export's progress")
                await self._write(live, wanted)
        except AuditError as error:
            self._failed(error)
            failure = _sentence(error)
        except OSError as error:
            self._failed(error)
            failure = _FULL if error.errno in _NO_ROOM else _BROKEN
        except Exception as error:  # noqa: BLE001 - nobody waits for this task: what went wrong is told here or never
            self._failed(error)
            failure = _BROKEN
        finally:
            # Nothing is awaited here: a second cancellation would keep this from its end.
            if noting is not None:
                noting.cancel()
            self._end(live, failure)

    async def _write(self, live: Live, wanted: Wanted) -> None:
        """Sign the log, write the bundle and give it its name."""

        def told(progress: ExportProgress) -> None:
            live.job = msgspec.structs.replace(live.job, read=progress.read, of=progress.of, found=progress.found)
            self._require_disk()
            live.go_on()

        self._require_disk()
        await self._checkpointer.checkpoint()
        live.go_on()
        await export_bundle(
            self._reader,
            self._rosters,
            live.making,
            now=self._now,
            query=wanted.query,
            form=wanted.form,
            progress=told,
            directory=self._files.directory,
        )
        self._require_disk()
        size, digest = await uninterrupted(live.making.finish)
        live.job = msgspec.structs.replace(
            live.job,
            stage=Stage.DONE,
            size=size,
            sha256=digest,
            until=timestamp(self._now() + self._lifetime),
        )

    def _require_disk(self) -> None:
        if self._files.free_bytes() < self._reserve:
            raise OSError(errno.ENOSPC, "exports leave some room on the disk")

    async def _note(self, live: Live) -> None:
        """Let other processes see how far it is; give it up when it was cancelled through one of them."""
        while not live.job.ended:
            if await asyncio.to_thread(self._files.read, live.job.id) is None:
                live.give_up()
                return
            with contextlib.suppress(OSError):  # it is only for others to see
                await asyncio.to_thread(self._note_once, live)
            await asyncio.sleep(_NOTE_SECONDS)

    def _note_once(self, live: Live) -> None:
        with live.noting:
            if live.job.id in self._live:
                self._files.write(live.job)

    def _end(self, live: Live, failure: str) -> None:
        """Note how it ended, before the file is let go of. Short, and never interrupted: so not in a thread."""
        self._live.pop(live.job.id, None)
        # What cannot be noted is found to have no maker.
        with live.making, live.noting, contextlib.suppress(OSError):
            if self._files.read(live.job.id) is None:
                self._files.remove(live.job.id)  # cancelled
            elif live.job.stage is Stage.DONE:
                self._files.write(live.job)
            else:
                live.job = msgspec.structs.replace(live.job, stage=Stage.FAILED, message=failure)
                self._files.give_up(live.job)


def _sentence(error: AuditError) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."
