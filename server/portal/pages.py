"""Pages as they leave: in the reader's language, everything escaped, under a policy that lets nothing run at all."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from gettext import NullTranslations
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import jinja2
from starlette.requests import Request
from starlette.responses import Response

from server.portal.languages import LANGUAGES, Chosen, Languages
from server.portal.moments import day, day_time

_HERE: Final = Path(__file__).parent
_NONCE_BYTES: Final = 18
# There is no script in the portal, so none may run.
_POLICY: Final = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not no-referrer, which would take the origin from our own forms as well.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_TYPES: Final[Mapping[str, str]] = {"portal.css": "text/css; charset=utf-8", "mark.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    media_type: str
    etag: str


class Pages:
    """Renders the templates of this package.

    Args:
        base: the path that the portal is mounted at.
        random: gives that many random bytes, for the nonces.
        languages: the words.
        controller: who answers for the data, as the settings name them.
    """

    def __init__(
        self, base: str, random: Callable[[int], bytes], languages: Languages, controller: str | None = None
    ) -> None:
        self.base = base
        self.languages = languages
        self._random = random
        self._assets = {name: _asset(name, kind) for name, kind in _TYPES.items()}
        shared = {
            "base": base,
            "controller": controller,
            "LANGUAGES": LANGUAGES,
            "assets": {name: f"{base}/static/{name}?v={asset.etag[1:17]}" for name, asset in self._assets.items()},
        }
        self._environments = {code: _environment(languages.words(code), code, shared) for code in LANGUAGES}

    def language(self, request: Request) -> str:
        """The code of the language that this request is answered in."""
        return self.languages.chosen(request).code

    def words(self, request: Request) -> NullTranslations:
        """The words that this request is answered in: `words(request).gettext("…")`."""
        return self.languages.words(self.language(request))

    def page(
        self, request: Request, template: str, status: int = 200, *, signed_in: bool = False, **values: Any
    ) -> Response:
        """A page. Everything in it is escaped, whoever wrote it.

        Args:
            request: what it answers; its language is chosen by it.
            template: the file in `templates`.
            status: of HTTP.
            signed_in: whether the frame shows the ways to the other pages; then `form_key` must be among the values.
            values: what the template shows.
        """
        chosen = self.languages.chosen(request)
        nonce = base64.b64encode(self._random(_NONCE_BYTES)).decode()
        here = request.url.path
        text = (
            self._environments[chosen.code]
            .get_template(template)
            .render(nonce=nonce, signed_in=signed_in, here=here, **values)
        )
        headers = {
            **_HEADERS,
            "content-security-policy": _POLICY.format(nonce=nonce),
            "content-language": chosen.code,
        }
        response = Response(text, status, headers, "text/html; charset=utf-8")
        return self._remembering(request, response, chosen)

    def letter(self, language: str, template: str, **values: Any) -> str:
        """The text of a letter; what ends in `.txt` is plain text, in which nothing is escaped."""
        return self._environments[language].get_template(template).render(**values)

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

    def redirect(self, address: str) -> Response:
        """Go on at another address of ours (303: by GET)."""
        return Response(status_code=303, headers={**_HEADERS, "location": address})

    @staticmethod
    def file(content: bytes, name: str, media_type: str) -> Response:
        """A file to keep. `name` is ours, never what somebody sent."""
        return Response(content, 200, file_headers(name), media_type)

    def _remembering(self, request: Request, response: Response, chosen: Chosen) -> Response:
        self.languages.keep(response, chosen, secure=request.url.scheme == "https")
        return response


def file_headers(name: str) -> dict[str, str]:
    """The headers of a file to keep."""
    return {
        **_HEADERS,
        "content-disposition": f'attachment; filename="{name}"',
        "content-security-policy": "default-src 'none'; sandbox",
    }


def _environment(words: NullTranslations, code: str, shared: Mapping[str, Any]) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        # Letters in plain text are no markup; everything else is escaped.
        autoescape=jinja2.select_autoescape(default=True, default_for_string=True, disabled_extensions=("txt",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    # What is put into a message is escaped like everything else.
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        words.gettext, words.ngettext, newstyle=True
    )
    environment.filters.update(
        day=lambda moment: day(moment, code),
        day_time=lambda moment: day_time(moment, code),
        sentence=lambda text: text[:1].upper() + text[1:],  # with its other capitals, unlike `capitalize`
    )
    environment.globals.update(shared, language=code)
    return environment


def _asset(name: str, media_type: str) -> _Asset:
    content = (_HERE / "static" / name).read_bytes()
    return _Asset(content, media_type, f'"{sha256(content).hexdigest()[:32]}"')


__all__ = ["Pages", "file_headers"]
