"""What every connection has (Relay cursor connections)."""

import strawberry

from schema.permission import structural


@strawberry.interface(description="Anything with an id of its own across the whole API.")
class Node:
    """Relay's global object identification."""

    id: strawberry.ID = structural("A name for this object that never changes and holds nothing about the person.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Relay's page information; lists go forward only."""

    has_next_page: bool = structural("Whether more follow after `endCursor`.")
    has_previous_page: bool = structural("Whether this page was asked for with `after`.")
    start_cursor: str | None = structural("The cursor of the first item.")
    end_cursor: str | None = structural("What to give as `after` for the next page.")
