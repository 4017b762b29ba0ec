"""Strawberry with what it offers against its own cost: parsed and validated documents are kept, orjson writes JSON."""

import orjson
import strawberry
from strawberry.asgi import GraphQL
from strawberry.extensions import ParserCache, ValidationCache

from benchmarks.rivals.strawberry_default import Query, serve


class QuickGraphQL(GraphQL):
    """Strawberry's view, with orjson."""

    def encode_json(self, data: object) -> bytes:
        """The bytes of an answer."""
        return orjson.dumps(data)

    def decode_json(self, data: str | bytes) -> object:
        """The body of a request."""
        return orjson.loads(data)


if __name__ == "__main__":
    # What they keep is the process's, whatever number of them is made.
    kept = [lambda: ParserCache(maxsize=100), lambda: ValidationCache(maxsize=100)]
    serve(QuickGraphQL(strawberry.Schema(Query, extensions=kept)))
