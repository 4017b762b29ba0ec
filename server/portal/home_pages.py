"""The first page: what is held of a customer; and the lists of what they bought, asked and did."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from policies import PolicySet
from server.portal.errors import NothingHereError
from server.portal.frame import Frame, Visit
from server.portal.held import Keeping, as_text, camel, groups, money
from server.portal.moments import day, day_time

PROFILE: Final = """query PortalHome { me {
  id createdAt updatedAt kind region country loyaltyTier acquisitionChannel
  orderCount ticketCount totalSpent currency firstOrderAt lastOrderAt eventCount firstEventAt lastEventAt
  givenName familyName email phone identifiers { type value } street postalCode city birthDate language nationalId
  notes traits classifiedTraits
  provenance { field kind source at basis licence expiresAt }
} }"""
_LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "orders": (
        "order",
        "id placedAt total currency units status items shippingAddress giftMessage paymentLast4 extra",
    ),
    "tickets": ("ticket", "id openedAt closedAt status channel topic subject body extra"),
    "events": ("event", "id type name at receivedAt source properties context"),
}
_PAGE: Final = 20


def _listed(name: str) -> str:
    fields = _LISTS[name][1]
    return (
        f"query Portal{name.capitalize()}($after: String) {{ me {{ id {name}(first: {_PAGE}, after: $after) "
        f"{{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
    )


class HomePages:
    """Handlers."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._keeping: tuple[str, Keeping] | None = None

    async def home(self, request: Request) -> Response:
        """Everything that is held, in groups."""
        frame, visit = self._frame, await self._frame.visit(request)
        profile = (await frame.ask(visit, PROFILE))["me"]
        if profile is None:
            raise NothingHereError
        policies, language = frame.policies(), frame.pages.language(request)
        held = groups(profile, policies, self._kept(policies), visit.words, language)
        done = request.query_params.get("done", "")
        field = policies.catalogue.fields.get(f"profile.{done}")
        return frame.show(
            visit,
            "home.html",
            groups=held,
            given_name=profile.get("givenName"),
            counts={
                "orders": _count(profile.get("orderCount")),
                "tickets": _count(profile.get("ticketCount")),
                "events": _count(profile.get("eventCount")),
            },
            done=None if field is None else visit.words(field.label),
        )

    async def orders(self, request: Request) -> Response:
        """What they bought."""
        return await self._list(request, "orders")

    async def tickets(self, request: Request) -> Response:
        """What they asked."""
        return await self._list(request, "tickets")

    async def events(self, request: Request) -> Response:
        """What they did in shops and apps."""
        return await self._list(request, "events")

    async def _list(self, request: Request, name: str) -> Response:
        frame, visit = self._frame, await self._frame.visit(request)
        found = (await frame.ask(visit, _listed(name), after=request.query_params.get("after") or None))["me"]
        if found is None or found[name] is None:
            raise NothingHereError
        language = frame.pages.language(request)
        rows = [self._row(visit, _LISTS[name][0], each, language) for each in found[name]["nodes"]]
        page = found[name]["pageInfo"]
        more = page["endCursor"] if page["hasNextPage"] else None
        later = bool(request.query_params.get("after"))
        return frame.show(visit, "list.html", kind=name, rows=rows, more=more, later=later)

    def _row(self, visit: Visit, name: str, node: Mapping[str, Any], language: str) -> dict[str, Any]:
        """One record: its heading, its moment, and the rest as pairs of words."""
        pairs = []
        for field in self._frame.policies().catalogue.object(name):
            value = node.get(camel(field.name))
            if value in (None, [], {}, "") or field.name in _SAID[name]:
                continue
            pairs.append((visit.words(field.label), _text(field.name, field.kind.value, value, node, language)))
        moment, title = (node.get(camel(each)) for each in _HEADS[name])
        if name == "order":  # a sum tells more of an order than its number
            title = None if title is None else money(title, node.get("currency"), language)
        return {"title": title or node.get("type") or node["id"], "at": moment, "pairs": pairs}

    def _kept(self, policies: PolicySet) -> Keeping:
        if self._keeping is None or self._keeping[0] != policies.version:
            self._keeping = (policies.version, Keeping(policies))
        return self._keeping[1]


_HEADS: Final[Mapping[str, tuple[str, str]]] = {
    "order": ("placed_at", "total"),
    "ticket": ("opened_at", "subject"),
    "event": ("at", "name"),
}

_SAID: Final[Mapping[str, tuple[str, ...]]] = {**_HEADS, "order": ("placed_at", "total", "currency")}
"""What a record's heading says already."""


def _text(name: str, kind: str, value: Any, node: Mapping[str, Any], language: str) -> str:
    if name == "total":
        return money(value, node.get("currency"), language)
    if name == "items" and isinstance(value, list):
        return "\n".join(_item(each, language) for each in value)
    if kind == "datetime":
        return day_time(str(value), language)
    if kind == "date":
        return day(str(value), language)
    if isinstance(value, dict):
        return "\n".join(f"{key}: {as_text(held, language)}" for key, held in value.items())
    return as_text(value, language)


def _item(item: Any, language: str) -> str:
    if not isinstance(item, dict):
        return as_text(item, language)
    name = item.get("title") or item.get("sku") or ""
    return f"{item.get('quantity', 1)} × {name}"  # noqa: RUF001 - the sign of multiplication is meant


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


__all__ = ["PROFILE", "HomePages"]
