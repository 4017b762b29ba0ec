"""What every server in Python here shares: the clear documents, and how it is served."""

import os
from collections.abc import Mapping
from typing import Any

import uvicorn
from pymongo import AsyncMongoClient

__all__ = ["SDL", "one", "page", "serve"]

SDL = """
type Profile {
  id: ID!
  givenName: String
  familyName: String
  email: String
  phone: String
  street: String
  city: String
  country: String
  language: String
  loyaltyTier: String
  totalSpent: String
  orderCount: Int
}
type ProfileConnection { nodes: [Profile!]! }
type Query {
  profile(id: ID!): Profile
  profiles(first: Int! = 25): ProfileConnection!
}
"""

client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(os.environ["BENCHMARK_URI"])
profiles = client["benchmark"]["clear_profiles"]


async def one(customer_id: str) -> dict[str, Any] | None:
    """The document of one customer."""
    return await profiles.find_one({"_id": customer_id})


async def page(first: int) -> list[dict[str, Any]]:
    """The first documents, in their order."""
    # With both ends: the embedded engine does not push a limit down, and this favours nobody.
    window: Mapping[str, Any] = {"seq": {"$gt": 0, "$lte": 2 * first}}
    return await profiles.find(window).sort("seq", 1).limit(first).to_list(None)


def serve(app: Any) -> None:
    """Serve with uvicorn as it comes, on uvloop and httptools."""
    uvicorn.run(app, port=int(os.environ["BENCHMARK_PORT"]), log_level="warning")
