"""Pages as they leave: rendered with everything escaped, under a policy that lets nothing run but our own files."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jinja2
from starlette.requests import Request
from starlette.responses import Response

from server.console.search import in_form
from server.console.vocabulary import KINDS, OUTCOMES, VERDICTS
from server.console.words import plural

_HERE: Final = Path(__file__).parent
_NONCE_BYTES: Final = 18
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not no-referrer, which would take the origin from our own forms as well.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
_TYPES: Final[Mapping[str, str]] = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    media_type: str
    etag: str


class Pages:
    """Renders the templates of this package.

    Args:
        base: the path that the console is mounted at.
        random: gives that many random bytes, for the nonces.
    """

    def __init__(self, base: str, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._assets = {name: _asset(name, kind) for name, kind in _TYPES.items()}
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(day_time=day_time, plural=plural, in_form=in_form)
        self._environment.globals.update(
            base=base,
            assets={name: f"{base}/static/{name}?v={asset.etag[1:17]}" for name, asset in self._assets.items()},
            KINDS=KINDS,
            OUTCOMES=OUTCOMES,
            VERDICTS=VERDICTS,
        )

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """A page. Everything in it is escaped, whoever wrote it."""
        nonce = base64.b64encode(self._random(_NONCE_BYTES)).decode()
        text = self._environment.get_template(template).render(nonce=nonce, **context)
        headers = {**_HEADERS, "content-security-policy": _POLICY.format(nonce=nonce)}
        return Response(text, status, headers, "text/html; charset=utf-8")

    def asset(self, request: Request) -> Response:
        """One of the files that pages need; the address changes with the file, so browsers may keep it."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            return Response("Not found", 404, dict(_HEADERS), "text/plain")
        headers = {
            "etag": asset.etag,
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
            "content-security-policy": "default-src 'none'",
        }
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, 200, headers, asset.media_type)

    @staticmethod
    def redirect(address: str) -> Response:
        """Go on at another address of ours (303: by GET)."""
        return Response(status_code=303, headers={**_HEADERS, "location": address})

    @staticmethod
    def file(content: bytes, name: str, media_type: str) -> Response:
        """A file to keep. `name` is ours, never what somebody sent."""
        return Response(content, 200, file_headers(name), media_type)


def file_headers(name: str) -> dict[str, str]:
    """The headers of a file to keep."""
    return {
        **_HEADERS,
        "content-disposition": f'attachment; filename="{name}"',
        "content-security-policy": "default-src 'none'; sandbox",
    }


def day_time(text: str | None, *, exact: bool = False) -> str:
    """A moment as the console writes it: `2026-05-14 09:30:00 UTC`; what is no moment stays as it is."""
    if text is None:
        return ""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return text
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'microseconds' if exact else 'seconds')} UTC"


def _asset(name: str, media_type: str) -> _Asset:
    content = (_HERE / "static" / name).read_bytes()
    return _Asset(content, media_type, f'"{sha256(content).hexdigest()[:32]}"')


__all__ = ["Pages", "day_time", "file_headers"]
