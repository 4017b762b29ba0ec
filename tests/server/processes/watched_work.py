"""What `kill_awaits` has a process do: `ACTION ID ACTOR [PLACE]`; says the places on stdout, as JSON, unless killed."""

import asyncio
import json
import sys

from server.platform import Platform, open_platform
from server.settings import Settings
from tests.server.processes.awaits import Watch


async def _erase(platform: Platform, customer_id: str, actor: str) -> None:
    access = platform.access(actor, ("privacy_officer",), "privacy_request")
    await platform.services.eraser.erase(access, customer_id)


async def _complete(platform: Platform, request_id: str, actor: str) -> None:
    access = platform.access(actor, ("privacy_officer",), "privacy_request")
    await platform.requests.complete(access, request_id)


_ACTIONS = {"erase": _erase, "complete": _complete}


async def _run(action: str, name: str, actor: str, target: str | None) -> list[str]:
    async with open_platform(Settings()) as platform:
        watch = Watch(target)
        await watch.over(_ACTIONS[action](platform, name, actor))
    return watch.places


def main() -> None:
    _, action, name, actor, *target = sys.argv
    seen = asyncio.run(_run(action, name, actor, target[0] if target else None))
    sys.stdout.write(json.dumps(seen))
