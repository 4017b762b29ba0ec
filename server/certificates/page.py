"""The readable page of a certificate: one small HTML text without scripts, pictures or anything from elsewhere.

It is in the languages of the portal, with the words of its catalogues. What the certificate itself says stays as it is,
but for the law, which is named in the reader's language where a catalogue has it.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import jinja2

from audit import timestamp
from customers.rights.certificate import Certificate
from customers.rights.recipients import Delivery, State
from server.portal.languages import LANGUAGES, Languages
from server.portal.moments import day, day_time

_TEMPLATES: Final = Path(__file__).parent / "templates"
_STYLE: Final = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 44rem; padding: 2rem 1rem }
h1 { font-size: 1.5rem; line-height: 1.2 } h2 { font-size: 1.1rem; margin-top: 2rem }
dt { font-weight: 600; margin-top: .75rem } dd { margin: 0 }
code { overflow-wrap: anywhere } li { margin-bottom: .25rem } pre { overflow-x: auto; padding: .5rem 0 }
"""
STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
"""The SHA-256 of the page's style, for its content security policy."""


class CertificatePages:
    """Renders certificates.

    Args:
        languages: the words.
        labels: what fields are called in English, by their paths.
    """

    def __init__(self, languages: Languages, labels: Mapping[str, str]) -> None:
        self._templates = {code: _template(languages, code, labels) for code in LANGUAGES}

    def page(self, language: str, certificate: Certificate, digest: str, deliveries: Sequence[Delivery]) -> str:
        """The page.

        Args:
            language: of the reader, by its code.
            certificate: what is certified.
            digest: of its bytes.
            deliveries: what those who are to be told of it were told.
        """
        told = dict.fromkeys(certificate.recipients)
        told |= {each.recipient: timestamp(each.told_at) for each in deliveries if each.told_at is not None}
        failed = {each.recipient for each in deliveries if each.state is State.GIVEN_UP}
        return self._templates[language].render(it=certificate, digest=digest, told=told, failed=failed)


def _template(languages: Languages, code: str, labels: Mapping[str, str]) -> jinja2.Template:
    words = languages.words(code)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
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
        named=lambda path: words.gettext(labels[path]) if path in labels else path,
    )
    environment.globals.update(LANGUAGES=LANGUAGES, language=code, style=_STYLE, words=words.gettext)
    return environment.get_template("certificate.html")


__all__ = ["STYLE_HASH", "CertificatePages"]
