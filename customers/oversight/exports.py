"""Exports of the access log as jobs: asked for by one person, made in the background, fetched by that person alone.

An export is an access: the policy decides, and the record of it is durable before its first byte is written. A bundle
holds whole records, so whoever may not read and take along every field of an entry makes none.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from audit import (
    AccessLog,
    AccessReader,
    Checkpointer,
    Kind,
    Outcome,
    StoredNotes,
    timestamp,
)
from customers.access import Access
from customers.disclosure import Disclosure, reference_text
from customers.errors import ExportNotAllowedError, ExportsBusyError
from customers.oversight.export_files import ExportFiles, Job, Stage, shown
from customers.oversight.export_making import STOPPED, ExportMaker, Wanted
from policies import FieldGrant, Grant, Scope, Verdict

LIFETIME: Final = timedelta(hours=24)
RUNNING: Final = 2
KEPT: Final = 5
RESERVE_BYTES: Final = 256 * 1024 * 1024
"""The disk also holds the key ring, and an erasure that cannot write it fails: exports stop before the disk is full."""

_SWEEP_SECONDS: Final = 60.0
_ID_BYTES: Final = 16
_PREFIX: Final = "access_entry."


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished export's file: where it is, the name to save it under, its size in bytes, its SHA-256 (hexadecimal)."""

    path: Path
    name: str
    size: int
    sha256: str


