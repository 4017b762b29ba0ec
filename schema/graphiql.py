"""GraphiQL for development: one page and its assets, all from this server.

It is not for production, where nothing mounts it. The page runs under a strict policy: only scripts and styles with the
page's nonce, connections to this server alone, no frames. Its editor of headers is open and shows what a request needs.
"""

import base64
import html
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.types import Receive, Scope, Send

ASSETS: Final = Path(__file__).parent / "static" / "graphiql"
NONCE_BYTES: Final = 18
DEFAULT_HEADERS: Final[Mapping[str, str]] = {"Authorization": "Bearer ", "Confide-Purpose": "customer_service"}
DEFAULT_QUERY: Final = """# Say who you are, and what for, in the headers below.

query Types {
  __schema {
    types {
      name
      description
    }
  }
}
"""

_TYPES: Final = {".js": b"text/javascript; charset=utf-8", ".css": b"text/css; charset=utf-8"}
_STYLES: Final = ("graphiql.min.css", "start.css")
_SCRIPTS: Final = ("react.production.min.js", "react-dom.production.min.js", "graphiql.min.js", "start.js")
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src-elem 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
    "font-src data:; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>GraphiQL</title>
<link rel="icon" href="data:,">
{styles}
</head>
<body>
<div id="graphiql" data-endpoint="{endpoint}" data-headers="{headers}" data-query="{query}">Loading…</div>
<noscript>GraphiQL needs JavaScript.</noscript>
{scripts}
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    type: bytes
    etag: bytes


class GraphiQL:
    """An ASGI application to mount: the page at its root, its assets below.

    Args:
        endpoint: the path of the GraphQL endpoint.
        mounted_at: the path this is mounted at.
        headers: what the editor of headers shows at first.
        query: what the editor of queries shows at first.
        random: gives that many random bytes, for the nonce.
    """

    def __init__(
        self,
        endpoint: str = "/graphql",
        mounted_at: str = "/graphiql",
        *,
        headers: Mapping[str, str] = DEFAULT_HEADERS,
        query: str = DEFAULT_QUERY,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._base = mounted_at.rstrip("/")
        self._values = {
            "endpoint": html.escape(endpoint),
            "headers": html.escape(json.dumps(headers, indent=2)),
            "query": html.escape(query),
        }
        self._random = random
        self._assets = {name: _asset(name, digest) for name, digest in manifest().items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        del receive
        path = f"{scope['path']}/".removeprefix(f"{self._base}/").strip("/")
        if scope["method"] not in {"GET", "HEAD"}:
            await _send(send, 405, [(b"allow", b"GET, HEAD")])
        elif not path:
            await self._page(scope, send)
        elif path in self._assets:
            await self._file(self._assets[path], scope, send)
        else:
            await _send(send, 404, [])

    async def _page(self, scope: Scope, send: Send) -> None:
        nonce = base64.b64encode(self._random(NONCE_BYTES)).decode()
        styles = "\n".join(f'<link rel="stylesheet" nonce="{nonce}" href="{self._base}/{name}">' for name in _STYLES)
        scripts = "\n".join(f'<script nonce="{nonce}" src="{self._base}/{name}"></script>' for name in _SCRIPTS)
        body = _PAGE.format(styles=styles, scripts=scripts, **self._values).encode()
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", _POLICY.format(nonce=nonce).encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
        ]
        await _send(send, 200, headers, body, head=scope["method"] == "HEAD")

    @staticmethod
    async def _file(asset: _Asset, scope: Scope, send: Send) -> None:
        headers = [(b"content-type", asset.type), (b"etag", asset.etag), (b"cache-control", b"no-cache")]
        if (b"if-none-match", asset.etag) in scope["headers"]:
            await _send(send, 304, headers)
        else:
            await _send(send, 200, headers, asset.content, head=scope["method"] == "HEAD")


def manifest() -> dict[str, str]:
    """The SHA-256 (hexadecimal) of each file that is served, by its name."""
    lines = (ASSETS / "MANIFEST").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def digest_of(name: str) -> str:
    """The SHA-256 that a file has in fact."""
    return sha256((ASSETS / name).read_bytes()).hexdigest()


def _asset(name: str, digest: str) -> _Asset:
    path = ASSETS / name
    return _Asset(path.read_bytes(), _TYPES[path.suffix], f'"{digest[:32]}"'.encode())


async def _send(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"", *, head: bool = False
) -> None:
    given = [*headers, (b"content-length", b"%d" % len(body)), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": b"" if head else body})
