"""Who is let in: what is asked for at the door, and what comes of it. No HTTP.

Asking does the same whoever asks: the address is turned into its blind index tokens, counted, and noted with a job. Whether
anybody has it is looked up by that job, when the answer has long been given.
"""

import contextlib
import hmac
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from pymongo.errors import PyMongoError

from customers.access import Access
from customers.disclosure import Disclosure, Request
from customers.jobs import JobStore, NewJob
from customers.profiles.joined import MERGED_INTO
from customers.profiles.person import ids_of_person
from customers.profiles.store import CustomerStore
from server.access.portal_sessions import Held, PortalSessionStore
from server.access.sign_in_links import Asked, Asking, LinkStore, hashed
from server.platform import Platform
from server.portal.door import Visitor
from server.portal.entry.secrets import CODE_DIGITS, secret_text
from server.portal.entry.session import PURPOSE, ListedSession, PortalSession, caller_of
from vault import DataKey, Index

LETTER: Final = "portal_letter"
"""The kind of the jobs that send letters; stored, never renamed."""
MOST_OF_ADDRESS: Final = 5
MOST_OF_NETWORK: Final = 60
WINDOW: Final = timedelta(minutes=15)
_CODE: Final = "portal code"
_FORM: Final = "portal form"


class Doorkeeper:
    """Lets customers in, and knows who is in.

    Args:
        platform: whose customers.
        random: gives that many random bytes.
    """

    def __init__(self, platform: Platform, random: Callable[[int], bytes]) -> None:
        self._platform = platform
        self._vault = platform.vault
        self._random = random
        self._now = platform.now
        self._links = LinkStore(platform.main, now=platform.now, random=random)
        self._sessions = PortalSessionStore(platform.main, now=platform.now, random=random)
        self._jobs = JobStore(platform.main, now=platform.now)
        self._customers = CustomerStore(platform.main)

    # ---- coming in

    async def ask(self, address: str, language: str, network: str) -> str:
        """Have a link and a code sent to an address, if it is a customer's; gives what the browser keeps until then.

        What it does, how long that takes and what it gives are the same whether or not anybody has the address, and
        whether or not too much was asked for.

        Raises:
            vault.InvalidIdentifierError: It cannot be an address, be it anybody's.
        """
        tokens, browser = self._vault.tokens(Index.EMAIL, address), secret_text(self._random)
        await self._ask(Asking.SIGN_IN, hashed(browser), tokens, language, network)
        return browser

    async def let_in_by_link(self, link: str, label: str) -> str | None:
        """Spend a link, and open a session; gives what the browser is to hold, or None where the link is not good."""
        asked = await self._links.spend_link(link)
        return None if asked is None or asked.kind is not Asking.SIGN_IN else await self._let_in(asked, label)

    async def let_in_by_code(self, browser: str, code: str, label: str) -> str | None:
        """As `let_in_by_link`, by the code of the letter that this browser had sent."""
        asked = await self._tried(Asking.SIGN_IN, hashed(browser), code)
        return None if asked is None else await self._let_in(asked, label)

    async def _let_in(self, asked: Asked, label: str) -> str | None:
        try:
            return await self._opened(asked, label)
        except Exception:
            # The log or a database is away: whoever has the link may try again. Told by the caller of this.
            with contextlib.suppress(PyMongoError):
                await self._links.give_back(asked)
            raise

    async def _opened(self, asked: Asked, label: str) -> str | None:
        # In one reading block: an erasure waits for it, and then finds the session.
        async with self._vault.reading():
            holder = await self._vault.blind.holder(asked.tokens)
            if holder is None or holder != asked.customer_id:
                return None  # the address is not theirs any more
            access = self._access(holder, "sign_in")
            if not await self._platform.services.gateway.by_ids(access, frozenset({"id"}), [holder]):
                return None
            await self._platform.log.append(access.disclosure.record(self._now()))
            secret = secret_text(self._random)
            await self._sessions.open(secret, holder, asked.tokens, label)
            await self._customers.heard(holder, self._now())
        return secret

    # ---- being in

    async def find(self, secret: str) -> PortalSession | None:
        """Whose session this is; None where it has ended, or they are erased or were signed out by an operator."""
        held = await self._sessions.find(secret)
        if held is None:
            return None
        revoked = self._platform.revocations.covers(
            token_id=None, subject=held.customer_id, issued_at=held.created_at.timestamp()
        )
        if revoked or not await self._is_theirs(held):
            return None
        return PortalSession(
            id=held.name,
            customer_id=held.customer_id,
            created_at=held.created_at,
            expires_at=held.expires_at,
            step_up_until=held.step_up_until,
            key=self._vault.digest(_FORM, secret).hex(),
        )

    async def sessions_of(self, session: Visitor) -> Sequence[ListedSession]:
        """Every session of this customer that has not ended, the newest first; of all profiles that are one person."""
        mine = await ids_of_person(self._customers, session.customer_id)
        return [
            ListedSession(each.name, each.label, each.created_at, each.seen_at, each.name == session.id)
            for each in await self._sessions.of(mine)
        ]

    async def end(self, session: Visitor, name: str) -> None:
        """End one of this customer's own sessions, and what was asked for in it."""
        key = await self._sessions.end(await ids_of_person(self._customers, session.customer_id), name)
        if key is not None:
            await self._links.drop(key)

    # ---- showing once more

    async def ask_to_confirm(self, secret: str, language: str, network: str) -> None:
        """Have a code sent to the address that this session was opened with."""
        held = await self._sessions.find(secret)
        if held is not None:
            await self._ask(Asking.CONFIRM, held.key, held.tokens, language, network)

    async def confirm(self, secret: str, code: str) -> str | None:
        """Step a session up by its code; gives what the browser is to hold from now on, or None where it is wrong."""
        held = await self._sessions.find(secret)
        asked = None if held is None else await self._tried(Asking.CONFIRM, held.key, code)
        if held is None or asked is None or asked.customer_id is None or not await self._is_theirs(held):
            return None
        async with self._vault.reading():
            if not await self._has_key(held.customer_id):
                return None
            renewed = secret_text(self._random)
            stepped = await self._sessions.step_up(held, renewed)
        return renewed if stepped else None

    # ---- within

    async def _ask(
        self,
        kind: Asking,
        browser: bytes,
        tokens: Sequence[bytes],
        language: str,
        network: str,
    ) -> None:
        now = self._now()
        place = self._vault.digest("portal network", f"{now:%Y-%m-%d}", network)
        often, much = await self._links.counts(kind, tokens[0], place, now - WINDOW, MOST_OF_NETWORK)
        # Who is signed in is not kept waiting by whoever asks at the door.
        if much >= MOST_OF_NETWORK and kind is Asking.SIGN_IN:
            return  # which says something of the network that asks, and of no address
        name = await self._links.add(kind, browser, tokens, language, network=place, silent=often >= MOST_OF_ADDRESS)
        await self._jobs.add([NewJob(LETTER, name, now, payload={"asked": name})])

    async def _tried(self, kind: Asking, browser: bytes, code: str) -> Asked | None:
        digits = "".join(each for each in code if each.isascii() and each.isdigit())[: CODE_DIGITS + 1]
        return await self._links.try_code(
            kind, browser, lambda name: code_digest(self._platform, name, digits), hmac.compare_digest
        )

    async def _is_theirs(self, held: Held) -> bool:
        """Whether the customer of a session is there, and the address it was opened with is nobody else's by now.

        Of profiles that were taken apart, or an address that was given up and taken by another, it may be.
        """
        async with self._vault.reading():
            if not await self._has_key(held.customer_id):
                return False
            holder = await self._vault.blind.holder(held.tokens)
            if holder is None or holder == held.customer_id:
                return True
            found = await self._customers.find([held.customer_id], {MERGED_INTO: 1})
            return any(each.get(MERGED_INTO) == holder for each in found)

    async def _has_key(self, customer_id: str) -> bool:
        return isinstance((await self._vault.keys([customer_id])).get(customer_id), DataKey)

    def _access(self, customer_id: str, operation: str) -> Access:
        caller = caller_of(customer_id)
        grant = self._platform.policies.current.decide(caller.roles, PURPOSE)
        return Access(caller, grant, Disclosure(Request(caller, PURPOSE, None, operation, None, None), grant))


def code_digest(platform: Platform, name: str, code: str) -> bytes:
    """What is kept of a code: without the service key nobody can try the hundred million that there are."""
    return platform.vault.digest(_CODE, name, code)


__all__ = ["LETTER", "Doorkeeper", "code_digest"]
