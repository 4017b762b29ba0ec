"""What people and their browsers say without signing in: one click to unsubscribe, and Global Privacy Control.

A page that is only looked at does nothing: scanners open every link of a letter. Every bad token, whatever is wrong with
it, gets the same answer.
"""

import base64
import hashlib
import html
from collections.abc import Awaitable, Callable
from gettext import NullTranslations
from http import HTTPStatus
from typing import Final

from pymongo.errors import PyMongoError
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from audit import AuditError
from customers.errors import CustomersError, UnsubscribeInvalidError
from server.consenting_words import WORDS
from server.logs import Event, log
from server.platform import Platform
from server.portal.languages import Languages
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
_FORM: Final = (
    '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
    "<button>{button}</button></form>"
)
_STYLE_HASH: Final = "sha256-" + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def consent_routes(platform: Platform) -> list[BaseRoute]:
    """The routes; none of them asks who somebody is."""
    return [
        Route("/unsubscribe/{token:path}", _unsubscribe(platform), methods=["GET", "POST"]),
        Route("/.well-known/gpc.json", _gpc, methods=["GET"]),
    ]


async def _gpc(_: Request) -> Response:
    return JSONResponse({"gpc": True, "lastUpdate": GPC_SINCE})


def _unsubscribe(platform: Platform) -> Callable[[Request], Awaitable[Response]]:
    languages = Languages()

    async def unsubscribe(request: Request) -> Response:
        code = languages.chosen(request).code
        words = WORDS[code]
        token: str = request.path_params["token"]
        if len(token) > _LONGEST:
            return _page(code, HTTPStatus.NOT_FOUND, words.bad, _paragraph(words.bad_help))
        try:
            purpose, channel = platform.unsubscriber.purpose(token)
            what = f"{_named(purpose.label, languages.words(code))} {words.channels[channel]}"
            if request.method != "POST":
                asking = _paragraph(words.asking, what) + _FORM.format(button=html.escape(words.button))
                return _page(code, HTTPStatus.OK, words.title, asking)
            # What the body says is not read: RFC 8058's is List-Unsubscribe=One-Click, a browser's form the same.
            await platform.unsubscriber.unsubscribe(token)
        except UnsubscribeInvalidError:
            return _page(code, HTTPStatus.NOT_FOUND, words.bad, _paragraph(words.bad_help))
        except (AuditError, VaultError, PyMongoError, CustomersError, TimeoutError) as error:
            log(Event.REQUEST_FAILED, error=error)
            return _page(code, HTTPStatus.SERVICE_UNAVAILABLE, words.later, _paragraph(words.try_again))
        return _page(code, HTTPStatus.OK, words.done, _paragraph(words.result, what))

    return unsubscribe


def _named(label: str, words: NullTranslations) -> str:
    """A purpose by its label; one that has no other words is told to be in the policy's language."""
    told = words.gettext(label)
    language = "" if told != label else ' lang="en"'
    return f"<strong{language}>{html.escape(told)}</strong>"


def _paragraph(text: str, what: str = "") -> str:
    """A text of ours, and in it what is safe already."""
    return f"<p>{html.escape(text, quote=False).format(what=what)}</p>"


def _page(code: str, status: HTTPStatus, title: str, body: str) -> Response:
    shown = html.escape(title)
    return HTMLResponse(
        f'<!doctype html><html lang="{code}"><head><meta charset="utf-8"><title>{shown}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{shown}</h1>{body}</main></body></html>",
        status_code=status,
        headers={
            "cache-control": "no-store",
            "content-language": code,
            "content-security-policy": f"default-src 'none'; style-src '{_STYLE_HASH}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'",
            "cross-origin-resource-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "vary": "accept-language, cookie",
            "x-content-type-options": "nosniff",
            "x-robots-tag": "noindex",
        },
    )
