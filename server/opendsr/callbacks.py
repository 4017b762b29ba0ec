"""Tells controllers that the status of their request has changed: signed, at least once, and again where that fails."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec

from audit import timestamp
from customers.jobs import Job, JobFailedError, JobHopelessError, JobRunner, JobStore, NewJob
from customers.outgoing import AddressRefusedError, OutgoingClient, OutgoingError, Request
from customers.rights.requests.clocks import kept_until
from server.errors import SettingsError
from server.logs import Event, log
from server.opendsr.signing import Signer
from server.opendsr.store import Kept, OpenDsrStore
from server.opendsr.taking import COMPLETED, ENDED, Taking
from server.platform import Platform
from server.recipients import way_out

CALLBACK: Final = "opendsr_callback"
_LOOK_SECONDS: Final = 5.0


class Callbacks:
    """Finds changes of status, and tells them.

    Args:
        platform: Where.
        signer: Proves that it is us.
        client: The way out.
    """

    def __init__(self, platform: Platform, signer: Signer, client: OutgoingClient) -> None:
        self._platform = platform
        self._signer = signer
        self._client = client
        self._store = OpenDsrStore(platform.main, platform.vault)
        self._jobs = JobStore(platform.main, now=platform.now)
        self._taking = Taking(platform, self._store, platform.settings.opendsr_id_system)
        self._runner = JobRunner(
            self._jobs,
            {CALLBACK: self.call},
            platform.vault.fleet.process_id,
            now=platform.now,
            random=os.urandom,
            failed=lambda error: log(Event.JOB_FAILED, error=error),
        )

    async def run(self) -> int:
        """Look for changes and tell those that are due; give how many callbacks were tried."""
        now = self._platform.now()
        for kept in await self._store.open_ones():
            # Nobody was known by what it said, so nothing was held, and nothing is to be done.
            status = COMPLETED if kept.request is None else await self._taking.status_of(kept)
            if status == kept.state:
                continue
            # First the jobs: who dies in between adds the same ones again.
            await self._jobs.add(
                NewJob(
                    CALLBACK,
                    f"{kept.id.hex()}:{status}:{place}",
                    now,
                    payload={"request": kept.id, "place": place, "status": status},
                )
                for place in range(len(kept.callbacks))
            )
            await self._store.tell(kept, status, kept_until(now) if status in ENDED else None)
        await self._store.prune(now)
        return await self._runner.run_due()

    async def call(self, job: Job) -> None:
        """Tell one address of one change.

        Raises:
            JobFailedError: It was not taken.
        """
        kept = await self._store.get(bytes(job.payload["request"]))
        if kept is None:
            return
        url = kept.callbacks[job.payload["place"]]
        body = self._said(kept, url, job.payload["status"])
        headers = {"content-type": "application/json", **self._signer.headers(body)}
        try:
            answer = await self._client.send(Request("POST", url, headers, body))
        except AddressRefusedError:
            raise JobHopelessError("address_refused") from None
        except OutgoingError:
            raise JobFailedError("unreachable") from None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise JobFailedError(f"status_{answer.status}")

    def _said(self, kept: Kept, url: str, status: str) -> bytes:
        return msgspec.json.encode(
            {
                "controller_id": kept.controller,
                "expected_completion_time": timestamp(kept.expected_at),
                "status_callback_url": url,
                "subject_request_id": kept.subject_request_id,
                "request_status": status,
                "results_url": None,
            }
        )


async def call_back(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Tell controllers now and then, for ever; nothing where OpenDSR is off.

    Args:
        platform: Whose requests.
        tried: Runs a job, and tells the log where it fails.
        look_seconds: How often to look.
    """
    settings = platform.settings
    if settings.opendsr_origin is None:
        return
    try:
        signer = Signer.load(settings.opendsr_origin, settings.opendsr_key, settings.opendsr_certificate)
        client = way_out(platform)
    except SettingsError as error:  # a server with the same settings does not start
        log(Event.JOB_FAILED, error=error)
        return
    async with client:
        callbacks = Callbacks(platform, signer, client)
        await tried(OpenDsrStore(platform.main, platform.vault).prepare)
        while True:
            await asyncio.sleep(look_seconds)
            await tried(callbacks.run)
