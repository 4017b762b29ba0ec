"""What sources may write, and under which name they do. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from audit import Kind
from customers.access import Access
from customers.caller import Caller
from customers.collection.commerce import STEPS
from customers.collection.event_documents import CONSENT_EVENT, Happened, Prepared, path_of
from customers.collection.events import EventType
from customers.collection.plans import UNCLASSIFIED
from customers.collection.sources import Source
from customers.collection.violations import Violation, ViolationKind
from customers.disclosure import Disclosure, Request
from policies import ROOT_CATEGORY, Action, FieldGrant, Grant, PolicySet, Verdict

ROLE: Final = "collector"
PURPOSE: Final = "data_collection"
_OPERATION: Final = "collect"
_FACTS: Final = (
    "event.type",
    "event.name",
    "event.at",
    "event.received_at",
    "event.source",
    "profile.identifiers",
    "profile.event_count",
    "profile.first_event_at",
    "profile.last_event_at",
)
"""What every event writes."""


def collecting(source: Source, policies: PolicySet) -> Access:
    """The access under which a source's events are written, and recorded."""
    caller = Caller(f"source:{source.name}", (ROLE,), None, frozenset({PURPOSE}), None, frozenset(), None)
    grant = policies.decide(caller.roles, PURPOSE)
    request = Request(caller, PURPOSE, None, _OPERATION, None, None)
    return Access(caller, grant, Disclosure(request, grant, kind=Kind.WRITE))


class Permits:
    """What the policy lets sources write; by default, as everywhere, nothing."""

    def __init__(self, policies: PolicySet, grant: Grant) -> None:
        self._grant = grant
        self._orders = [field.path for field in policies.catalogue.object("order") if field.name != "id"]
        personal = (each for each in policies.catalogue.categories if each.startswith(f"{ROOT_CATEGORY}."))
        self._refused = {each for each in personal if not self._of(each)}

    def _of(self, category: str) -> FieldGrant:
        return self._grant.of_category(category, Action.WRITE)

    def kept(self, prepared: Prepared, violations: list[Violation]) -> Prepared:
        """The event without the values that sources may not write; each is counted."""
        if not self._refused:
            return prepared
        checked = prepared.checked
        sealed = {category: held for category, held in checked.sealed.items() if category not in self._refused}
        classes = [each for each in checked.classes if each[0] not in self._refused]
        clear = {name: checked.clear[name] for _, names in classes for name in names}
        left_out = sum(len(held) for category, held in checked.sealed.items() if category in self._refused)
        left_out += len(checked.clear) - len(clear)
        context = {} if UNCLASSIFIED in self._refused else prepared.context
        violations += [Violation(ViolationKind.NOT_ALLOWED, str(prepared.event.type))] * left_out
        written = msgspec.structs.replace(checked, sealed=sealed, clear=clear, classes=classes)
        return msgspec.structs.replace(prepared, checked=written, context=context)

    def verdicts(self, events: Iterable[Prepared], news: Iterable[Happened]) -> dict[str, tuple[Verdict, int | None]]:
        """Every field and category that these events write, and the rule that lets them."""
        paths = set(_FACTS)
        categories: set[str] = set()
        context = False
        for event, each in zip(events, news, strict=True):
            categories.update(event.checked.sealed)
            categories.update(category for category, _ in event.checked.classes)
            context = context or bool(each.context)
            if each.said is not None:
                paths.update(each.said.paths)
                paths.update(f"profile.{name}" for name in ("email", "phone") if name in each.values)
            if each.name == CONSENT_EVENT or event.opted_out:
                paths.add("profile.consents")
            if each.type is EventType.TRACK and each.name in STEPS:
                paths.update(self._orders)
        granted: Mapping[str, Any] = {
            **{path: self._grant.write[path] for path in paths},
            **{path_of("event.properties", category): self._of(category) for category in categories},
            **({path_of("event.context", UNCLASSIFIED): self._of(UNCLASSIFIED)} if context else {}),
        }
        return {
            path: (Verdict.CLEAR, found.alternatives[0].rule) if found else (Verdict.WITHHELD, found.rule)
            for path, found in granted.items()
        }
