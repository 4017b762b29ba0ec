"""From the settings to the issuers that are trusted."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from server.access.key_sources import RefreshingKeys, from_file, from_url
from server.access.local_issuer import LocalIssuer
from server.access.tokens import TrustedIssuer
from server.issuer_settings import IssuerSettings
from server.settings import Settings


def trusted_issuers(
    settings: Settings, *, local: LocalIssuer | None, client: httpx.AsyncClient, now: Callable[[], datetime]
) -> list[TrustedIssuer]:
    """The issuers whose tokens this deployment accepts; nothing is fetched until a token of one arrives.

    Args:
        settings: The deployment's settings.
        local: The local issuer; trusted only where the settings accept its tokens.
        client: Fetches JWK sets; the caller closes it.
        now: The clock.
    """
    refresh = timedelta(seconds=settings.jwks_refresh_seconds)
    trusted = [_trusted(entry, client=client, now=now, refresh=refresh) for entry in settings.issuers]
    if local is not None and settings.accepts_local_tokens:
        trusted.append(local.trusted)
    prefixes = {each.actor_prefix for each in trusted}
    if settings.staff_oidc is not None:
        prefixes.add(settings.staff_oidc.actor_prefix)
    # One whose own prefix is shorter, or empty, could otherwise say that somebody is called as another's subject is.
    return [replace(each, reserved=_longer(prefixes, each.actor_prefix)) for each in trusted]


def _longer(prefixes: set[str], own: str) -> frozenset[str]:
    return frozenset(each for each in prefixes if each != own and each.startswith(own))


def _trusted(
    entry: IssuerSettings, *, client: httpx.AsyncClient, now: Callable[[], datetime], refresh: timedelta
) -> TrustedIssuer:
    read = from_file(Path(entry.jwks)) if entry.jwks.startswith("/") else from_url(entry.jwks, client)
    return TrustedIssuer(
        issuer=entry.issuer,
        audience=entry.audience,
        keys=RefreshingKeys(read, now=now, refresh=refresh),
        algorithms=frozenset(entry.algorithms),
        roles_claim=entry.claims.roles,
        purposes_claim=entry.claims.purposes,
        regions_claim=entry.claims.regions,
        customer_claim=entry.claims.customer,
        client_claim=entry.claims.client,
        actor_prefix=entry.actor_prefix,
        allowed_roles=entry.allowed_roles,
    )
