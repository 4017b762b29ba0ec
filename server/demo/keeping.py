"""What those who keep data find in the demo: sources, a tracking plan and violations, people to review, a report.

All of it is made through the same use cases as anybody's. The reports of the days before today are made up, like
everything else in the demo.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from customers.collection.plans import EventRule, Mode, Modes, PropertyRule, TrackingPlan
from customers.collection.sources import SourceKind
from customers.quality import PURPOSE, ROLE
from customers.quality.days import DayStore, Means, Report
from server.platform import Platform

_PRODUCT: Final = PropertyRule(
    "user.behavior.activity", {"type": "string", "maxLength": 64}, clear=True, required=True
)
_PLAN: Final = TrackingPlan(
    "record-shop",
    description="What the shop's pages and its app send.",
    events={
        "Product Viewed": EventRule(
            "Somebody looked at a record.",
            "What you looked at",
            {
                "product_id": _PRODUCT,
                "genre": PropertyRule("user.behavior.activity", {"type": "string"}, clear=True),
                "referrer": PropertyRule("user.behavior.activity", clear=True),
            },
        ),
        "Product Added": EventRule(
            "Somebody put a record into the basket.",
            "Your basket",
            {
                "product_id": _PRODUCT,
                "quantity": PropertyRule("user.behavior.activity", {"type": "integer", "minimum": 1}, clear=True),
                "gift_message": PropertyRule("user.content.private", label="Your gift message"),
            },
        ),
    },
    traits={"favourite_genre": PropertyRule("user.account", {"type": "string"}, label="Your favourite music")},
    modes=Modes(Mode.ALLOW, Mode.OMIT, Mode.ALLOW),
)
# Customers by their place in the company. The two of the tour are not among them.
_VISITORS: Final = range(2000, 2012)
# Who is there twice: the second gets the first one's name, birth date and address, a little differently.
_TWICE: Final = {21: 111, 211: 311, 411: 511}
_SHOUTED: Final = (611, 711, 811, 911, 1011, 1111)
_SAME: Final = ("country", "region", "language", "family_name", "birth_date", "street", "postal_code", "city")
_READ: Final = frozenset((*_SAME, "given_name"))
_DAYS: Final = 14


async def keep(platform: Platform, ids: Mapping[str, str]) -> None:
    """Make it all, for customers whose ids are known by their external ids."""
    await _collect(platform, list(ids))
    await _doubt(platform, list(ids.values()))
    access = platform.access("demo", (ROLE,), PURPOSE, operation="confide demo")
    quality = platform.services.quality
    if quality is not None:
        await _remember(platform, await quality.run(access, again=True))


async def _collect(platform: Platform, external_ids: Sequence[str]) -> None:
    """A plan, sources, and an afternoon's events, not all of them as the plan says."""
    await platform.collecting.plans.put(_PLAN, by="demo")
    shop, _ = await platform.sources.create(
        "web-shop", plan=_PLAN.name, id_system="crm", origins=("https://shop.example",)
    )
    await platform.sources.create("till", plan=_PLAN.name)
    await platform.sources.create("wholesale", kind=SourceKind.SHOPIFY)
    now = platform.now()
    events = [
        {
            "type": "track",
            "messageId": f"demo-{number}-{at}",
            "userId": external_ids[place].removeprefix("crm:"),
            "timestamp": (now - timedelta(minutes=7 * at + number)).isoformat(),
            **event,
        }
        for number, place in enumerate(_VISITORS)
        for at, event in enumerate(_afternoon(number))
    ]
    await platform.intake.accept(shop, events, sent_at=None, received_at=now)


def _afternoon(number: int) -> list[dict[str, Any]]:
    """What one visitor does."""
    product = f"REC-{100 + number}"
    done: list[dict[str, Any]] = [
        {"event": "Product Viewed", "properties": {"product_id": product, "genre": "jazz"}},
        {"event": "Product Added", "properties": {"product_id": product, "quantity": 1}},
    ]
    if number % 2:
        done.append(
            {"event": "Product Added", "properties": {"product_id": product, "quantity": "two", "colour": "red"}}
        )
    if number % 3 == 0:
        done.append({"event": "Banner Clicked", "properties": {"banner": "spring"}})
    if number % 4 == 0:
        mistaken = {"product_id": product, "referrer": "newsletter for someone@example.org"}
        done.append({"event": "Product Viewed", "properties": mistaken})
    return done


async def _doubt(platform: Platform, ids: Sequence[str]) -> None:
    """Records that were typed in twice, and some in capitals only."""
    access = platform.access("demo", ("privacy_officer",), "privacy_request", operation="confide demo")
    found = await _values(platform, access, [ids[each] for each in (*_TWICE, *_SHOUTED)])
    changes: dict[str, dict[str, Any]] = {}
    for first, second in _TWICE.items():
        known = found.get(ids[first])
        if known is not None and known["given_name"]:
            changes[ids[second]] = {name: known[name] for name in _SAME}
            changes[ids[second]]["given_name"] = _slip(known["given_name"])
    for each in _SHOUTED:
        known = found.get(ids[each])
        if known is not None:
            changes[ids[each]] = {"city": known["city"].upper(), "family_name": known["family_name"].upper()}
    writing = platform.access("demo", ("client_app",), "data_import", operation="confide demo")
    async with platform.vault.reading():
        for customer_id, values in changes.items():
            await platform.services.writer.update(writing, customer_id, values)


async def _values(platform: Platform, access: Any, customer_ids: list[str]) -> dict[str, dict[str, Any]]:
    """What is known of these customers, read and recorded like anybody's."""
    async with platform.vault.reading():
        found = await platform.services.gateway.by_ids(access, _READ, customer_ids)
        await platform.log.append(access.disclosure.record(platform.now()))
    return {customer_id: dict(values) for customer_id, values in found.items()}


def _slip(name: str) -> str:
    """The name with two letters exchanged, as fingers do."""
    return name if len(name) < 4 else f"{name[:-3]}{name[-2]}{name[-3]}{name[-1]}"  # noqa: PLR2004 - see above


async def _remember(platform: Platform, report: Report) -> None:
    """Reports of the days before, each a little worse than the next."""
    days = DayStore(platform.main, now=platform.now, random=os.urandom)
    means = report.means
    for ago in range(1, _DAYS):
        day = report.day - timedelta(days=ago)
        token = await days.claim(day, again=False)
        if token is None:
            continue
        worse = Means(
            score=_less(means.score, 3 * ago // 2),
            completeness=_less(means.completeness, 2 * ago),
            validity=_less(means.validity, 2 * ago // 3),
            staleness=_less(means.staleness, -ago),
        )
        earlier = replace(report, day=day, finished_at=report.finished_at - timedelta(days=ago), means=worse)
        await days.finish(earlier, token)


def _less(value: int | None, by: int) -> int | None:
    return None if value is None else max(0, min(100, value - by))


__all__ = ["keep"]
