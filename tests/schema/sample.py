"""A small schema over HTTP, for the protocol's own tests and for `scripts/conformance`.

    python -m tests.schema.sample --port 8123

serves it; every request needs the bearer token `TOKEN`.
"""

import argparse

import strawberry
import uvicorn
from graphql import OperationType
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route

from schema.documents import Documents
from schema.errors import Problem, ProtocolError, UnauthenticatedError
from schema.executor import execute
from schema.graphiql import GraphiQL
from schema.limits import Limits, check_variables
from schema.over_http import GraphQLOverHTTP, GraphQLRequest, GraphQLResponse
from schema.publishing import published

TOKEN = "sample"


@strawberry.type
class Query:
    @strawberry.field(description="Greets.")
    def greeting(self, name: str = "world") -> str:
        return f"Hello, {name}!"

    @strawberry.field(description="Always fails, and bubbles to the top.")
    def broken(self) -> str:
        raise ValueError("secret")

    @strawberry.field(description="Fails where null is allowed.")
    def cracked(self) -> str | None:
        raise ValueError("secret")


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Counts nothing.")
    def touch(self) -> bool:
        return True


SCHEMA = strawberry.Schema(Query, mutation=Mutation)
DOCUMENTS = Documents(SCHEMA, Limits())
PERSISTED: dict[str, str] = {}


async def run(request: GraphQLRequest, http: Request) -> GraphQLResponse:
    """Authenticate, prepare, check, run."""
    if http.headers.get("authorization") != f"Bearer {TOKEN}":
        return GraphQLResponse(
            errors=[published(UnauthenticatedError())], status=401, headers={"WWW-Authenticate": "Bearer"}
        )
    check_variables(request.variables, DOCUMENTS.limits)
    document = DOCUMENTS.prepare(request.query)
    if request.read_only and document.operation_type(request.operation_name) is not OperationType.QUERY:
        raise ProtocolError(Problem.MUTATION_BY_GET)
    document.cost(request.operation_name, request.variables)
    result = await execute(
        SCHEMA, document, variables=request.variables, context=http, operation_name=request.operation_name
    )
    errors = [published(error) for error in result.errors or ()]
    return GraphQLResponse(data=result.data, errors=errors, executed=True)


def app(**options) -> Starlette:
    """GraphQL at /graphql, GraphiQL at /graphiql."""
    endpoint = GraphQLOverHTTP(run, **{"max_bytes": 64 * 1024, "persisted": PERSISTED.get, **options})
    return Starlette(
        routes=[
            Route("/graphql", endpoint, methods=None),
            Mount("/graphiql", GraphiQL(endpoint="/graphql", mounted_at="/graphiql")),
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8123)
    uvicorn.run(app(), host="127.0.0.1", port=parser.parse_args().port, log_level="warning")