class AccessLogExports:
    """Export jobs of one access log.

    Every process that is given the same directory sees the same jobs; elsewhere they do not exist. A job whose
    process ended before it did has failed. Bundles are removed after `lifetime`, by whichever process is there then.

    Every method that takes an access raises ExportNotAllowedError when the policy does not let that caller export,
    having noted it in the access's disclosure: whoever calls records it, as any refusal.

    Args:
        directory: Where bundles are kept and made; no more than `kept` for each actor.
        reader, rosters, checkpointer: The log, its signed notes, and what signs it first.
        log: Takes the records.
        now: The present, with a time zone.
        random: So many random bytes, for ids.
        lifetime: How long an export is kept.
        running: How many are made at a time; further ones wait.
        kept: How many one actor may have. A finished one makes room for a new one.
        reserve_bytes: An export fails when the disk has less room than this.
        failed: Told the error when an export failed.
    """

    def __init__(
        self,
        directory: Path,
        reader: AccessReader,
        rosters: StoredNotes,
        checkpointer: Checkpointer,
        log: AccessLog,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
        lifetime: timedelta = LIFETIME,
        running: int = RUNNING,
        kept: int = KEPT,
        reserve_bytes: int = RESERVE_BYTES,
        failed: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._files = ExportFiles(directory)
        self._maker = ExportMaker(
            self._files,
            reader,
            rosters,
            checkpointer,
            now=now,
            lifetime=lifetime,
            running=running,
            reserve_bytes=reserve_bytes,
            failed=failed,
        )
        self._log = log
        self._now = now
        self._random = random
        self._lifetime = lifetime
        self._kept = kept
        self._failed = failed
        self._starting = asyncio.Lock()
        self._sweeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the directory, remove what is out of date or was left by a process that died, and go on doing so."""
        await asyncio.to_thread(self._files.prepare)
        await self.sweep()
        self._sweeping = asyncio.create_task(self._sweep_on(), name="exports' sweep")

    async def close(self) -> None:
        """Give up what is being made: those exports have failed."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.wait({self._sweeping})
        await self._maker.give_up()

    async def start(self, access: Access, wanted: Wanted) -> Job:
        """Begin an export, once the record of it is durable.

        Raises:
            ExportNotAllowedError: See above.
            ExportsBusyError: The actor has as many unfinished ones as are kept.
            AuditUnavailableError: It could not be recorded, so nothing was begun.
        """
        self.require(access, wanted.filters)
        async with self._starting:
            older = await self._room_for(access.caller.actor)
            await self.record(access, wanted.filters, wanted.subject)
            for each in older:
                await asyncio.to_thread(self._files.remove, each.id)
            # It is recorded by now, so it is begun, also when whoever asked does not wait for the answer.
            return await asyncio.shield(asyncio.create_task(self._begin(access.caller.actor, wanted)))

    async def all(self, access: Access) -> list[Job]:
        """The caller's exports as they are now, the newest first; no more than are kept."""
        self.require(access)
        return sorted(await self._held(access.caller.actor), key=lambda each: (each.created, each.id), reverse=True)

    async def state(self, access: Access, job: str) -> Job | None:
        """How far an export is; None for an id that is not of one of the caller's."""
        self.require(access)
        return await self._own(access, job)

    async def download(self, access: Access, job: str) -> Bundle | None:
        """The finished bundle, once it is recorded that it is fetched; None while there is none.

        Raises:
            ExportNotAllowedError: See above.
            AuditUnavailableError: It could not be recorded, so it is not given.
        """
        self.require(access)
        found = await self._own(access, job)
        path = None if found is None else await asyncio.to_thread(self._files.bundle, found)
        if found is None or path is None or found.size is None or found.sha256 is None:
            return None
        await self.record(access, found.filters, None if found.subject is None else _bytes(found.subject))
        compact = found.created[:19].replace("-", "").replace(":", "")
        return Bundle(path, f"confide-access-log-{compact}Z.zip", found.size, found.sha256)

    async def record(self, access: Access, filters: Sequence[str] = (), subject: bytes | None = None) -> None:
        """Record that whole entries leave; durable when this returns. For whoever makes the export otherwise, too.

        Raises:
            ExportNotAllowedError: See above.
            AuditUnavailableError: It could not be recorded, so nothing may leave.
        """
        self.require(access, filters)
        noted = Disclosure(access.disclosure.request, access.grant, Kind.EXPORT)
        noted.add_fields(_verdicts(access.grant))
        noted.add_filters(filters)
        if subject is not None:
            noted.add_subject(subject)
        access.disclosure.entry = str(await self._log.append(noted.record(self._now(), Outcome.ALLOWED)))

    async def cancel(self, access: Access, job: str) -> bool:
        """Give up an export or remove a finished one; False for an id that is not of one of the caller's."""
        self.require(access)
        found = await self._own(access, job)
        if found is None:
            return False
        await self._maker.give_up(job)
        # What another process makes ends there, when it finds nothing to go on with.
        await asyncio.to_thread(self._files.remove, job)
        return True

    async def sweep(self) -> None:
        """Remove what is out of date, and fail what no process makes any more."""
        for job in await asyncio.to_thread(lambda: list(self._files.jobs())):
            await self._present(job)
        before = self._now() - timedelta(seconds=_SWEEP_SECONDS)
        await asyncio.to_thread(self._files.sweep, before.timestamp())

    @staticmethod
    def require(access: Access, filters: Sequence[str] = ()) -> None:
        """Return only if the caller may export; `filters` are the fields that the export is filtered by.

        Raises:
            ExportNotAllowedError: See above.
        """
        refused = [path for path, granted in _entry_fields(access.grant) if not _may(granted, access.grant)]
        if refused:
            AccessLogExports.refuse(access, filters)
            access.disclosure.add_fields(_verdicts(access.grant))
            raise ExportNotAllowedError(refused)

    @staticmethod
    def refuse(access: Access, filters: Sequence[str] = ()) -> None:
        """Note in the disclosure that an export was tried, if the request was nothing else before."""
        if not access.disclosure.touched:
            access.disclosure.kind = Kind.EXPORT
        access.disclosure.add_filters(filters)

    async def _own(self, access: Access, job: str) -> Job | None:
        found = self._maker.job(job) or await asyncio.to_thread(self._files.read, job)
        if found is None or found.actor != access.caller.actor:
            self.refuse(access)
            return None
        return await self._present(found)

    async def _present(self, job: Job) -> Job | None:
        """The job as it is now: None if it is out of date, failed if whoever made it is gone."""
        if job.until <= timestamp(self._now()):
            if self._maker.job(job.id) is None:
                await asyncio.to_thread(self._files.remove, job.id)
            return None
        if job.ended or self._maker.job(job.id) is not None or await asyncio.to_thread(self._files.held, job.id):
            return job
        again = await asyncio.to_thread(self._files.read, job.id)  # it may have ended while we looked
        if again is None or again.ended:
            return again
        failed = msgspec.structs.replace(again, stage=Stage.FAILED, message=STOPPED)
        await asyncio.to_thread(self._files.give_up, failed)
        return failed

    async def _room_for(self, actor: str) -> list[Job]:
        """The finished exports that a new one of this actor takes the place of.

        Raises:
            ExportsBusyError: There is no room.
        """
        present = await self._held(actor)
        ended = sorted((each for each in present if each.ended), key=lambda each: each.created)
        if len(present) - len(ended) >= self._kept:
            raise ExportsBusyError(self._kept)
        return ended[: max(0, len(present) + 1 - self._kept)]

    async def _held(self, actor: str) -> list[Job]:
        """This actor's exports as they are now."""
        held = [job for job in await asyncio.to_thread(lambda: list(self._files.jobs())) if job.actor == actor]
        # One that is made here is further than what is noted of it.
        known = [self._maker.job(job.id) or job for job in held]
        return [each for each in [await self._present(job) for job in known] if each is not None]

    async def _begin(self, actor: str, wanted: Wanted) -> Job:
        now = self._now()
        job = Job(
            id=self._random(_ID_BYTES).hex(),
            actor=actor,
            form=wanted.form,
            conditions=shown(wanted.conditions),
            filters=wanted.filters,
            subject=None if wanted.subject is None else reference_text(wanted.subject),
            created=timestamp(now),
            until=timestamp(now + self._lifetime),
        )
        await self._maker.begin(job, wanted)
        return job

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await self.sweep()
            except OSError as error:
                self._failed(error)


def _entry_fields(grant: Grant) -> list[tuple[str, FieldGrant]]:
    return [(path, granted) for path, granted in grant.export.items() if path.startswith(_PREFIX)]


def _may(granted: FieldGrant, grant: Grant) -> bool:
    """Whether the field of everybody's entries may leave in clear: to be read, and to be taken along."""
    return all(
        any(each.verdict is Verdict.CLEAR and each.scope is Scope.ANY for each in one.alternatives)
        for one in (granted, grant.read[granted.path])
    )


def _verdicts(grant: Grant) -> dict[str, tuple[Verdict, int | None]]:
    """What was decided about each field of an entry, and the rule that says so."""
    return {
        path: (Verdict.CLEAR, granted.alternatives[0].rule)
        if _may(granted, grant)
        else (Verdict.WITHHELD, granted.rule or grant.read[path].rule)
        for path, granted in _entry_fields(grant)
    }


def _bytes(reference: str) -> bytes:
    return base64.urlsafe_b64decode(f"{reference}==")


__all__ = ["AccessLogExports", "Bundle", "Job", "Stage", "Wanted"]
