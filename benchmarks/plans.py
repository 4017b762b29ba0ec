"""What checking an event against its tracking plan costs, and what the detector mistakes.

    python -m benchmarks.plans

Processor time of this process, the best of several rounds: other work on the machine counts as little as it can.
"""

import json
import math
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable

from customers.collection.checking import CompiledPlan
from customers.collection.detector import NO_HINTS, find, hints_of
from customers.collection.plan_file import parse_plan
from policies import load_policies

ORDER = {"category": "user.behavior.purchase_history.order", "clear": True}
ITEMS = {"category": "user.behavior.purchase_history.items", "clear": True}
PLAN = {
    "name": "shop",
    "events": {
        "Order Completed": {
            "properties": {
                "order_id": {**ORDER, "required": True, "schema": {"type": "string", "pattern": "^[A-Z0-9-]{4,20}$"}},
                "total": {**ORDER, "schema": {"type": "number", "minimum": 0}},
                "revenue": {**ORDER, "schema": {"type": "number"}},
                "currency": {**ORDER, "schema": {"type": "string", "minLength": 3, "maxLength": 3}},
                "coupon": {**ORDER, "schema": {"type": "string", "maxLength": 40}},
                "email": {"category": "user.contact.email", "schema": {"type": "string"}},
                "shipping": {**ORDER, "schema": {"enum": ["dhl", "ups", "post"]}},
                "gift": {**ORDER, "schema": {"type": "boolean"}},
                "items": {**ORDER, "schema": {"type": "integer"}},
                "products": {
                    **ITEMS,
                    "schema": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "sku": {"type": "string"},
                                "price": {"type": "number"},
                                "quantity": {"type": "integer"},
                            },
                        },
                    },
                },
            }
        },
        "$page": {
            "properties": {
                name: {"category": "user.behavior", "clear": True, "schema": {"type": "string"}}
                for name in ("path", "url", "title", "referrer", "search")
            }
        },
    },
}
COMPLETED = {
    "order_id": "ORD-2939",
    "total": 38.5,
    "revenue": 30,
    "currency": "EUR",
    "coupon": "SUMMER",
    "email": "jane@example.com",
    "shipping": "dhl",
    "gift": False,
    "items": 2,
    "products": [{"sku": "A-1", "price": 12.5, "quantity": 1}, {"sku": "A-2", "price": 12.5, "quantity": 1}],
}
PAGE = {
    "path": "/products/shoes",
    "url": "https://shop.example/products/shoes?color=black&size=42",
    "title": "Black shoes, size 42",
    "referrer": "https://search.example/",
    "search": "?color=black&size=42",
}


def microseconds(work: Callable[[], object], rounds: int = 2000) -> float:
    """Of one call."""
    best = math.inf
    for _ in range(12):
        before = time.process_time()
        for _ in range(rounds):
            work()
        best = min(best, time.process_time() - before)
    return best / rounds * 1e6


def checking() -> None:
    """What an event costs."""
    catalogue = load_policies().catalogue
    plan = CompiledPlan(parse_plan(json.dumps(PLAN).encode(), catalogue, is_toml=False), catalogue)
    none = CompiledPlan(None, catalogue)
    invalid = {**COMPLETED, "total": "much", "unplanned": 1, "coupon": "jane@example.com"}
    for words, work in (
        ("Order Completed, ten properties, two products", lambda: plan.check("track", "Order Completed", COMPLETED)),
        ("the same with three violations", lambda: plan.check("track", "Order Completed", invalid)),
        ("a page, five texts in clear", lambda: plan.check("page", "Shoes", PAGE)),
        ("an unplanned event", lambda: plan.check("track", "Anything", COMPLETED)),
        ("without a plan", lambda: none.check("track", "Order Completed", COMPLETED)),
    ):
        print(f"{words:50} {microseconds(work):7.1f} µs")


def detecting() -> None:
    """What a text costs."""
    prose = "The parcel left our warehouse and should reach you in two or three days; nobody has to be at home. " * 11
    numbers = "Order 48213 of 2 items, SKU AB-1293, paid 39.90 EUR on 2026-05-14 at 09:30, ships to DE. " * 12
    foreign = "Größe 42, Farbe schwarz \u2013 für Straße und Büro; naïve café " * 18
    for words, text in (
        ("a kilobyte of prose", prose[:1024]),
        ("a kilobyte of prose beyond ASCII", foreign[:1024]),
        ("a kilobyte full of numbers", numbers[:1024]),
        ("an order's number", "ORD-293847"),
        ("a UUID", "550e8400-e29b-41d4-a716-446655440000"),
        ("an address of a page", PAGE["url"]),
    ):
        print(f"{words:50} {microseconds(lambda text=text: find(text), 500):7.1f} µs")


def mistaking(count: int = 50_000) -> None:
    """How many random numbers of each kind are taken for somebody's."""
    source = random.Random(7)  # noqa: S311 - the same numbers each time

    def digits(length: int) -> str:
        return str(source.randint(10 ** (length - 1), 10**length - 1))

    def letters(length: int) -> str:
        return "".join(source.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(length))

    kinds: dict[str, Callable[[], str]] = {
        "UUID": lambda: str(uuid.UUID(int=source.getrandbits(128))),
        "hash (64 hexadecimal)": lambda: f"{source.getrandbits(256):064x}",
        "seconds since 1970": lambda: str(source.randint(1_600_000_000, 1_900_000_000)),
        "milliseconds since 1970": lambda: str(source.randint(1_600_000_000_000, 1_900_000_000_000)),
        "order (ORD-12345678)": lambda: f"ORD-{digits(8)}",
        "order (20260514-1234)": lambda: (
            f"20{source.randint(13, 29)}{source.randint(1, 12):02}{source.randint(1, 28):02}-{digits(4)}"
        ),
        "order (112-1234567-1234567)": lambda: f"{digits(3)}-{digits(7)}-{digits(7)}",
        "article (ABC-12345-XL)": lambda: f"{letters(3)}-{digits(5)}-{letters(2)}",
        "article (AB123456C)": lambda: f"{letters(2)}{digits(6)}{letters(1)}",
        "page with ids": lambda: f"https://shop.example/p/{digits(7)}?id={digits(10)}&v={uuid.uuid4()}",
        **{f"{length} digits": lambda length=length: digits(length) for length in range(7, 20)},
    }
    record = hints_of("order_id")
    print(f"\n{'':32}{'any name':>10} {'order_id':>10}")
    for words, make in kinds.items():
        shares = []
        for hints in (NO_HINTS, record):
            found = Counter(find(make(), hints) for _ in range(count))
            shares.append(1 - found[None] / count)
        print(f"{words:32}{shares[0]:>10.3%} {shares[1]:>10.3%}")


if __name__ == "__main__":
    checking()
    detecting()
    mistaking()
