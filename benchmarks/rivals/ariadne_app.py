"""Ariadne as its documentation shows it, with no privacy."""

from typing import Any

from ariadne import QueryType, make_executable_schema
from ariadne.asgi import GraphQL

from benchmarks.rivals import documents

query = QueryType()


def named(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its id where the schema looks for it."""
    document["id"] = document.pop("_id")
    return document


@query.field("profile")
async def profile(_: Any, __: Any, *, id: str) -> dict[str, Any] | None:  # noqa: A002 - the argument's name
    """One profile."""
    found = await documents.one(id)
    return None if found is None else named(found)


@query.field("profiles")
async def profiles(_: Any, __: Any, *, first: int) -> dict[str, Any]:
    """A page of profiles."""
    return {"nodes": [named(each) for each in await documents.page(first)]}


if __name__ == "__main__":
    documents.serve(GraphQL(make_executable_schema(documents.SDL, query, convert_names_case=True)))
