"""Privacy requests that senders of webhooks hand on, kept until somebody works on them.

No value that says who it is about is stored: a request names our customer, who was found by what it said, or nobody
where we know nobody by that. Who can read here sees that a customer made a request; who can write can remove one or
make one up. Working on requests is not done here (customers/rights/handing_on.py does), but for one thing: when the
customer is erased, whatever was asked of them is settled, and the request names them no more. That it was made and when
it was met stays, as proof.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.collection.sources import Source
from customers.collection.webhooks.delivery import PrivacyRequest, RequestKind
from vault import InvalidIdentifierError

# Shopify's term; that of the GDPR (Article 12(3)) is a month.
TERM: Final = timedelta(days=30)
_MOST: Final = 1_000


class Finding(Protocol):
    """What of the blind index is asked."""

    async def find(self, index: str, value: str) -> str | None:
        """As `BlindIndex.find`."""


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request as it is stored.

    Attributes:
        source: The source that handed it on.
        kind: What is asked for.
        shop: The shop whose customer it is.
        customer_id: Our customer; None where we know nobody by what was said, for a whole shop, and once they are erased.
        received_at: When it came first.
        due_at: Until when it must have been met.
        settled_at: When it was met: with the customer's erasure, with the request that it became, or, of a whole shop, when
            somebody said so.
    """

    source: str
    kind: RequestKind
    shop: str
    customer_id: str | None
    received_at: datetime
    due_at: datetime
    settled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that is not settled: by what it is known here, and which request it became, if it did."""

    id: bytes
    kind: RequestKind
    customer_id: str | None
    request: str | None


class PrivacyIntake:
    """Keeps requests, each once however often it is delivered.

    Args:
        database: The main database.
        blind: Finds customers.
        digest: As `Vault.digest`.
        now: The time.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        blind: Finding,
        digest: Callable[..., bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._requests = database["privacy_intake"]
        self._blind = blind
        self._digest = digest
        self._now = now

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._requests.create_index("customer_id")
        await self._requests.create_index("waiting")

    async def keep(self, source: Source, request: PrivacyRequest) -> bool:
        """Return when the request is durable; whether it was not there before.

        Raises:
            pymongo.errors.PyMongoError: It may not be there.
            LeaseLostError: This process holds no keys.
        """
        name = self._digest("privacy_request", source.name, request.message_id)
        now = self._now()
        document: dict[str, Any] = {
            "_id": name,
            "source": source.name,
            "kind": request.kind.value,
            "shop": request.shop,
            "customer_id": await self._who(source, request.person),
            "received_at": now,
            "due_at": now + TERM,
        }
        if request.kind is not RequestKind.SHOP_ERASURE:  # which no program decides (docs/decisions/0012)
            document["waiting"] = True
        try:
            await self._requests.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def _who(self, source: Source, person: Iterable[tuple[str, str]]) -> str | None:
        """The first of what is said of somebody that one of our customers is known by."""
        for index, value in person:
            told = f"{source.id_system}:{value}" if index == "external_id" else value
            try:
                found = await self._blind.find(index, told)
            except InvalidIdentifierError:
                continue
            if found is not None:
                return found
        return None

    async def settle(self, customer_ids: Sequence[str]) -> None:
        """Note that these customers are erased: nothing is left that could be asked of them."""
        await self._requests.update_many(
            {"customer_id": {"$in": list(customer_ids)}},
            {"$set": {"customer_id": None, "settled_at": self._now()}, "$unset": {"waiting": ""}},
        )

    async def waiting(self, customer_ids: Sequence[str]) -> int:
        """How many requests about these customers there are that are not settled."""
        return len(await self._requests.find({"customer_id": {"$in": list(customer_ids)}}, {"_id": 1}).to_list(None))

    async def waiting_ones(self) -> list[Waiting]:
        """Requests about somebody that are not settled, at most a thousand."""
        found = await self._requests.find({"waiting": True}).limit(_MOST).to_list(None)
        return [
            Waiting(bytes(each["_id"]), RequestKind(each["kind"]), each["customer_id"], each.get("request"))
            for each in found
        ]

    async def became(self, name: bytes, request_id: str) -> None:
        """A request is worked on under this id."""
        await self._requests.update_one({"_id": name}, {"$set": {"request": request_id}})

    async def met(self, name: bytes) -> None:
        """A request is settled; what was settled before stays so."""
        change = {"$set": {"settled_at": self._now()}, "$unset": {"waiting": ""}}
        await self._requests.update_one({"_id": name, "waiting": True}, change)

    async def met_for_shop(self, source: str, shop: str) -> int:
        """Somebody has seen to the requests of a source for this whole shop; give how many that settles."""
        wanted = {"kind": RequestKind.SHOP_ERASURE.value, "source": source, "shop": shop, "settled_at": None}
        return (await self._requests.update_many(wanted, {"$set": {"settled_at": self._now()}})).modified_count

    async def all(self) -> list[KeptRequest]:
        """The requests, at most a thousand: those not settled first, the one that is due first first."""
        found = await self._requests.find({}).limit(_MOST).to_list(None)
        return sorted(map(_kept, found), key=lambda each: (each.settled_at is not None, each.due_at))


def _kept(document: Mapping[str, Any]) -> KeptRequest:
    return KeptRequest(
        source=document["source"],
        kind=RequestKind(document["kind"]),
        shop=document["shop"],
        customer_id=document["customer_id"],
        received_at=document["received_at"],
        due_at=document["due_at"],
        settled_at=document.get("settled_at"),
    )


__all__ = ["TERM", "KeptRequest", "PrivacyIntake", "Waiting"]
