"""What the privacy officer finds in the demo: requests at every point of their way, notices, and a job that failed.

All of it goes through the same use cases as anybody's, only as of some days ago; so the access log has the steps.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from customers.access import Access
from customers.jobs import JobStore, NewJob
from customers.profiles.store import CustomerStore
from customers.rights.requests import (
    Denial,
    Extension,
    Kind,
    PrivacyRequest,
    Regime,
    RequestService,
    RequestStore,
    Verification,
)
from server.platform import Platform

_FIRST: Final = 1200  # nobody else in the demo is about these customers
_LETTERS: Final = "customer_service"
_NOTICES: Final = (
    ("newsletter", "2026-03", "en", "May we write to you about new records? You can stop it at any time."),
    ("newsletter", "2026-03", "de", "Dürfen wir Ihnen über neue Platten schreiben? Sie können es jederzeit beenden."),
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request: how many days ago, for what, how it came, what was said, and what was done since, in order."""

    days: int
    kind: Kind
    source: str
    reason: str | None = None
    done: Sequence[str] = ()
    agent: str | None = None
    regime: Regime = Regime.GDPR
    purposes: tuple[str, ...] = ()


_ASKED: Final = (
    _Asked(33, Kind.ERASURE, "letter", "Please delete everything you have of me."),
    _Asked(27, Kind.ACCESS, "portal", "I want to know who looked at my orders.", ("confirm", "begin")),
    _Asked(12, Kind.ERASURE, "portal", "I no longer buy records.", ("confirm", "begin", "agree")),
    _Asked(9, Kind.PORTABILITY, _LETTERS, None, (), regime=Regime.CPRA),
    _Asked(5, Kind.OBJECTION, _LETTERS, "No more calls from the sales team.", ("confirm",), purposes=("sales",)),
    _Asked(3, Kind.RECTIFICATION, "phone_call", "My street is written wrongly: it is Mill Lane."),
    _Asked(2, Kind.ACCESS, "letter", "For my mother.", (), agent="Consumer Advice Centre"),
    _Asked(25, Kind.ERASURE, _LETTERS, "Erase me after the dispute.", ("confirm", "begin", "extend", "hold")),
    _Asked(50, Kind.RESTRICTION, "portal", "I dispute the invoice.", ("confirm", "begin", "complete")),
    _Asked(20, Kind.ACCESS, "letter", "Send me all data.", ("deny",)),
    _Asked(8, Kind.OPT_OUT, "shop", None, ("cancel",), regime=Regime.CPRA),
)


async def ask(platform: Platform, ids: Sequence[str]) -> None:
    """Make it all, for the customers of these ids."""
    for place, asked in enumerate(_ASKED):
        await _ask(platform, ids[(_FIRST + place) % len(ids)], asked)
    if platform.services.consents is not None:
        access = _officer(platform, "demo")
        async with platform.vault.reading():
            for notice in _NOTICES:
                await platform.services.consents.publish(access, *notice)
    await _fail(platform)


def _officer(platform: Platform, actor: str) -> Access:
    return platform.access(actor, ("privacy_officer",), "privacy_request", operation="confide demo")


async def _ask(platform: Platform, customer_id: str, asked: _Asked) -> None:
    requests, access = _service(platform, asked.days), _officer(platform, "lea.privacy")
    async with platform.vault.reading():
        opened = await requests.open(
            access,
            asked.kind,
            customer_id,
            source=asked.source,
            reason=asked.reason,
            agent=asked.agent,
            purposes=asked.purposes,
            regime=asked.regime,
        )
    for number, step in enumerate(asked.done, start=1):
        later = _service(platform, max(0, asked.days - number))
        if step in ("agree", "complete"):
            await later.complete(access, opened.id)  # waits for reads, so not in one
            continue
        async with platform.vault.reading():
            await _step(later, access, opened, step)


async def _step(requests: RequestService, access: Access, request: PrivacyRequest, step: str) -> None:
    match step:
        case "confirm":
            await requests.confirm(access, request.id, Verification.CONTACT)
        case "begin":
            await requests.begin(access, request.id)
        case "extend":
            await requests.extend(access, request.id, Extension.COMPLEXITY)
        case "hold":
            await requests.hold(access, request.id, held=True)
        case "deny":
            await requests.deny(access, request.id, Denial.IDENTITY_NOT_VERIFIED)
        case _:
            await requests.cancel(access, request.id)


def _service(platform: Platform, days: int) -> RequestService:
    """What keeps requests, some days ago."""
    services, ago = platform.services, timedelta(days=days)
    return RequestService(
        RequestStore(platform.main),
        CustomerStore(platform.main),
        platform.vault,
        platform.log,
        services.writer,
        services.eraser,
        JobStore(platform.main, now=platform.now),
        lambda: platform.policies.current,
        now=lambda: platform.now() - ago,
        random=os.urandom,
    )


async def _fail(platform: Platform) -> None:
    """A reminder that was given up on."""
    jobs = JobStore(platform.main, now=platform.now)
    kind = "request_reminder"
    due = platform.now() - timedelta(days=1)
    made = NewJob(kind, "demo", due, payload={"request": "req_demo"})
    await jobs.add([made])
    for job in await jobs.take([kind], "demo", limit=100, lease=timedelta(minutes=1)):
        if job.id == made.id:
            await jobs.bury(job, "process_lost")
        else:
            await jobs.postpone(job, job.due)


__all__ = ["ask"]
