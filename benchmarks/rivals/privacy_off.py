"""Confide's own engine with privacy off: how much of Confide's cost is privacy, and how much merely answering.

The same compiled execution (`schema.execution`), the same prepared documents, the same GraphQL over HTTP, the same
coalescing of look-ups, uvicorn with the same protocol on the same loop, garbage looked for as seldom. Clear documents and
plain resolvers; no token, no purpose, no policy, no consent, no keys, no access log, no telemetry and no lines of log.
"""

import asyncio
import os
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, cast

import strawberry
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from benchmarks.rivals import documents
from benchmarks.rivals.strawberry_default import Profile, ProfileConnection, profile
from schema.documents import Documents
from schema.executor import execute
from schema.limits import Limits
from schema.over_http import GraphQLOverHTTP, GraphQLRequest, GraphQLResponse
from server import garbage
from server.http_protocol import HeadDeadlineProtocol
from vault.coalescing import Coalescer


async def _fetch(customer_ids: Collection[str]) -> Mapping[str, dict[str, Any]]:
    wanted = list(customer_ids)
    query = {"_id": wanted[0] if len(wanted) == 1 else {"$in": wanted}}
    return {each["_id"]: each for each in await documents.profiles.find(query).to_list(None)}


@strawberry.type
class Query:
    """The same two questions, point reads put together as Confide does."""

    @strawberry.field
    async def profile(self, info: strawberry.Info, id: strawberry.ID) -> Profile | None:  # noqa: A002 - the usual name
        """One profile."""
        found = (await info.context.get((id,))).get(id)
        return None if found is None else profile(dict(found))

    @strawberry.field
    async def profiles(self, first: int = 25) -> ProfileConnection:
        """A page of profiles."""
        return ProfileConnection(nodes=[profile(each) for each in await documents.page(first)])


async def _serve() -> None:
    built = strawberry.Schema(Query)
    prepared = Documents(built, Limits())
    asked: Coalescer[str, dict[str, Any]] = Coalescer(_fetch)

    async def run(request: GraphQLRequest, _: Request) -> GraphQLResponse:
        document = prepared.prepare(request.query)
        document.cost(request.operation_name, request.variables)
        result = await execute(
            built,
            document,
            variables=request.variables,
            context=asked,
            operation_name=request.operation_name,
            structs=True,
        )
        errors = None if result.errors is None else [error.formatted for error in result.errors]
        return GraphQLResponse(data=result.data, errors=errors, executed=True)

    config = uvicorn.Config(
        Starlette(routes=[Route("/graphql", GraphQLOverHTTP(run))]),
        http=cast("Any", partial(HeadDeadlineProtocol, head_seconds=10.0)),
        port=int(os.environ["BENCHMARK_PORT"]),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        limit_concurrency=1024,
    )
    garbage.settle()
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
