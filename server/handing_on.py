"""Privacy requests that came by webhook, handed on in the background to those who answer for privacy."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from customers.access import Access
from customers.rights.handing_on import HandingOn
from customers.rights.requests import RequestStore
from server.platform import Platform
from server.recipients import ACTOR, PURPOSE, ROLE
from server.webhooks import privacy_intake

_LOOK_SECONDS: Final = 5.0


def handing_on(platform: Platform) -> HandingOn:
    """What hands on a platform's requests."""

    def access() -> Access:
        return platform.access(ACTOR, (ROLE,), PURPOSE, operation="webhook.request")

    return HandingOn(
        privacy_intake(platform),
        platform.requests,
        RequestStore(platform.main),
        platform.vault,
        access=access,
    )


async def hand_on_requests(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Hand requests on now and then, for ever.

    Args:
        platform: Whose.
        tried: Runs a job, and tells the log where it fails.
        look_seconds: How often to look.
    """
    handing = handing_on(platform)
    while True:
        await asyncio.sleep(look_seconds)
        await tried(handing.run)
