"""Enrichment as the commands and the worker use it: which files, which hosts, and the values that have expired."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from customers.enrichment import (
    RETENTION,
    ROLE,
    Definition,
    DefinitionInvalidError,
    EnrichmentService,
    Parts,
    Swept,
    load_definition,
)
from customers.outgoing import AddressRefusedError, Allowed
from customers.profiles.store import CustomerStore
from policies import PolicySet, UnknownPurposeError
from server.errors import SettingsError
from server.platform import Platform
from server.settings import Settings

_LOOK_SECONDS: Final = 60.0
_ACTOR: Final = "confide"
_OPERATION: Final = "expired values"
_MOST: Final = 200


def allowed_hosts(settings: Settings) -> Allowed:
    """The origins that may be asked although they are in a private network or without TLS.

    Raises:
        SettingsError: One of them is none.
    """
    try:
        return Allowed(settings.outgoing_allowed)
    except AddressRefusedError:
        raise SettingsError(
            "the settings cannot be used:\n  CONFIDE_OUTGOING_ALLOWED: must be a JSON list of origins such as "
            '["http://geo.internal:8080"]'
        ) from None


def definition_named(settings: Settings, policies: PolicySet, name: str) -> Definition:
    """The enrichment of this name, of those in the settings' directory.

    Raises:
        DefinitionInvalidError: There is none, or it cannot be used.
    """
    files = sorted(settings.enrichment_dir.glob("*.toml"))[:_MOST]
    found = next((each for each in files if each.stem == name), None)
    if found is None:
        there = ", ".join(each.stem for each in files) or "none"
        raise DefinitionInvalidError([f"there is no {name}.toml among the enrichments (there are: {there})"])
    return named_as_file(found, load_definition(found, policies))


def named_as_file(path: Path, definition: Definition) -> Definition:
    """The definition, if it is called what its file is: so no two have one name, and one run.

    Raises:
        DefinitionInvalidError: It is not.
    """
    if path.stem != definition.name:
        raise DefinitionInvalidError([f"name must be that of the file, {path.stem}"])
    return definition


async def enrichments(platform: Platform) -> EnrichmentService:
    """Enrichment over a platform's parts."""
    services = platform.services
    parts = Parts(
        gateway=services.gateway,
        store=CustomerStore(platform.main),
        writer=services.writer,
        vault=platform.vault,
        log=platform.log,
        policies=services.policies,
        now=platform.now,
        random=os.urandom,
    )
    return await EnrichmentService.open(platform.main, parts, allowed_hosts(platform.settings))


async def expire(platform: Platform, service: EnrichmentService, actor: str = _ACTOR) -> Swept:
    """Take away the values that have expired, if the policy has a purpose for that."""
    try:
        access = platform.access(actor, (ROLE,), RETENTION, operation=_OPERATION)
    except UnknownPurposeError:
        return Swept(0, 0, 0)  # a policy of the company's own, under which no enrichment runs either
    return await service.expire(access)


async def expire_regularly(
    platform: Platform,
    tried: Callable[[Callable[[], Awaitable[object]]], Awaitable[None]],
    *,
    look_seconds: float = _LOOK_SECONDS,
) -> None:
    """Take expired values away now and then, for ever.

    Args:
        platform: Whose data.
        tried: Runs a job, and tells the log where it fails.
        look_seconds: How often to look.
    """
    service: EnrichmentService | None = None

    async def once() -> None:
        nonlocal service
        service = service or await enrichments(platform)
        await expire(platform, service)

    while True:
        await asyncio.sleep(look_seconds)
        await tried(once)
