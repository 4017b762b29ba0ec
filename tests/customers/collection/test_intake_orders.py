"""Events about orders become orders, once each, and the sums of a profile stay in step with them."""

import pytest

from customers.collection.violations import ViolationKind
from tests.customers.collection.gathering import gathering, order, seen
from tests.schema.world import SUPPORT, person


@pytest.fixture
async def shop(world):
    async with gathering(world) as found:
        yield found
        assert found.errors == []


async def test_a_completed_order_is_an_order_once(shop):
    event = order("Order Completed", "O-of-tea", total=28.73, currency="eur", message="m")
    await shop.send(event)
    await shop.send(event, {**event, "messageId": "another"})
    found = await seen(shop, role=SUPPORT)
    assert (found["orderCount"], found["totalSpent"], found["currency"]) == (1, "28.73", "EUR")
    assert found["firstOrderAt"] == found["lastOrderAt"] == "2026-05-14T09:30:00Z"
    (shown,) = found["orders"]["nodes"]
    assert shown == {
        "placedAt": "2026-05-14T09:30:00Z",
        "total": "28.73",
        "currency": "EUR",
        "units": 3,
        "status": "completed",
        "items": [{"sku": "A1", "title": "Tea", "quantity": 2}, {"sku": "B2", "quantity": 1}],
    }
    (stored,) = await shop.world.main["orders"].find({}).to_list(None)
    assert "O-of-tea" not in str(stored)


async def test_refunds_and_cancellations_take_away_what_they_say_and_never_more(shop):
    await shop.send(
        order("Order Completed", "O-1", total=100, currency="EUR"),
        order("Order Completed", "O-2", 1, total="50.50", currency="EUR"),
        order("Order Completed", "O-3", 2, revenue=10, currency="EUR"),
        order("Order Refunded", "O-1", 3, total=30),
        order("Order Updated", "O-3", 3, total=12, currency="EUR"),
    )
    assert ((await seen(shop))["orderCount"], (await seen(shop))["totalSpent"]) == (3, "132.50")
    await shop.send(order("Order Refunded", "O-1", 4, total=500), order("Order Cancelled", "O-2", 4))
    await shop.send(order("Order Cancelled", "O-2", 5))
    found = await seen(shop)
    assert (found["orderCount"], found["totalSpent"]) == (3, "12.00")
    assert [each["status"] for each in found["orders"]["nodes"]] == ["updated", "cancelled", "refunded"]


async def test_orders_that_make_no_sense_are_counted_as_that(shop):
    await shop.send(
        order("Order Completed", "O-1", total=10, currency="EUR"),
        order("Order Completed", "O-2", total=10, currency="USD"),
        order("Order Completed", "O-3", total="much"),
        order("Order Completed", None, total=1),
        order("Order Completed", "O-4", total=-1),
        order("Order Refunded", "O-9", total=1),
    )
    found = await seen(shop)
    assert (found["orderCount"], found["totalSpent"]) == (2, "10.00")
    kinds = {kind: count for (kind, _), count in (await shop.counted()).items()}
    assert kinds[ViolationKind.ORDER_CURRENCY] == 1
    assert kinds[ViolationKind.ORDER_INCOMPLETE] == 3
    assert kinds[ViolationKind.ORDER_UNKNOWN] == 1


async def test_orders_of_a_customer_who_had_some_are_counted_with_them(shop):
    from tests.schema.world import order as had  # noqa: PLC0415 - only here

    draft = shop.world.draft(person(1), external=["user:7"], orders=[had(1), had(2)])
    (customer_id,) = await shop.world.create(draft)
    for number in range(3):
        await shop.send(
            {
                **order("Order Completed", f"O-{number}", number, total=1, currency="EUR"),
                "userId": "7",
                "anonymousId": None,
            }
        )
    found = await seen(shop, customer_id)
    assert (found["orderCount"], found["totalSpent"]) == (5, f"{(2874 + 2875) / 100 + 3:.2f}")
    assert [each["total"] for each in found["orders"]["nodes"]] == ["1.00", "1.00", "1.00", "28.75", "28.74"]
