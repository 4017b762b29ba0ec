"""Orders around CDNOW's purchases, and the support tickets that follow some of them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from server.demo.cdnow import Purchase
from server.demo.dice import Dice
from server.demo.model import DemoItem, DemoOrder, DemoTicket, Status
from server.demo.people import Person
from server.demo.texts import texts
from server.demo.writing import day, first_written, write

CURRENCY = "USD"
_LAST_DAY = date(1998, 6, 30)
_LAST_MOMENT = datetime.combine(_LAST_DAY, time(23, 59, 59), UTC)
_CHANNELS = (("email", 45.0), ("phone", 30.0), ("web_form", 17.0), ("letter", 8.0))


def orders(dice: Dice, person: Person, bought: Sequence[Purchase]) -> tuple[DemoOrder, ...]:
    """An order for each purchase, oldest first; day, units and total are the purchase's own."""
    card = dice.fill("####") if dice.chance(0.92) else None
    made = [_order(dice, person, purchase, card) for purchase in bought]
    return tuple(sorted(made, key=lambda each: each.placed_at))


def tickets(dice: Dice, person: Person, placed: Sequence[DemoOrder]) -> tuple[DemoTicket, ...]:
    """Tickets about some of the orders, oldest first: about 0.4 for each customer."""
    asked = [(index, order) for index, order in enumerate(placed) if dice.chance(_asks(order.status))]
    made = (ticket(dice, person, index, order) for index, order in asked)
    return tuple(sorted(made, key=lambda each: each.opened_at))


def ticket(dice: Dice, person: Person, index: int, order: DemoOrder) -> DemoTicket:
    """A ticket that the customer opened some days after the order, in their own language."""
    wanted = {"when": day(order.placed_at.date(), person.language), "units": str(order.units)}
    options = [
        (topic, written_subject, written_body)
        for topic, subject, body in texts()["tickets"][person.language]
        if (written_subject := write(subject, person, **wanted)) and (written_body := write(body, person, **wanted))
    ]
    topic, subject, body = dice.pick(options)
    opened = order.placed_at + timedelta(days=dice.between(2, 15), minutes=dice.between(0, 600))
    closed = opened + timedelta(minutes=dice.between(20, 12 * 24 * 60))
    is_open = closed > _LAST_MOMENT or dice.chance(0.02)
    return DemoTicket(
        opened_at=opened,
        closed_at=None if is_open else closed,
        status="open" if is_open else "closed",
        channel=dice.weighted(_CHANNELS),
        topic=topic,
        subject=subject,
        body=body,
        order=index,
    )


def _order(dice: Dice, person: Person, purchase: Purchase, card: str | None) -> DemoOrder:
    moment = time(dice.between(7, 22), dice.below(60), dice.below(60), tzinfo=UTC)
    return DemoOrder(
        placed_at=datetime.combine(purchase.day, moment),
        total_minor=purchase.total_minor,
        currency=CURRENCY,
        units=purchase.units,
        status=_status(dice, purchase),
        items=_items(dice, purchase.units),
        shipping_address=_address(person),
        gift_message=_gift(dice, person) if dice.chance(0.07) else None,
        payment_last4=dice.fill("####") if dice.chance(0.08) else card,
    )


def _status(dice: Dice, purchase: Purchase) -> Status:
    if _LAST_DAY - purchase.day < timedelta(days=4):
        return "shipped"
    return "returned" if dice.chance(0.02) else "delivered"


def _asks(status: Status) -> float:
    return 0.7 if status == "returned" else 0.124


def _items(dice: Dice, units: int) -> tuple[DemoItem, ...]:
    """Discs whose quantities add up to the units; no disc stands in two lines."""
    catalogue = texts()["catalogue"]
    lines: dict[str, DemoItem] = {}
    left = units
    while left:
        quantity = 1 if dice.chance(0.85) else dice.between(1, left)
        artist, first, second = (dice.below(len(catalogue[part])) for part in ("artists", "first", "second"))
        sku = f"CD-{artist:02}{first}{second}"
        title = f"{catalogue['artists'][artist]}: {catalogue['first'][first]} {catalogue['second'][second]}"
        known = lines.get(sku)
        lines[sku] = DemoItem(sku, title, quantity + (known.quantity if known else 0))
        left -= quantity
    return tuple(lines.values())


def _address(person: Person) -> str:
    if person.country == "JP":
        return f"〒{person.postal_code}\n{person.city}{person.street}\n{person.family_name}{person.given_name} 様"
    name = f"{person.given_name} {person.family_name}"
    if person.language in {"de", "fr", "es", "it"} and person.region == "emea":
        return f"{name}\n{person.street}\n{person.postal_code} {person.city}\n{person.country}"
    return f"{name}\n{person.street}\n{person.city} {person.postal_code}\n{person.country}"


def _gift(dice: Dice, person: Person) -> str:
    friend = dice.pick(texts()["friends"]["names"])
    return first_written(dice, texts()["gifts"][person.language], person, friend=friend)
