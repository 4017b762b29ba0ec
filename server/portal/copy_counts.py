"""How many copies somebody made of their data today: a copy costs the server seconds, and its reader one is enough.

Documents of `copy_counts` in the main database: `_id`, a pseudonym of the person's and the day under their own key, which
leads to nobody and nowhere once that key is destroyed; `made`; and `until`, when the document is removed. Who can write
here could have somebody wait for the next day, or make more copies.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from customers.profiles.service import ProfileGateway
from server.clock import Now
from server.portal.errors import NothingHereError, TooManyCopiesError
from vault import DataKey, Vault

MOST_A_DAY: Final = 5
_KEPT: Final = timedelta(days=2)


class CopyCounts:
    """Counts copies, of all profiles that are one person together.

    Args:
        database: Where the counts are.
        gateway: Knows which profiles are one person.
        vault: Their keys.
        now: The time.
    """

    def __init__(
        self, database: AsyncDatabase[dict[str, Any]], gateway: ProfileGateway, vault: Vault, now: Now
    ) -> None:
        self._counts = database["copy_counts"]
        self._gateway = gateway
        self._vault = vault
        self._now = now

    async def prepare(self) -> None:
        """Create the index that is missing."""
        await self._counts.create_index("until")

    @asynccontextmanager
    async def one_more(self, customer_id: str) -> AsyncIterator[None]:
        """Let one copy be made in this block; one that could not be made is not counted.

        Raises:
            TooManyCopiesError: They made as many as they may today; nothing was counted.
            NothingHereError: They are erased.
        """
        name = await self._name(customer_id)
        if not await self._counted(name):
            raise TooManyCopiesError
        try:
            yield
        except BaseException:
            await self._counts.update_one({"_id": name}, {"$inc": {"made": -1}})
            raise

    async def prune(self) -> None:
        """Remove the counts of former days."""
        await self._counts.delete_many({"until": {"$lte": self._now()}})

    async def _name(self, customer_id: str) -> str:
        person = (await self._gateway.ids_of(customer_id))[0]
        async with self._vault.reading():
            key = (await self._vault.keys([person])).get(person)
            if not isinstance(key, DataKey):
                raise NothingHereError
            return key.pseudonym(f"copies {self._now():%Y-%m-%d}")

    async def _counted(self, name: str) -> bool:
        for _ in range(2):
            room = {"_id": name, "made": {"$lt": MOST_A_DAY}}
            if (await self._counts.update_one(room, {"$inc": {"made": 1}})).matched_count:
                return True
            try:
                await self._counts.insert_one({"_id": name, "made": 1, "until": self._now() + _KEPT})
            except DuplicateKeyError:
                continue  # the day's last, or another was first at this moment
            return True
        return False


__all__ = ["MOST_A_DAY", "CopyCounts"]
