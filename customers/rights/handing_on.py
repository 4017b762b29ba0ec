"""Privacy requests that came by webhook become requests that somebody works on.

Whoever sent one is trusted by the signature, so the person need not show again who they are (`Verification.SENDER`).
Done twice it is done once: a request that is open is joined. A request of which nobody is known ends at once, for there
is nothing to do; one for a whole shop waits for a person.
"""

from collections.abc import Callable
from typing import Final

from customers.access import Access
from customers.collection.webhooks import RequestKind
from customers.collection.webhooks.requests import PrivacyIntake, Waiting
from customers.errors import ProfileNotFoundError
from customers.rights.requests import (
    Kind,
    RequestChangedError,
    RequestNotFoundError,
    RequestService,
    RequestStateError,
    RequestStore,
    State,
    Verification,
)
from vault import Vault

SOURCE: Final = "webhook"
_KINDS: Final = {RequestKind.ACCESS: Kind.ACCESS, RequestKind.ERASURE: Kind.ERASURE}


class HandingOn:
    """Hands on what the intake keeps.

    Args:
        intake: What came.
        requests: Where it goes.
        store: Where it is looked at.
        vault: The keys.
        access: As whom.
    """

    def __init__(
        self,
        intake: PrivacyIntake,
        requests: RequestService,
        store: RequestStore,
        vault: Vault,
        *,
        access: Callable[[], Access],
    ) -> None:
        self._intake = intake
        self._requests = requests
        self._store = store
        self._vault = vault
        self._access = access

    async def run(self) -> int:
        """Hand on what is new, and settle what was answered; give how many that were."""
        count = 0
        for each in await self._intake.waiting_ones():
            count += await (self._open(each) if each.request is None else self._settle(each))
        return count

    async def _open(self, waiting: Waiting) -> bool:
        kind = _KINDS.get(waiting.kind)
        if kind is None:  # for a whole shop
            return False
        if waiting.customer_id is None:
            await self._intake.met(waiting.id)
            return True
        async with self._vault.reading():
            try:
                request = await self._requests.open(self._access(), kind, waiting.customer_id, source=SOURCE)
                await self._intake.became(waiting.id, request.id)
                if request.state is State.RECEIVED:
                    await self._requests.confirm(self._access(), request.id, Verification.SENDER)
            except ProfileNotFoundError:  # erased meanwhile, and with that settled
                await self._intake.met(waiting.id)
            except (RequestChangedError, RequestNotFoundError, RequestStateError):
                return False  # somebody works on it at this moment; it is looked at again
        return True

    async def _settle(self, waiting: Waiting) -> bool:
        found = await self._store.get(waiting.request or "")
        if found is not None and found.request.open:
            if found.request.state is State.RECEIVED and not found.request.agent:  # it died before it was confirmed
                async with self._vault.reading():
                    await self._requests.confirm(self._access(), found.request.id, Verification.SENDER)
                return True
            return False
        await self._intake.met(waiting.id)
        return True
