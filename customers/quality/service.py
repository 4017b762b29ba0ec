"""Data quality, wired: what resolvers, commands and the worker call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from audit import AccessLog
from customers.access import Access
from customers.errors import ReadNotAllowedError
from customers.identity.review import CaseStore
from customers.profiles.service import ProfileGateway
from customers.profiles.store import CustomerStore
from customers.profiles.writing import ProfileWriter
from customers.quality.corrections import Corrections
from customers.quality.days import DayStore, Report
from customers.quality.errors import ReportRunningError
from customers.quality.queue import CorrectionQueue
from customers.quality.report import OnProgress, Parts, make_report
from customers.quality.standards import Standards
from policies import Catalogue, Grant
from vault import Vault

_GATE: Final = "profile.updated_at"


@dataclass(frozen=True)
class QualityService:
    """The use cases of data quality."""

    standards: Standards
    corrections: Corrections
    _parts: Parts

    @classmethod
    async def open(
        cls,
        database: AsyncDatabase[dict[str, Any]],
        store: CustomerStore,
        writer: ProfileWriter,
        vault: Vault,
        log: AccessLog,
        catalogue: Catalogue,
        standards: Standards,
        *,
        cases: CaseStore | None,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> "QualityService":
        """Over the main database, with everything there that is needed."""
        days, queue = (
            DayStore(database, now=now, random=random),
            CorrectionQueue(database, now=now, random=random),
        )
        await days.prepare()
        await queue.prepare()
        gateway = ProfileGateway(store, vault, catalogue, now=now)
        parts = Parts(gateway, store, vault, log, days, queue, cases, standards, now, random)
        return cls(standards, Corrections(gateway, writer, queue), parts)

    async def run(
        self, access: Access, *, again: bool = False, progress: OnProgress = lambda _done, _total: None
    ) -> Report:
        """Make today's report; see `make_report`."""
        return await make_report(self._parts, access, again=again, progress=progress)

    async def run_if_due(self, access: Access) -> Report | None:
        """Make today's report if it is time and there is none; None where it is not, there is, or nobody may."""
        now, hour = self._parts.now().astimezone(UTC), self.standards.daily_at
        if hour is None or now.hour < hour:
            return None
        try:
            return await self.run(access)
        except (ReportRunningError, ReadNotAllowedError):
            return None

    async def trend(self, access: Access, days: int) -> list[Report]:
        """The reports of the last so many days, the newest first.

        They tell of nobody, so there is no record; but whoever may not even see when records were changed has no use
        for them.

        Raises:
            ReadNotAllowedError: The caller may not.
        """
        check_reports(access.grant)
        return await self._parts.days.trend(self._parts.now().astimezone(UTC).date(), days)

    async def latest(self, access: Access) -> Report | None:
        """The newest report; as `trend`."""
        check_reports(access.grant)
        return await self._parts.days.latest(self._parts.now().astimezone(UTC).date())

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """Remove what there is of erased customers, before their documents go."""
        await self._parts.queue.forget(customer_ids)


def check_reports(grant: Grant) -> None:
    """Return only if the grant lets its holder see reports.

    Raises:
        ReadNotAllowedError: It does not.
    """
    if not grant.read[_GATE]:
        raise ReadNotAllowedError([_GATE])
