"""What Confide is measured against: the same fields by default Strawberry, Starlette and uvicorn, with no privacy.

Clear documents, no policy, no keys, no access log; nothing is tuned, and nothing is made worse than its default.
Run by benchmarks/read_path.py.
"""

import os

import strawberry
import uvicorn
from pymongo import AsyncMongoClient
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL

client = AsyncMongoClient(os.environ["BENCHMARK_URI"])
profiles = client["benchmark"]["clear_profiles"]


@strawberry.type
class Profile:
    """Twelve fields, as Confide's profile has them."""

    id: strawberry.ID
    given_name: str | None
    family_name: str | None
    email: str | None
    phone: str | None
    street: str | None
    city: str | None
    country: str | None
    language: str | None
    loyalty_tier: str | None
    total_spent: str | None
    order_count: int | None


def profile(document: dict) -> Profile:
    """The object of a document."""
    return Profile(id=document.pop("_id"), **{k: v for k, v in document.items() if k != "seq"})


@strawberry.type
class ProfileConnection:
    """A page."""

    nodes: list[Profile]


@strawberry.type
class Query:
    """The same two questions."""

    @strawberry.field
    async def profile(self, id: strawberry.ID) -> Profile | None:  # noqa: A002 - the usual name
        """One profile."""
        found = await profiles.find_one({"_id": id})
        return None if found is None else profile(found)

    @strawberry.field
    async def profiles(self, first: int = 25) -> ProfileConnection:
        """A page of profiles."""
        window = {"seq": {"$gt": 0, "$lte": 2 * first}}
        found = await profiles.find(window).sort("seq", 1).limit(first).to_list(None)
        return ProfileConnection(nodes=[profile(each) for each in found])


graphql = GraphQL(strawberry.Schema(Query))
app = Starlette(routes=[Route("/graphql", graphql)])
app.mount("/graphql", graphql)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["BENCHMARK_PORT"]), log_level="warning")
