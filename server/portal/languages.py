"""Which language a page is in, and its words: message catalogues that are read once, when the server starts.

English is the language of the messages themselves; a word that a catalogue does not have is shown in English.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from starlette.requests import Request
from starlette.responses import Response

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "de": "Deutsch", "fr": "Français"}
"""The languages by code, each by its own name."""
DEFAULT: Final = "en"
COOKIE: Final = "confide_lang"
PARAMETER: Final = "lang"
_DOMAIN: Final = "portal"
_HERE: Final = Path(__file__).parent / "translations"
_YEAR: Final = 365 * 86_400
_MOST_ACCEPTED: Final = 16


@dataclass(frozen=True, slots=True)
class Chosen:
    """A language that was chosen, and whether it was by this very request."""

    code: str
    now: bool


class Languages:
    """The words of every language.

    Args:
        directory: where the catalogues are: `<code>/LC_MESSAGES/portal.po`.
    """

    def __init__(self, directory: Path = _HERE) -> None:
        self._words = {code: _catalogue(directory, code) for code in LANGUAGES}

    def words(self, code: str) -> NullTranslations:
        """The words of a language; English for one that there is not."""
        return self._words.get(code) or self._words[DEFAULT]

    @staticmethod
    def chosen(request: Request) -> Chosen:
        """What a page is to be in: as its address says, as was chosen before, or as the browser prefers."""
        asked = request.query_params.get(PARAMETER, "")
        if asked in LANGUAGES:
            return Chosen(asked, now=True)
        before = request.cookies.get(COOKIE, "")
        if before in LANGUAGES:
            return Chosen(before, now=False)
        return Chosen(_preferred(request.headers.get("accept-language", "")), now=False)

    @staticmethod
    def keep(response: Response, chosen: Chosen, *, secure: bool) -> None:
        """Have the browser remember a language that was chosen just now."""
        if chosen.now:
            response.set_cookie(
                COOKIE, chosen.code, max_age=_YEAR, path="/", secure=secure, httponly=True, samesite="lax"
            )


def _preferred(accepted: str) -> str:
    """The first of a browser's languages that there is (RFC 9110, section 12.5.4)."""
    found: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted.split(",")[:_MOST_ACCEPTED]):
        tag, _, rest = part.strip().lower().partition(";")
        weight = rest.strip().removeprefix("q=") if rest.strip().startswith("q=") else "1"
        try:
            quality = float(weight)
        except ValueError:
            continue
        code = tag.partition("-")[0].strip()
        if code in LANGUAGES and 0 < quality <= 1:
            found.append((-quality, place, code))
    return min(found)[2] if found else DEFAULT


def _catalogue(directory: Path, code: str) -> NullTranslations:
    path = directory / code / "LC_MESSAGES" / f"{_DOMAIN}.po"
    if not path.exists():  # the language that the messages are written in
        return NullTranslations()
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code, domain=_DOMAIN)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain=_DOMAIN)


__all__ = ["COOKIE", "DEFAULT", "LANGUAGES", "PARAMETER", "Chosen", "Languages"]
