"""What people and their browsers say without signing in: one click to unsubscribe, and Global Privacy Control.

A page that is only looked at does nothing: scanners open every link of a letter. Every bad token, whatever is wrong with
it, gets the same answer.
"""

import base64
import hashlib
import html
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from audit import AuditError
from customers.consent.model import Channel
from customers.errors import CustomersError, UnsubscribeInvalidError
from server.logs import Event, log
from server.platform import Platform
from vault import VaultError

GPC_SINCE: Final = "2026-11-23"
"""When what this server does about the signal last changed."""
_LONGEST: Final = 2048
_STYLE: Final = (
    "body{font:17px/1.5 system-ui,sans-serif;max-width:36rem;margin:48px auto;padding:0 16px;color:#1b1f24;background:#fff}"
    "h1{font-size:26px}button{font:inherit;padding:12px 24px;border:0;border-radius:4px;background:#1f5f5b;color:#fff}"
    "button:focus{outline:3px solid #8a5a00;outline-offset:2px}"
    "@media(prefers-color-scheme:dark){body{color:#e8eaed;background:#16191d}button{background:#8fd0ca;color:#10201f}}"
)
_STYLE_HASH: Final = "sha256-" + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_CHANNELS: Final = {
    Channel.EMAIL: "by e-mail",
    Channel.SMS: "by text message",
    Channel.PHONE: "by telephone",
    Channel.POST: "by post",
    Channel.PUSH: "as notifications",
}
_UNAVAILABLE: Final = (
    "Not done yet",
    "<p>We could not write this down just now. Please try again in a few minutes: until then nothing has changed.</p>",
)
_BAD: Final = (
    "This link does not work",
    "<p>It may have been cut off on its way. Open it from the letter again, or answer the letter.</p>",
)


def consent_routes(platform: Platform) -> list[BaseRoute]:
    """The routes; none of them asks who somebody is."""
    return [
        Route("/unsubscribe/{token:path}", _unsubscribe(platform), methods=["GET", "POST"]),
        Route("/.well-known/gpc.json", _gpc, methods=["GET"]),
    ]


async def _gpc(_: Request) -> Response:
    return JSONResponse({"gpc": True, "lastUpdate": GPC_SINCE})


def _unsubscribe(platform: Platform) -> Callable[[Request], Awaitable[Response]]:
    async def unsubscribe(request: Request) -> Response:
        token: str = request.path_params["token"]
        if len(token) > _LONGEST:
            return _page(HTTPStatus.NOT_FOUND, *_BAD)
        try:
            purpose, channel = platform.unsubscriber.purpose(token)
            what = f"<strong>{html.escape(purpose.label)}</strong> {_CHANNELS[channel]}"
            if request.method != "POST":
                return _page(HTTPStatus.OK, "Unsubscribe", _form(what))
            # What the body says is not read: RFC 8058's is List-Unsubscribe=One-Click, a browser's form the same.
            await platform.unsubscriber.unsubscribe(token)
        except UnsubscribeInvalidError:
            return _page(HTTPStatus.NOT_FOUND, *_BAD)
        except (AuditError, VaultError, PyMongoError, CustomersError, TimeoutError) as error:
            log(Event.REQUEST_FAILED, error=error)
            return _page(HTTPStatus.SERVICE_UNAVAILABLE, *_UNAVAILABLE)
        return _page(
            HTTPStatus.OK,
            "You are unsubscribed",
            f"<p>We no longer use your data for {what}. It holds from now on.</p>",
        )

    return unsubscribe


def _form(what: str) -> str:
    return (
        f"<p>We use your data for {what} because you agreed to it or have not objected.</p>"
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        "<button>Stop this</button></form>"
    )


def _page(status: HTTPStatus, title: str, body: str) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>",
        status_code=status,
        headers={
            "cache-control": "no-store",
            "content-security-policy": f"default-src 'none'; style-src '{_STYLE_HASH}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-robots-tag": "noindex",
        },
    )
