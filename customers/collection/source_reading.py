"""Sources with what they have sent, for one caller. Nothing of anybody is in them; who looks is recorded all the same."""

from collections.abc import Sequence
from typing import Final

from customers.access import Access
from customers.collection.source_counts import SourceCount, SourceCountStore
from customers.collection.sources import Source, SourceStore
from customers.errors import ReadNotAllowedError
from policies import Action, Verdict

OPERATIONS: Final = "system.operations"
"""The category of what is known of how data comes in."""
_KEEPING: Final = "data_management"


class SourceReader:
    """Reads sources and their counts."""

    def __init__(self, sources: SourceStore, counts: SourceCountStore) -> None:
        self._sources = sources
        self._counts = counts

    async def page(
        self, access: Access, *, after: str = "", limit: int = 100
    ) -> tuple[Sequence[tuple[Source, SourceCount]], bool]:
        """Sources by name and what each has sent, and whether there are more; whoever asks is noted in the disclosure.

        For whoever keeps data, as in the console: the purpose is data management or one below it, and the policy lets them
        read `system.operations`.

        Raises:
            ReadNotAllowedError: The caller may not, for this purpose.
        """
        grant = access.grant.of_category(OPERATIONS, Action.READ)
        if not grant or _KEEPING not in access.grant.purpose.lineage:
            access.disclosure.add_fields({OPERATIONS: (Verdict.WITHHELD, grant.rule)})
            raise ReadNotAllowedError([OPERATIONS])
        best = grant.alternatives[0]
        access.disclosure.add_fields({OPERATIONS: (best.verdict, best.rule)})
        counts = await self._counts.all()
        found = [each for each in await self._sources.all() if each.name > after]
        access.disclosure.answered()
        return [(each, counts.get(each.name, SourceCount())) for each in found[:limit]], len(found) > limit
