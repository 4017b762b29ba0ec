"""graphql-core behind nothing: an ASGI function that parses, validates and executes, with no privacy."""

import json
from typing import Any

from graphql import GraphQLResolveInfo, build_schema, graphql
from starlette.types import Receive, Scope, Send

from benchmarks.rivals import documents

_NAMES = (
    ("id", "_id"), ("givenName", "given_name"), ("familyName", "family_name"), ("email", "email"), ("phone", "phone"),
    ("street", "street"), ("city", "city"), ("country", "country"), ("language", "language"),
    ("loyaltyTier", "loyalty_tier"), ("totalSpent", "total_spent"), ("orderCount", "order_count"),
)  # fmt: skip


def _named(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document[stored] for name, stored in _NAMES}


class Root:
    """The same two questions."""

    async def profile(self, _: GraphQLResolveInfo[Any], id: str) -> dict[str, Any] | None:  # noqa: A002 - the argument's
        """One profile."""
        found = await documents.one(id)
        return None if found is None else _named(found)

    async def profiles(self, _: GraphQLResolveInfo[Any], first: int) -> dict[str, Any]:
        """A page of profiles."""
        return {"nodes": [_named(each) for each in await documents.page(first)]}


schema, root = build_schema(documents.SDL), Root()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a POST of JSON, wherever it was sent."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    asked = json.loads(body)
    result = await graphql(schema, asked["query"], root, variable_values=asked.get("variables"))
    answer = json.dumps(result.formatted).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    documents.serve(app)
