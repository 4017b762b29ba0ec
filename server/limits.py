"""How much a GraphQL document may ask for, as the settings say."""

from schema.limits import Limits
from server.settings import Settings

__all__ = ["limits_of"]


def limits_of(settings: Settings) -> Limits:
    """The settings' limits; what they do not name keeps its default."""
    return Limits(
        depth=settings.max_depth,
        aliases=settings.max_aliases,
        directives=settings.max_directives,
        tokens=settings.max_tokens,
        cost=settings.max_cost,
    )
