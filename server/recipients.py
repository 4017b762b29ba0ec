"""Recipients on a running platform: telling them in the background, and destroying what was told."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

from customers.access import Access
from customers.collection.event_store import EventStore
from customers.consent.store import ConsentStore
from customers.jobs import JobRunner, JobStore
from customers.outgoing import Allowed, Limits, OutgoingClient
from customers.profiles.store import CustomerStore
from customers.rights.recipients import (
    JOB,
    RETRIES,
    Deliverer,
    DeliveryStore,
    Reach,
    RecipientNotices,
    RecipientService,
    RecipientStore,
)
from server.enrichment import allowed_hosts
from server.errors import SettingsError
from server.logs import Event, log
from server.platform import Platform
from server.signed_answers import proven

ACTOR: Final = "confide"
ROLE: Final = "privacy_officer"
PURPOSE: Final = "privacy_request"
_OPERATION: Final = "recipients.tell"
_LOOK_SECONDS: Final = 5.0
_LONGEST_ANSWER: Final = 64 * 1024
# Jobs try again, and look whether the person was erased meanwhile.
PATIENCE: Final = Limits(longest=_LONGEST_ANSWER, attempts=1, at_once=8)


def recipient_store(platform: Platform) -> RecipientStore:
    """The recipients of a platform."""
    return RecipientStore(platform.main, sealing=platform.vault, random=os.urandom)


def reach(platform: Platform) -> Reach:
    """What tells which recipients have whose data."""
    return Reach(
        ConsentStore(platform.main, now=platform.now),
        EventStore(platform.main),
        lambda: platform.policies.current.purposes,
    )


def recipients(platform: Platform) -> RecipientService:
    """What is done with the recipients of a platform."""
    return RecipientService(
        recipient_store(platform),
        DeliveryStore(platform.main),
        JobStore(platform.main, now=platform.now),
        CustomerStore(platform.main),
        platform.vault,
        reach(platform),
        lambda: platform.policies.current,
        now=platform.now,
    )


def notices(platform: Platform) -> RecipientNotices:
    """What prepares notices on a platform, and destroys their keys."""
    return RecipientNotices(
        recipient_store(platform),
        DeliveryStore(platform.main),
        JobStore(platform.main, now=platform.now),
        CustomerStore(platform.main),
        platform.vault,
        reach(platform),
        now=platform.now,
    )


def way_out(platform: Platform, allowed: Allowed | None = None) -> OutgoingClient:
    """The safe client for what is sent on its own account."""
    return OutgoingClient(allowed or allowed_hosts(platform.settings), PATIENCE, random=os.urandom, now=platform.now)


def deliverer(platform: Platform, client: OutgoingClient) -> Deliverer:
    """What tells recipients."""

    def access() -> Access:
        return platform.access(ACTOR, (ROLE,), PURPOSE, operation=_OPERATION)

    return Deliverer(
        recipient_store(platform),
        DeliveryStore(platform.main),
        CustomerStore(platform.main),
        platform.vault,
        platform.log,
        client,
        lambda: platform.policies.current.catalogue,
        access=access,
        proving=proven,
        now=platform.now,
    )


def runner(platform: Platform, client: OutgoingClient) -> JobRunner:
    """What carries out deliveries that are due."""
    return JobRunner(
        JobStore(platform.main, now=platform.now),
        {JOB: deliverer(platform, client).deliver},
        platform.vault.fleet.process_id,
        now=platform.now,
        random=os.urandom,
        failed=lambda error: log(Event.JOB_FAILED, error=error),
        retries=RETRIES,
    )


async def tell_recipients(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Tell whoever is to be told, and destroy the keys of what was, now and then, for ever.

    Args:
        platform: Whose recipients.
        tried: Runs a job, and tells the log where it fails.
        look_seconds: How often to look.
    """
    prepared, jobs = notices(platform), JobStore(platform.main, now=platform.now)

    async def sweep() -> None:
        await prepared.sweep(platform.services.eraser.destroy)

    try:
        client = way_out(platform)
    except SettingsError as error:
        log(Event.JOB_FAILED, error=error)
        return
    async with client:
        running = runner(platform, client)
        while True:
            await asyncio.sleep(look_seconds)
            await tried(running.run_due)
            await tried(sweep)
            await tried(jobs.prune)
