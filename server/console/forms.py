"""Forms as they arrive: bounded, of this site, with the key that the page gave out."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from schema.arriving import Arriving
from server.console.errors import FormRefusedError
from server.console.sessions import same
from server.loopback import is_loopback

FORM_KEY: Final = "form_key"
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_MAX_BYTES: Final = 32 * 1024
_MAX_FIELDS: Final = 64
_DIGITS: Final = 12
_SECONDS: Final = 10.0
_MOST_ARRIVING: Final = 256
_NO_FORM: Final = "What was sent is not a form of this console."
_TOO_LONG: Final = "What was sent is longer than any form of this console."
_ELSEWHERE: Final = "This form did not come from this console, so nothing was done. Open the page again and send it."
_OTHER_ADDRESS: Final = "Nothing is done at this address. The console is at "
_UNKNOWN_ADDRESS: Final = (
    "Nothing is done at this address: the server does not know that it can be found here. Behind a proxy it is told "
    "by CONFIDE_CONSOLE_ORIGIN."
)


class FormReader:
    """Receives posted forms; what is too large, too slow or too much is not waited for.

    Args:
        seconds: how long a form may take to arrive.
        most: how many may be on their way at once; then the one that was waited for longest is given up.
    """

    def __init__(self, seconds: float = _SECONDS, most: int = _MOST_ARRIVING) -> None:
        self._arriving = Arriving(seconds, most)

    async def read(self, request: Request) -> dict[str, str]:
        """The fields of a posted form; the first of each name counts, and white space around values does not.

        Raises:
            FormRefusedError: It is not one, or too large, too slow or not text.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
            raise FormRefusedError(_NO_FORM, 415)
        if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise FormRefusedError("A form is sent as it is, without Content-Encoding.", 415)
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > _DIGITS or int(length) > _MAX_BYTES:
            raise FormRefusedError(_TOO_LONG, 413)
        try:
            async with self._arriving.one():
                body = await _body(request)
            pairs = parse_qsl(
                body.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAX_FIELDS,
                separator="&",
            )
        except (ValueError, ClientDisconnect):
            raise FormRefusedError(_NO_FORM, 400) from None
        except TimeoutError:
            raise FormRefusedError("The form did not arrive in time. Send it again.", 408) from None
        fields: dict[str, str] = {}
        for name, value in pairs:
            if "\0" in value:
                raise FormRefusedError("A field holds a character that is not allowed.", 400)
            fields.setdefault(name, value.strip())
        return fields


async def _body(request: Request) -> bytes:
    """The request's body; no more than the longest form and one chunk is ever held."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BYTES:
            raise FormRefusedError(_TOO_LONG, 413)
    return body


def require_key(form: Mapping[str, str], expected: str | None) -> None:
    """Return only if the form brings the key that its page was given.

    Raises:
        FormRefusedError: It does not.
    """
    if expected is None or not same(form.get(FORM_KEY, ""), expected):
        raise FormRefusedError(_ELSEWHERE)


class Site:
    """Where this console is, as browsers see it.

    Args:
        origin: such as `https://confide.example`; None to take it from each request's Host header, which is right
            unless a proxy in front changes the host or speaks TLS for us.
    """

    def __init__(self, origin: str | None) -> None:
        self._origin = None if origin is None else _normal(origin)

    def origin(self, request: Request) -> str:
        """The origin of this request's page."""
        if self._origin is not None:
            return self._origin
        return f"{request.url.scheme}://{request.headers.get('host', '').lower()}"

    def is_secure(self, request: Request) -> bool:
        """Whether the browser reaches us over TLS."""
        return self.origin(request).startswith("https://")

    def may_sign_in(self, request: Request) -> bool:
        """Whether a session's cookie cannot be read on its way: TLS, or this machine alone."""
        try:
            return self.is_secure(request) or is_loopback(urlsplit(self.origin(request)).hostname)
        except ValueError:
            return False

    def require_own(self, request: Request) -> None:
        """Return only if a POST comes from a page of this site (Origin, or Fetch metadata where there is none).

        Raises:
            FormRefusedError: It does not, or does not say.
        """
        told = request.headers.get("origin")
        own = told.lower() == self.origin(request) if told is not None else self._says_same_origin(request)
        if not own and told != "null" and self._says_same_origin(request):
            # A browser that found the server where the server does not know that it is.
            raise FormRefusedError(_UNKNOWN_ADDRESS if self._origin is None else _OTHER_ADDRESS + self._origin)
        if not own or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise FormRefusedError(_ELSEWHERE)

    @staticmethod
    def _says_same_origin(request: Request) -> bool:
        return request.headers.get("sec-fetch-site") == "same-origin"


def _normal(origin: str) -> str:
    """The origin as browsers write it: in lower case, without the port that its scheme has anyway."""
    found = origin.rstrip("/").lower()
    for scheme, port in (("https://", ":443"), ("http://", ":80")):
        if found.startswith(scheme):
            found = found.removesuffix(port)
    return found


__all__ = ["FORM_KEY", "FormReader", "Site", "require_key"]
