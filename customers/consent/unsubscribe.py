"""One-click unsubscribe (RFC 8058): a token that says whom, of what and how, to nobody but us, and withdraws just that.

A token has no end: a letter of years ago must still unsubscribe. Whoever holds one can take away a consent to one purpose
on one channel and nothing else, as often as they like, which is once.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

import msgspec

from customers.access import Access
from customers.caller import Caller
from customers.consent.model import Channel, ConsentDecision, ConsentState, Rights
from customers.disclosure import Disclosure, Request
from customers.errors import ProfileNotFoundError, UnsubscribeInvalidError
from policies import LawfulBasis, PolicySet, Purpose
from vault import TokenInvalidError, Vault

SOURCE: Final = "unsubscribe"
_KIND: Final = "unsubscribe"
_CONTEXT: Final = b"v1"
_ROLE: Final = "customer"
_PURPOSE: Final = "self_service"


class Recording(Protocol):
    """What records decisions."""

    async def record_consent(
        self,
        access: Access,
        customer_id: str,
        decision: ConsentDecision,
        *,
        only_where: Callable[[Rights], bool] | None = None,
    ) -> None:
        """As `ProfileWriter.record_consent`."""


class _Meant(msgspec.Struct, array_like=True, frozen=True):
    """What a token says. Fields may be added at the end; none may be reordered or removed."""

    customer_id: str
    purpose: str
    channel: Channel


class Unsubscriber:
    """Makes tokens and takes them."""

    def __init__(
        self, writer: Recording, vault: Vault, policies: Callable[[], PolicySet], *, now: Callable[[], datetime]
    ) -> None:
        self._writer = writer
        self._vault = vault
        self._policies = policies
        self._now = now

    def token(self, customer_id: str, purpose: str, channel: Channel) -> str:
        """What unsubscribes this customer from this purpose on this channel; URL-safe."""
        return self._vault.seal_token(_KIND, msgspec.msgpack.encode(_Meant(customer_id, purpose, channel)), _CONTEXT)

    def purpose(self, token: str) -> tuple[Purpose, Channel]:
        """What a token is about; nobody is looked up.

        Raises:
            UnsubscribeInvalidError: It is none of ours, or its purpose is none any more.
        """
        meant = self._meant(token)
        purpose = self._policies().purposes.get(meant.purpose)
        if purpose is None:
            raise UnsubscribeInvalidError
        return purpose, meant.channel

    async def unsubscribe(self, token: str) -> None:
        """Take the consent away, on this channel alone; the next read feels it. Again changes nothing.

        Raises:
            UnsubscribeInvalidError: The token is none of ours, or was somebody's who is erased: nobody can tell which.
            audit.AuditUnavailableError: Nothing was changed.
        """
        meant, (purpose, channel) = self._meant(token), self.purpose(token)
        consented = purpose.basis is LawfulBasis.CONSENT
        decision = ConsentDecision(
            purpose.name,
            ConsentState.WITHDRAWN if consented else ConsentState.OBJECTED,
            self._now(),
            SOURCE,
            channel=channel,
        )

        def stands(rights: Rights) -> bool:
            """Whether there is anything to take away, be it out of force for the moment."""
            if consented:
                return channel in rights.channels(purpose.name)
            return rights.objected.isdisjoint((purpose.name, f"{purpose.name}@{channel.value}"))

        caller = Caller(_ROLE, (_ROLE,), None, frozenset({_PURPOSE}), meant.customer_id, frozenset(), None)
        grant = self._policies().decide(caller.roles, _PURPOSE)
        request = Request(caller, _PURPOSE, None, "unsubscribe", None, None)
        access = Access(caller, grant, Disclosure(request, grant))
        try:
            async with self._vault.reading():
                await self._writer.record_consent(access, meant.customer_id, decision, only_where=stands)
        except ProfileNotFoundError:
            raise UnsubscribeInvalidError from None

    def _meant(self, token: str) -> _Meant:
        try:
            return msgspec.msgpack.decode(self._vault.open_token(_KIND, token, _CONTEXT), type=_Meant)
        except (TokenInvalidError, msgspec.DecodeError, ValueError) as error:
            raise UnsubscribeInvalidError from error
