"""What of a source may change after it was made, and what may not.

Its plan may: it decides about what comes from then on. So may the web origins of a source of pages, and what its consent
categories stand for. Whether it is a source of pages may not: whoever can see its key may send as it, and what it has said
until now counts by that. Nor may what stands before its user ids: whom they mean would be lost.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from customers.collection.errors import PlanDeclassifiesError, PlanNotFoundError
from customers.collection.plans import PlanStore, declassified
from customers.collection.sources import Source, SourceStore, require_origins
from customers.errors import FieldProblem, InputInvalidError, SourceNotFoundError


class Kept(Enum):
    """What is not changed."""

    AS_IT_IS = "as it is"


KEPT: Final = Kept.AS_IT_IS


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What a source is to have from now on; what is `KEPT` stays.

    Attributes:
        plan: The tracking plan of its events; None for none, so that everything is sealed.
        origins: The web origins that may send, instead of those before.
        consent: The purpose that each category of its consent objects stands for, instead of those before.
    """

    plan: str | Kept | None = KEPT
    origins: tuple[str, ...] | Kept = KEPT
    consent: Mapping[str, str] | Kept = KEPT


async def change_source(
    sources: SourceStore,
    plans: PlanStore,
    name: str,
    change: SourceChange,
    *,
    record: Callable[[], Awaitable[object]],
    declassify: bool = False,
) -> Source:
    """Change a source; every process follows within a second.

    Args:
        sources: Where it is.
        plans: The tracking plans.
        name: Its name.
        change: What it is to have.
        record: Records the change; called once it is known to be allowed, and before it is made.
        declassify: Whether a plan may store in clear what the plan before it seals.

    Raises:
        SourceNotFoundError: There is no such source.
        InputInvalidError: A part cannot be, or may not be changed so.
        PlanNotFoundError: There is no plan of this name. A new source may be told of its plan before there is one; of one
            that sends, a misspelt name would seal everything.
        PlanDeclassifiesError: The plan stores in clear what the one before it seals, and `declassify` is not set.
    """
    source = await sources.named(name)
    if source is None:
        raise SourceNotFoundError
    values: dict[str, object] = {}
    if not isinstance(change.origins, Kept) and change.origins != source.origins:
        require_origins(change.origins)
        if bool(change.origins) != bool(source.origins):
            raise InputInvalidError([FieldProblem("origins", _PAGES if source.origins else _SERVERS)])
        values["origins"] = list(change.origins)
    if not isinstance(change.plan, Kept) and change.plan != source.plan:
        new = await plans.current(change.plan) if change.plan is not None else None
        if new is None and change.plan is not None:
            raise PlanNotFoundError
        old = await plans.current(source.plan) if source.plan is not None else None
        if old is not None and new is not None and not declassify and (paths := declassified([old], new)):
            raise PlanDeclassifiesError(paths)
        values["plan"] = change.plan
    if not isinstance(change.consent, Kept) and dict(change.consent) != dict(source.consent):
        values["consent"] = dict(change.consent)
    if not values:
        return source
    await record()
    return await sources.change(name, values)


_PAGES: Final = "of a source of web pages cannot all go: its key is known; make another source for servers"
_SERVERS: Final = "are for sources that were made for web pages; make another source for them"

__all__ = ["KEPT", "Kept", "SourceChange", "change_source"]
