"""Removes what the search for profiles that are one person keeps of customers: tokens, and what was seen of them."""

from collections.abc import Sequence
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from vault.candidate_index import forget_candidates

RECORDS: Final = "match_records"
_AT_ONCE: Final = 100


async def forget_matching(database: AsyncDatabase[dict[str, Any]], customer_ids: Sequence[str]) -> None:
    """Remove everything of these customers; needs no keys."""
    await forget_candidates(database, customer_ids)
    for start in range(0, len(customer_ids), _AT_ONCE):
        await database[RECORDS].delete_many({"_id": {"$in": list(customer_ids[start : start + _AT_ONCE])}})
