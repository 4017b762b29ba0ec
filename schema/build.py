"""Builds the GraphQL schema and checks that nothing in it is undeclared."""

from dataclasses import dataclass

import strawberry
from strawberry.schema.config import StrawberryConfig

from policies import Catalogue
from schema import queries
from schema.mutations import Mutation
from schema.mutations.export_access_log import ExportQuery
from schema.permission import declared_paths
from schema.scalars import SCALARS
from schema.types.break_glass import BreakGlassQuery
from schema.types.consent import ConsentQuery
from schema.types.identity_case import IdentityQuery
from schema.types.privacy_request import PrivacyRequestQuery
from schema.types.quality import QualityQuery
from schema.types.recipient import RecipientQuery
from schema.types.retained import RetainedQuery
from schema.types.source import SourceQuery

_GOVERNED = frozenset({"Profile", "Order", "Ticket", "Event", "AccessEntry"})


@strawberry.type(description="Everything that can be asked.")
class Query(
    queries.Query,
    ConsentQuery,
    ExportQuery,
    QualityQuery,
    IdentityQuery,
    PrivacyRequestQuery,
    RecipientQuery,
    RetainedQuery,
    SourceQuery,
    BreakGlassQuery,
):
    """The root of every query, out of its parts."""


@dataclass(frozen=True)
class BuiltSchema:
    """The schema, and which path of the catalogue each of its fields shows."""

    schema: strawberry.Schema
    paths: dict[tuple[str, str], str]


def build_schema(catalogue: Catalogue) -> BuiltSchema:
    """The schema over this catalogue.

    Raises:
        UndeclaredFieldError: A field of a governed type declares no permission, or one the catalogue does not know.
    """
    schema = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    return BuiltSchema(schema, declared_paths(schema, catalogue, _GOVERNED))


def sdl(built: BuiltSchema) -> str:
    """The schema in the schema definition language, as committed in `schema.graphql`."""
    return built.schema.as_str() + "\n"
