"""Letters that show that an address is a customer's: a link that only they can use, while they are signed in, once more.

Nothing is stored: the link holds the address and the customer, sealed, and is good for ten minutes. Used twice it
writes the same address twice. Whoever else opens it, signed in or not, sees nothing.
"""

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from customers.access import Access
from customers.identity.model import IdentifierType
from customers.profiles.writing import ProfileWriter
from server.mail import Letter, Mailer, MailError
from server.portal.errors import NothingHereError
from server.portal.frame import Visit
from server.portal.pages import Pages
from vault import TokenInvalidError, Vault

GOOD_FOR: Final = timedelta(minutes=10)
_TOKEN: Final = "portal_address"  # noqa: S105 - what the token is for
_PATH: Final = "profile.email"
_LETTERS: Final = 5
_WITHIN: Final = timedelta(hours=1)
_MOST: Final = 4096


class _Held(msgspec.Struct):
    address: str
    until: datetime


class Proving:
    """Sends such letters, and opens their links.

    Args:
        vault: seals the links.
        writer: knows how addresses are written.
        mailer: sends.
        pages: renders the letter.
        origin: where browsers find the portal.
        now: the time.
    """

    def __init__(
        self,
        vault: Vault,
        writer: ProfileWriter,
        mailer: Mailer,
        pages: Pages,
        *,
        origin: str,
        now: Callable[[], datetime],
    ) -> None:
        self._vault = vault
        self._writer = writer
        self._mailer = mailer
        self._pages = pages
        self._origin = origin
        self._now = now
        self._sent: OrderedDict[str, list[datetime]] = OrderedDict()

    def normal(self, kind: IdentifierType, written: str) -> str:
        """An address in its normal form.

        Raises:
            customers.errors.InputInvalidError: It is none.
        """
        return self._writer.identifier(kind, written, "value").value

    async def send(self, visit: Visit, address: str, language: str) -> str | None:
        """Send a letter there; why it was not sent: `often` or `mail`. It tells nobody whether anybody has the address."""
        customer = visit.session.customer_id
        if not self._may(customer):
            return "often"
        held = msgspec.msgpack.encode(_Held(address, self._now() + GOOD_FOR))
        token = self._vault.seal_token(_TOKEN, held, customer.encode())
        link = f"{self._origin}{self._pages.base}/prove/{token}"
        subject = visit.words("Is this your e-mail address?")
        values = {"subject": subject, "link": link}
        text = self._pages.letter(language, "letter_prove.txt", **values)
        html = self._pages.letter(language, "letter_prove.html", **values)
        try:
            await self._mailer.send(Letter(address, subject, text, html, language))
        except MailError:
            return "mail"
        return None

    async def tell(self, former: str, language: str) -> None:
        """Tell the former address that it was replaced, for whoever did not do it; what is not sent is not sent."""
        subject = self._pages.languages.words(language).gettext("Your e-mail address with us was changed")
        text = self._pages.letter(language, "letter_changed.txt", subject=subject)
        html = self._pages.letter(language, "letter_changed.html", subject=subject)
        with contextlib.suppress(MailError):
            await self._mailer.send(Letter(former, subject, text, html, language))

    async def keep(self, visit: Visit, address: str, path: str, language: str) -> None:
        """Send the address of a deletion's progress page, which the customer needs when nothing else is left."""
        subject = visit.words("You asked us to delete your data")
        values = {"subject": subject, "link": f"{self._origin}{path}"}
        text = self._pages.letter(language, "letter_deletion.txt", **values)
        html = self._pages.letter(language, "letter_deletion.html", **values)
        with contextlib.suppress(MailError):
            await self._mailer.send(Letter(address, subject, text, html, language))

    def opened(self, visit: Visit, token: str) -> str:
        """The address in a link that was sent for this customer.

        Raises:
            NothingHereError: it is forged, another's or too old.
        """
        try:
            held = msgspec.msgpack.decode(
                self._vault.open_token(_TOKEN, token, visit.session.customer_id.encode()), type=_Held
            )
        except (TokenInvalidError, msgspec.DecodeError):
            raise NothingHereError from None
        if held.until < self._now():
            raise NothingHereError
        return held.address

    async def write(self, access: Access, customer_id: str, address: str) -> None:
        """Write an address that was shown to be the customer's.

        Raises:
            customers.errors.IdentifierTakenError: another record has it.
        """
        proven = replace(access, proven=frozenset({_PATH}))
        async with self._vault.reading():
            await self._writer.update(proven, customer_id, {"email": address})

    def _may(self, customer: str) -> bool:
        now = self._now()
        sent = [each for each in self._sent.pop(customer, []) if each > now - _WITHIN]
        allowed = len(sent) < _LETTERS
        self._sent[customer] = [*sent, now] if allowed else sent
        while len(self._sent) > _MOST:
            self._sent.popitem(last=False)
        return allowed


__all__ = ["GOOD_FOR", "Proving"]
