"""Sources, tracking plans and violations, as the console shows and changes them. Nothing of anybody is in them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from audit import AccessLog, AccessQuery, Kind
from customers.collection.errors import PlanDeclassifiesError, PlanNotFoundError
from customers.collection.plans import PlanStore, PlanVersion
from customers.collection.source_changes import SourceChange, change_source
from customers.collection.source_counts import SourceCount, SourceCountStore
from customers.collection.sources import Source, SourceKind, SourceStore
from customers.collection.violations import Count, ViolationStore
from customers.errors import InputInvalidError, SourceNotFoundError, SourceTakenError
from server.console.errors import NoSuchPageError
from server.console.keeper import Keeper
from server.console.parts import OnBehalf
from server.console.sections import SECTIONS

_SOURCES, _PLANS, _VIOLATIONS = (
    next(each for each in SECTIONS if each.name == name) for name in ("sources", "plans", "violations")
)
_COLLECTED: Final = "collect"
_BATCHES: Final = 100
_MOST_COUNTS: Final = 4_000
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Heard:
    """What the access log says of a source: when a batch of its events was last stored, and how many in a day.

    Attributes:
        last: when; None where the part of the log that is looked at has none.
        batches: how many in the last 24 hours.
        more: whether there are more of them than are counted.
    """

    last: str | None
    batches: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Violated:
    """How often one thing was not as the plan says, over some days."""

    source: str
    event: str
    subject: str
    kind: str
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Violations:
    """What was not as the plans say; `whole` is False where there was more than is added up."""

    found: tuple[Violated, ...]
    total: int
    whole: bool
    by_source: Mapping[str, int]


class Keeping:
    """Reads and changes, each admitted and recorded.

    Args:
        keeper: admits and records.
        sources: where events come from.
        plans: what they are expected to hold.
        violations: how often they did not.
        source_counts: how much each source has sent.
        log: the access log, which knows when a source was last heard of.
        now: the present, with a time zone.
    """

    def __init__(
        self,
        keeper: Keeper,
        *,
        sources: SourceStore,
        plans: PlanStore,
        violations: ViolationStore,
        source_counts: SourceCountStore,
        log: AccessLog,
        now: Callable[[], datetime],
    ) -> None:
        self._keeper = keeper
        self._sources = sources
        self._plans = plans
        self._violations = violations
        self._source_counts = source_counts
        self._log = log
        self.now = now

    # ---- sources

    async def sources(self, who: OnBehalf) -> tuple[list[Source], str]:
        """Every source by name, and where this look is recorded."""
        with self._keeper.told():
            recorded = await self._keeper.look(who, _SOURCES, "ConsoleSources")
            return await self._sources.all(), recorded

    async def source(self, who: OnBehalf, name: str) -> tuple[Source, str]:
        """One source.

        Raises:
            NoSuchPageError: There is none of this name.
        """
        with self._keeper.told():
            recorded = await self._keeper.look(who, _SOURCES, "ConsoleSource")
            return await self._named(name), recorded

    async def source_names(self) -> list[str]:
        """The names of all sources, for a form."""
        with self._keeper.told():
            return [each.name for each in await self._sources.all()]

    async def heard(self, names: Sequence[str], *, whole: bool = False) -> dict[str, Heard]:
        """What the log says of these sources; with `whole` their last day is counted too."""
        with self._keeper.told():
            found = await asyncio.gather(*(self._heard(name, whole=whole) for name in names))
        return dict(zip(names, found, strict=True))

    async def _heard(self, name: str, *, whole: bool) -> Heard:
        actor = f"source:{name}"
        newest = await self._log.search(AccessQuery(actor=actor, kind=Kind.WRITE), limit=1)
        if not newest.entries:
            return Heard(None)
        last = newest.entries[0].record.time
        if not whole:
            return Heard(last)
        since = self.now() - timedelta(days=1)
        day = await self._log.search(AccessQuery(actor=actor, kind=Kind.WRITE, since=since), limit=_BATCHES)
        batches = sum(each.record.operation == _COLLECTED for each in day.entries)
        return Heard(last, batches, more=day.next is not None)

    async def sent(self) -> Mapping[str, SourceCount]:
        """How much each source has sent, by its name; those that never sent anything are not among them."""
        with self._keeper.told():
            return await self._source_counts.all()

    async def create(
        self, who: OnBehalf, name: str, *, kind: SourceKind, plan: str | None, origins: tuple[str, ...]
    ) -> tuple[Source, str]:
        """Make a source; with its write key, which is recorded before anybody knows it.

        Raises:
            InputInvalidError, SourceTakenError: As `SourceStore.create`.
        """
        await self._keeper.may_change(who, "ConsoleCreateSource")
        with self._keeper.told(InputInvalidError, SourceTakenError):
            made = await self._sources.create(name, kind=kind, plan=plan, origins=origins)
        await self._keeper.changed(who, f"ConsoleCreateSource {made[0].name}")
        return made

    async def change(self, who: OnBehalf, name: str, change: SourceChange) -> Source:
        """Change a source; recorded first.

        Raises:
            InputInvalidError, PlanDeclassifiesError, PlanNotFoundError: As `change_source`.
        """
        operation = "ConsoleChangeSource"
        await self._keeper.may_change(who, operation)
        with self._keeper.told(InputInvalidError, PlanDeclassifiesError, PlanNotFoundError):
            source = await self._named(name)
            return await change_source(
                self._sources,
                self._plans,
                source.name,
                change,
                record=lambda: self._keeper.changed(who, f"{operation} {source.name}"),
            )

    async def rotate(self, who: OnBehalf, name: str, grace: timedelta) -> tuple[Source, str]:
        """Give a source another write key; recorded first."""
        operation = "ConsoleRotateSource"
        await self._keeper.may_change(who, operation)
        with self._keeper.told():
            source = await self._named(name)
            await self._keeper.changed(who, f"{operation} {source.name}")
            key = await self._sources.rotate(source.name, grace=grace)
            return await self._named(name), key

    async def disable(self, who: OnBehalf, name: str) -> None:
        """Take nothing from a source any more; recorded afterwards, so that a log that is away keeps nothing open."""
        operation = "ConsoleDisableSource"
        await self._keeper.may_change(who, operation)
        with self._keeper.told():
            source = await self._named(name)
            await self._sources.disable(source.name)
            await self._keeper.changed(who, f"{operation} {source.name}")

    async def set_secret(
        self, who: OnBehalf, name: str, secret: str | None, grace: timedelta
    ) -> tuple[Source, str | None]:
        """Take the secret that a sender signs with, or make one where none is given; recorded first.

        Raises:
            InputInvalidError: It cannot be the secret of such a source.
        """
        operation = "ConsoleSourceSecret"
        await self._keeper.may_change(who, operation)
        with self._keeper.told(InputInvalidError):
            source = await self._named(name)
            await self._keeper.changed(who, f"{operation} {source.name}")
            made = None
            if secret is None:
                made = await self._sources.new_secret(source.name, grace=grace)
            else:
                await self._sources.set_secret(source.name, secret, grace=grace)
            return await self._named(name), made

    async def _named(self, name: str) -> Source:
        found = await self._sources.named(name)
        if found is None:
            raise NoSuchPageError("There is no source of this name.") from SourceNotFoundError()
        return found

    # ---- plans

    async def plans(self, who: OnBehalf) -> tuple[list[PlanVersion], str]:
        """The newest version of every plan, and where this look is recorded."""
        with self._keeper.told():
            recorded = await self._keeper.look(who, _PLANS, "ConsolePlans")
            return list(await self._plans.newest()), recorded

    async def plan(self, who: OnBehalf, name: str, version: int | None) -> tuple[PlanVersion, list[PlanVersion], str]:
        """One version of a plan, the newest where none is named, and all of them, the newest first.

        Raises:
            NoSuchPageError: There is none.
        """
        with self._keeper.told():
            recorded = await self._keeper.look(who, _PLANS, "ConsolePlan")
            versions = list(await self._plans.versions(name))
        wanted = [each for each in versions if version is None or each.plan.version == version]
        if not wanted:
            raise NoSuchPageError("There is no such plan, or no such version of it.")
        return wanted[0], versions, recorded

    async def plan_names(self) -> list[str]:
        """The names of all plans, for the form of a new source."""
        with self._keeper.told():
            return [each.plan.name for each in await self._plans.newest()]

    async def followers(self, plan: str) -> list[Source]:
        """The sources whose events follow a plan."""
        with self._keeper.told():
            return [each for each in await self._sources.all() if each.plan == plan]

    # ---- violations

    async def violations(self, who: OnBehalf, *, days: int, source: str | None) -> tuple[Violations, str]:
        """What was not as the plans say in these days, the most frequent first."""
        with self._keeper.told():
            recorded = await self._keeper.look(who, _VIOLATIONS, "ConsoleViolations")
            return await self.violated(days=days, source=source), recorded

    async def violated(self, *, days: int, source: str | None) -> Violations:
        """The same, where the look is recorded already."""
        today = self.now().astimezone(UTC).date()
        since, counts, after, whole = today - timedelta(days=days - 1), [], None, True
        with self._keeper.told():
            while True:
                page, after = await self._violations.page(today, source=source, after=after, limit=_AT_ONCE)
                counts += [each for each in page if each.day >= since]
                if after is None or (page and page[-1].day < since):
                    break
                if len(counts) >= _MOST_COUNTS:
                    whole = False
                    break
        return _added_up(counts, whole=whole)


def _added_up(counts: Sequence[Count], *, whole: bool) -> Violations:
    """The counts of some days as one for each thing that was wrong."""
    kept: dict[tuple[str, str, str, str], list[Count]] = {}
    by_source: Counter[str] = Counter()
    for each in counts:
        kept.setdefault((each.source, each.event, each.subject, each.kind), []).append(each)
        by_source[each.source] += each.count
    found = [
        Violated(
            *place,
            count=sum(each.count for each in same),
            first_at=min(each.first_at for each in same),
            last_at=max(each.last_at for each in same),
        )
        for place, same in kept.items()
    ]
    found.sort(key=lambda each: (-each.count, each.source, each.event, each.subject, each.kind))
    return Violations(tuple(found), by_source.total(), whole, dict(by_source.most_common()))


__all__ = ["Heard", "Keeping", "Violated", "Violations"]
