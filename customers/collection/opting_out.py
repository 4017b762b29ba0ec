"""What a Global Privacy Control signal means for whoever sent it: an objection to every sale and sharing of their data.

The signal comes with each request of a browser, so it is written down once: whoever has objected is left as they are,
and so is whoever has said since, in so many words, that they no longer object.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from customers.collection.effects import consenting
from customers.consent.model import ConsentDecision, ConsentState
from customers.consent.store import ConsentStore
from customers.profiles.joined import OWN
from customers.profiles.store import CustomerStore, Document
from policies import PolicySet, Purpose

SOURCE: Final = "gpc"
_NEEDED: Final = dict.fromkeys(("rights", "consents", "version", f"{OWN}.rights", f"{OWN}.consents"), 1)
_TRIES: Final = 5


def sales(purposes: Mapping[str, Purpose]) -> list[str]:
    """The purposes that sell or share data, without those below another that does."""
    return [
        name
        for name, purpose in purposes.items()
        if purpose.sale_or_sharing and not any(purposes[above].sale_or_sharing for above in purpose.lineage[1:])
    ]


class OptOuts:
    """Writes objections down for whose browser says so."""

    def __init__(
        self,
        customers: CustomerStore,
        consents: ConsentStore,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._customers = customers
        self._consents = consents
        self._policies = policies
        self._now = now

    async def heard(self, customer_ids: Sequence[str]) -> None:
        """Have these customers object to every sale and sharing; the caller has recorded it."""
        wanted, asked = sales(self._policies().purposes), list(customer_ids)
        for _ in range(_TRIES):
            if not wanted or not asked:
                return
            found = await self._customers.find(asked, _NEEDED)
            asked = [each["_id"] for each in found if not await self._objected(each, wanted)]

    async def _objected(self, document: Document, wanted: Sequence[str]) -> bool:
        """Whether the document says so now; False where somebody else changed it meanwhile."""
        decisions = [
            ConsentDecision(purpose, ConsentState.OBJECTED, self._now(), SOURCE)
            for purpose in wanted
            if not _has_decided(document, purpose)
        ]
        if not decisions:
            return True
        customer_id, version = document["_id"], document["version"]
        await self._consents.append_once(
            (f"{customer_id}:{version}:{SOURCE}:{each.purpose}", customer_id, each) for each in decisions
        )
        purposes = self._policies().purposes
        setting = {**consenting(document, decisions, purposes), "updated_at": self._now()}
        return await self._customers.update(customer_id, version, {"$set": setting})


def _has_decided(document: Mapping[str, Any], purpose: str) -> bool:
    if purpose in (document.get("rights") or {}).get("objected", ()):
        return True
    return any(
        each["purpose"] == purpose and each["state"] == ConsentState.OBJECTION_WITHDRAWN
        for each in document.get("consents", ())
    )
