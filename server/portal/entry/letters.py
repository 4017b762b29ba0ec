"""The letters with links and codes: found out to whom, and written, at the time of sending.

A job names what was asked for and nothing else. When it runs, the holder of the address is looked up, the address is
opened from their sealed profile, which is recorded like any read, and only then are a link and a code made: they stand in
the letter and, as a hash and a digest, in the database; nowhere else. What goes out is the address as the profile has it,
never as somebody typed it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from customers.access import Access, Known, Part
from customers.disclosure import Disclosure, Request
from customers.jobs import Job, JobFailedError, JobHopelessError
from customers.profiles.made import UNPROVEN
from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.store import Collection
from server.access.sign_in_links import Asked, Asking, LinkStore, hashed
from server.mail import LetterInvalidError, Mailer, MailRefusedError, MailUnavailableError
from server.platform import Platform
from server.portal.entry.keeper import MOST_OF_ADDRESS, WINDOW, code_digest
from server.portal.entry.secrets import code_text, secret_text
from server.portal.entry.session import PURPOSE, caller_of
from server.portal.entry.writing import Writer
from vault import Index, InvalidIdentifierError

_OPERATION: Final = "sign_in_letter"


@dataclass(frozen=True, slots=True)
class _Ready:
    """A letter that can be written: to whom, and what it says."""

    to: str = field(repr=False)
    link: str | None = field(repr=False)
    code: str = field(repr=False)


class LetterJob:
    """Handles the jobs of what was asked for at the door.

    Args:
        platform: whose customers.
        mailer: sends; None where this server has no way to.
        writer: writes letters.
        random: gives that many random bytes.
    """

    def __init__(
        self, platform: Platform, mailer: Mailer | None, writer: Writer, *, random: Callable[[int], bytes]
    ) -> None:
        self._platform = platform
        self._mailer = mailer
        self._writer = writer
        self._random = random
        self._links = LinkStore(platform.main, now=platform.now, random=random)

    async def __call__(self, job: Job) -> None:
        """Send the letter of a job, if the address is anybody's and it is not too late.

        Raises:
            JobFailedError: The mail server does not take it now.
            JobHopelessError: It will never be taken, or nothing sends letters here.
        """
        asked = await self._links.get(job.payload["asked"])
        if asked is None or asked.silent:
            return
        if await self._links.earlier(asked, asked.at - WINDOW) >= MOST_OF_ADDRESS:
            return  # asked for at the same moment as others, which were not counted yet
        ready = await self._ready(asked)
        if ready is None:
            return
        if self._mailer is None:
            raise JobHopelessError("no_mail")
        try:
            await self._mailer.send(self._writer.letter(asked.kind, ready.to, ready.link, ready.code, asked.language))
        except (LetterInvalidError, MailRefusedError):
            raise JobHopelessError("mail_refused") from None
        except MailUnavailableError:
            raise JobFailedError("mail_unavailable") from None

    async def _ready(self, asked: Asked) -> _Ready | None:
        platform = self._platform
        # In one reading block: an erasure waits for it, and then finds what was noted.
        async with platform.vault.reading():
            holder = await platform.vault.blind.holder(asked.tokens)
            address = None if holder is None else await self._address(holder, asked.tokens)
            if holder is None or address is None:
                return None
            link = secret_text(self._random) if asked.kind is Asking.SIGN_IN else None
            code = code_text(self._random)
            noted = await self._links.sent(
                asked.id,
                holder,
                link=None if link is None else hashed(link),
                code=code_digest(platform, asked.id, code),
            )
        return _Ready(address, link, code) if noted else None

    async def _address(self, customer_id: str, tokens: tuple[bytes, ...]) -> str | None:
        """The customer's address that has these tokens, as their profile spells it; that it is read is recorded."""
        platform = self._platform
        caller = caller_of(customer_id)
        grant = platform.policies.current.decide(caller.roles, PURPOSE)
        access = Access(caller, grant, Disclosure(Request(caller, PURPOSE, None, _OPERATION, None, None), grant))
        found = await platform.services.gateway.by_ids(access, frozenset({"identifiers"}), [customer_id])
        held = found.get(customer_id, {}).get("identifiers")
        if not isinstance(held, list):
            return None
        await platform.log.append(access.disclosure.record(platform.now()))
        doubted = _doubted(next(iter(access.known.values())))
        addresses = [each["value"] for each in held if each["type"] == Index.EMAIL and each["value"] not in doubted]
        return next((each for each in addresses if self._is(each, tokens)), None)

    def _is(self, address: str, tokens: tuple[bytes, ...]) -> bool:
        try:
            return not set(tokens).isdisjoint(self._platform.vault.tokens(Index.EMAIL, address))
        except InvalidIdentifierError:
            return False


def _doubted(known: Known) -> set[str]:
    """The addresses of somebody with an external id that only web pages have named: who named them may be another.

    Anybody can send as a page: a user id that is not known yet with an address of one's own. What is known of that user id
    later is not for that address (`docs/decisions/0007-what-a-page-says-is-not-proven.md`).
    """
    entries: list[dict[str, Any]] = []
    for each in (Part(known.key, known.document), *known.parts):
        envelope = (each.document.get("sealed") or {}).get("identifiers")
        if envelope is not None:
            opened = each.key.open(envelope, Collection.PROFILES, each.document["_id"], "identifiers", SCHEMA_VERSION)
            entries += opened.get("identifiers", ())
    if not any(each["type"] == Index.EXTERNAL_ID for each in entries):
        return set()
    believed = {each["value"] for each in entries if not each.get(UNPROVEN)}
    return {each["value"] for each in entries} - believed


__all__ = ["LetterJob"]
