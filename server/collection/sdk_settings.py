"""What Segment's browser SDK asks for before it sends: where to, and that nothing else is to be loaded.

`@segment/analytics-next` fetches `{cdnURL}/v1/projects/{writeKey}/settings` and merges it beneath the page's own
options, so a page that names the write key and `cdnURL` needs nothing more. The members are those that the SDK
reads; destinations, remote plugins, middleware and its own counters (`metrics`) are off.
"""

import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")


def settings_for(write_key: str, scheme: str, host: str) -> bytes:
    """The settings as JSON.

    Args:
        write_key: The source's, as the page has it.
        scheme: `https` or `http`, as pages reach this server.
        host: Its name, with the port if there is one.
    """
    api = f"{host}/v1"
    segment: dict[str, Any] = {
        "apiKey": write_key,
        "apiHost": api,
        "protocol": scheme,
        "addBundledMetadata": True,
        "unbundledIntegrations": [],
        "maybeBundledConfigIds": {},
        "versionSettings": {"version": "4.4.7", "componentTypes": ["browser"]},
    }
    found = {
        "integrations": {"Segment.io": segment},
        "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0, "host": api},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }
    return msgspec.json.encode(found)


def address_of(origin: str | None, scheme: str, host: bytes) -> tuple[str, str] | None:
    """How pages reach this server: scheme and host; None where the request's Host header is no name of any.

    Args:
        origin: The setting that says so, where there is one.
        scheme: The request's.
        host: The request's Host header.
    """
    if origin is not None:
        parts = urlsplit(origin)
        return parts.scheme, parts.netloc
    if not _HOST.fullmatch(host):
        return None
    return scheme, host.decode()


__all__ = ["address_of", "settings_for"]
