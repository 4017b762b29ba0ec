"""Tells profiles what their events say: traits and choices of many at once, orders one by one, counts with either."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from customers.collection.collector import PURPOSE, ROLE
from customers.collection.commerce import STEPS
from customers.collection.counting import Counts, Work
from customers.collection.effects import Traits, consenting, decisions_of, order_step, provable
from customers.collection.event_documents import CONSENT_EVENT, Happened
from customers.collection.event_store import Document
from customers.collection.sources import SourceKind, SourceStore
from customers.collection.violations import Violation, ViolationKind, ViolationStore
from customers.consent.model import ConsentDecision
from customers.consent.store import ConsentStore
from customers.errors import ProfileConflictError
from customers.profiles.adding import OrderAdder, OrderStep, Sums
from customers.profiles.joined import PARTS, for_joined
from customers.profiles.store import CustomerStore
from policies import Catalogue, PolicySet
from vault import DataKey, Vault

_SIDE_BY_SIDE: Final = 4
_TRIES: Final = 8


class Teller:
    """Writes into profiles what they hear; whatever it writes can be written again."""

    def __init__(
        self,
        *,
        customers: CustomerStore,
        consents: ConsentStore,
        orders: OrderAdder,
        sources: SourceStore,
        violations: ViolationStore,
        counts: Counts,
        vault: Vault,
        policies: Callable[[], PolicySet],
        now: Callable[[], datetime],
        failed: Callable[[Exception], None],
    ) -> None:
        self._customers = customers
        self._consents = consents
        self._orders = orders
        self._sources = sources
        self._violations = violations
        self._counts = counts
        self._vault = vault
        self._policies = policies
        self._now = now
        self._failed = failed
        self._webhooks: frozenset[str] = frozenset()
        self._unproven: frozenset[str] = frozenset()

    async def tell(self, works: Mapping[str, Work]) -> dict[str, Work]:
        """Tell these profiles, and give those that could not be told: what was written of those is not known.

        Whatever it raises, none of them may be taken for told.
        """
        telling = {each: work for each, work in works.items() if work.events}
        counting = {each: work for each, work in works.items() if not work.events}
        turns = asyncio.Semaphore(_SIDE_BY_SIDE)
        left: dict[str, Work] = {}

        async def tried(customer_id: str, work: Work, telling: Awaitable[None]) -> None:
            async with turns:
                try:
                    await telling
                except Exception as error:  # noqa: BLE001 - one customer's must not keep the others waiting
                    self._failed(error)
                    # What was written of it is not known.
                    work.recount = True
                    left[customer_id] = work

        async with self._vault.reading():
            found = await self._customers.find(list(telling)) if telling else []
            documents = {each["_id"]: each for each in found}
            keys = await self._vault.keys(telling) if telling else {}
            uncounted = await self._counts.all(counting)
            await self._look_at_sources()
            untold = await self._told(telling, documents, keys)
            await asyncio.gather(
                *(
                    tried(each, work, self._change(each, work, documents.get(each), keys.get(each)))
                    for each, work in untold.items()
                ),
                *(tried(each, work, self._counts.one(each, work)) for each, work in uncounted.items()),
            )
        return left

    async def _told(
        self, works: Mapping[str, Work], documents: Mapping[str, Document], keys: Mapping[str, Any]
    ) -> dict[str, Work]:
        """Write what events say into many profiles at once, where it is traits and choices; those left to be written."""
        simple = {each: work for each, work in works.items() if not work.recount and not self._steps(work.events)}
        try:
            choices = await self._choices(simple, documents)
            changes: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
            noted: list[tuple[Work, list[Violation]]] = []
            for customer_id, work in simple.items():
                document, key = documents.get(customer_id), keys.get(customer_id)
                if document is None or not isinstance(key, DataKey):
                    continue  # erased meanwhile: there is nobody to hear
                change, violations = self._changed(document, key, work, choices[customer_id], Sums())
                change["$set"] = {**change["$set"], "version": document["version"] + 1}
                was = {"_id": customer_id, "version": document["version"]}
                changes.append((was, for_joined(document, change)))
                noted.append((work, violations))
            matched = await self._customers.update_many(changes)
        except Exception as error:  # noqa: BLE001 - which of them were written is not known; each is tried by itself
            self._failed(error)
            matched = -1
        if matched != len(changes):
            for work in simple.values():
                work.recount = True
            return dict(works)
        for work, violations in noted:
            self._note(work.events, violations, Sums())
        return {each: work for each, work in works.items() if each not in simple}

    async def _change(self, customer_id: str, work: Work, document: Document | None, key: Any) -> None:
        """Write what the events say into the profile, and the counts with it."""
        choices = (await self._choices({customer_id: work}, {customer_id: document}))[customer_id]
        steps = self._steps(sorted(work.events, key=_in_time))
        for _ in range(_TRIES):
            if document is None or not isinstance(key, DataKey):
                return  # erased meanwhile: there is nobody to hear
            catalogue = self._policies().catalogue
            sums = await self._written(document, key, catalogue, steps) if steps else Sums()
            if sums is not None:
                change, violations = self._changed(document, key, work, choices, sums)
                if await self._customers.update(customer_id, document["version"], for_joined(document, change)):
                    await self._orders.close(sums)
                    self._note(work.events, violations, sums)
                    await self._counts.anew(customer_id, work)
                    return
            document = next(iter(await self._customers.find([customer_id])), None)
        raise ProfileConflictError

    async def _written(
        self, document: Document, key: DataKey, catalogue: Catalogue, steps: Sequence[OrderStep]
    ) -> Sums | None:
        """Write what is said of orders, be they of the profile or of one that was merged into it."""
        merged = document.get(PARTS, ())
        keys = await self._vault.keys(merged) if merged else {}
        parts = {each: held for each, held in keys.items() if isinstance(held, DataKey)}
        return await self._orders.write(document, key, catalogue, steps, parts=parts)

    def _changed(
        self, document: Document, key: DataKey, work: Work, choices: Sequence[ConsentDecision], sums: Sums
    ) -> tuple[dict[str, dict[str, Any]], list[Violation]]:
        """The change of one profile's document, and what was wrong."""
        policies, now = self._policies(), self._now()
        traits = Traits(
            document,
            key,
            policies.catalogue,
            policies.decide((ROLE,), PURPOSE),
            self._vault.normalise,
            now,
            webhooks=self._webhooks,
            unproven=self._unproven,
        )
        for event in sorted(work.events, key=_in_time):
            traits.hear(event)
        changed = traits.changed()
        setting = {**changed.setting, **consenting(document, choices, policies.purposes), "updated_at": now}
        change: dict[str, dict[str, Any]] = {"$set": setting}
        if changed.removing:
            change["$unset"] = dict(changed.removing)
        for part in (sums.update(), work.counts()):
            for operator, values in part.items():
                change[operator] = {**change.get(operator, {}), **values}
        return change, changed.violations

    async def _look_at_sources(self) -> None:
        sources = await self._sources.all()
        self._webhooks = frozenset(each.name for each in sources if each.kind is not SourceKind.SEGMENT)
        self._unproven = frozenset(each.name for each in sources if each.origins)

    async def _choices(
        self, works: Mapping[str, Work], documents: Mapping[str, Document | None]
    ) -> dict[str, list[ConsentDecision]]:
        """What these customers chose, oldest first; it is in the ledger when this returns."""
        found: dict[str, list[ConsentDecision]] = {}
        entries: list[tuple[str, str, ConsentDecision]] = []
        for customer_id, work in works.items():
            mine = found[customer_id] = []
            for event in sorted(work.events, key=_in_time):
                decisions = (
                    await self._decisions(event, documents.get(customer_id)) if event.name == CONSENT_EVENT else ()
                )
                entries += [(name, customer_id, decision) for name, decision in decisions]
                mine += [decision for _, decision in decisions]
        await self._consents.append_once(entries)
        return found

    async def _decisions(self, event: Happened, document: Document | None) -> Sequence[tuple[str, ConsentDecision]]:
        source = await self._sources.named(event.source)
        found = decisions_of(event, {} if source is None else source.consent, self._policies().purposes)
        counting = provable(found, document) if event.source in self._unproven else found
        if len(counting) < len(found):
            self._violations.note(event.source, [Violation(ViolationKind.UNPROVEN, CONSENT_EVENT)], self._now())
        return counting

    def _steps(self, events: Sequence[Happened]) -> list[OrderStep]:
        found = [order_step(event, self._order_id) for event in events]
        return [each for each in found if each is not None]

    def _order_id(self, source: str, number: str) -> str:
        digest = self._vault.digest("order", source, number)
        return "ord_" + base64.b32encode(digest).decode().rstrip("=").lower()

    def _note(self, events: Sequence[Happened], violations: list[Violation], sums: Sums) -> None:
        source = events[0].source
        found = list(violations)
        found += [Violation(ViolationKind.ORDER_UNKNOWN)] * sums.unknown
        found += [Violation(ViolationKind.ORDER_CURRENCY)] * sums.foreign
        incomplete = [each for each in events if each.name in STEPS and order_step(each, self._order_id) is None]
        found += [Violation(ViolationKind.ORDER_INCOMPLETE) for each in incomplete if not each.quarantined]
        self._violations.note(source, found, self._now())


def _in_time(event: Happened) -> tuple[datetime, str]:
    return event.at, event.id
