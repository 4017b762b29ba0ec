"""Default Strawberry, Starlette and uvicorn, with no privacy: nothing is tuned, and nothing made worse than its default."""

from typing import Any

import strawberry
from starlette.applications import Starlette
from starlette.routing import Route
from strawberry.asgi import GraphQL

from benchmarks.rivals import documents

__all__ = ["Query", "serve"]


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


def profile(document: dict[str, Any]) -> Profile:
    """The object of a document."""
    return Profile(id=document.pop("_id"), **{name: value for name, value in document.items() if name != "seq"})


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
        found = await documents.one(id)
        return None if found is None else profile(found)

    @strawberry.field
    async def profiles(self, first: int = 25) -> ProfileConnection:
        """A page of profiles."""
        return ProfileConnection(nodes=[profile(each) for each in await documents.page(first)])


def serve(view: GraphQL) -> None:
    """Serve a view of Strawberry's."""
    documents.serve(Starlette(routes=[Route("/graphql", view)]))


if __name__ == "__main__":
    serve(GraphQL(strawberry.Schema(Query)))
