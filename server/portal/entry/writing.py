"""What the letters of the portal's door say, in the language of whoever asked. Pure."""

from html import escape
from typing import Final

from server.access.sign_in_links import Asking
from server.mail import Letter
from server.portal.languages import Languages

_STYLE: Final = "font:17px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:36rem"
_CODE: Final = "font-size:26px;letter-spacing:4px"


class Writer:
    """Writes letters.

    Args:
        languages: the words.
        address: where the portal is, such as `https://me.example/portal`, with no `/` at the end.
        controller: who answers for the data, as the settings name them.
    """

    def __init__(self, languages: Languages, address: str, controller: str | None) -> None:
        self._languages = languages
        self._address = address
        self._controller = controller

    def letter(self, kind: Asking, to: str, link: str | None, code: str, language: str) -> Letter:
        """The letter with a link, if there is one, and a code."""
        _ = self._languages.words(language).gettext
        whose = self._controller or _("Your data")
        match kind:
            case Asking.SIGN_IN:
                subject, why = (
                    _("Sign in to see your data"),
                    _("Somebody asked to see the data kept under this address."),
                )
            case Asking.CONFIRM:
                subject, why = _("Your code"), _("You are about to do something that needs your confirmation.")
        otherwise = _("If that was not you, do nothing: without this e-mail nobody gets in.")
        spelled = f"{code[:4]} {code[4:]}"
        with_code = _("Enter this code on the page where you asked for it:")
        ends = _("It works once, and for ten minutes.")
        parts = [("p", why)]
        if link is not None:
            parts += [("p", _("Open this page and press the button:")), ("link", f"{self._address}/sign-in/{link}")]
            with_code = _("Or enter this code on the page where you asked for it:")
        parts += [("p", with_code), ("code", spelled), ("p", ends), ("p", otherwise)]
        text = "\n\n".join([whose, *(part for _kind, part in parts)]) + "\n"
        body = "".join(_html(how, part) for how, part in parts)
        html = (
            f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(subject)}</title></head>'
            f'<body><div style="{_STYLE}"><p><b>{escape(whose)}</b></p>{body}</div></body></html>\n'
        )
        return Letter(to, subject, text, html, language)


def _html(how: str, part: str) -> str:
    safe = escape(part)
    if how == "link":
        return f'<p><a href="{safe}">{safe}</a></p>'
    return f'<p style="{_CODE}"><b>{safe}</b></p>' if how == "code" else f"<p>{safe}</p>"


__all__ = ["Writer"]
