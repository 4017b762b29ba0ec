"""What is said of an order whose owner was merged into somebody since changes that order, and the person's sum, once."""

import pytest

from customers.collection.violations import ViolationKind
from tests.customers.collection.gathering import gathering, order, seen
from tests.customers.identity.test_identity_merging import merge, unmerge


@pytest.fixture
async def shop(world):
    async with gathering(world) as found:
        yield found
        assert found.errors == []


def by(user, event):
    return {**event, "userId": user, "anonymousId": None}


def bought(user, number, total, minutes=0, currency="EUR"):
    return by(user, order("Order Completed", number, minutes, total=total, currency=currency))


def refunded(user, number, minutes=9, message=None, **properties):
    return by(user, order("Order Refunded", number, minutes, message, **properties))


async def people(shop, *, currency="EUR"):
    """Ada and Bob, who are one, and Cyd; Bob bought for 100 and 50."""
    await shop.send(bought("ada", "O-1", 10), bought("cyd", "O-9", 7))
    await shop.send(bought("bob", "O-2", 100, currency=currency), bought("bob", "O-3", 50, 1, currency))
    found = [await shop.customer("external_id", f"user:{name}") for name in ("ada", "bob", "cyd")]
    await merge(shop.world, *found[:2])
    return found


async def sums(shop, *customers):
    return [(await seen(shop, each))["totalSpent"] for each in customers]


async def unknown(shop):
    return sum(count for (kind, _), count in (await shop.counted()).items() if kind == ViolationKind.ORDER_UNKNOWN)


async def test_a_refund_of_an_order_that_came_along_is_in_the_sum_once(shop):
    ada, _, _ = await people(shop)
    assert await sums(shop, ada) == ["160.00"]
    refund = refunded("ada", "O-2", message="r-1", total=30)
    for _ in range(2):
        await shop.send(refund, refund)
    await shop.send(refunded("ada", "O-3"))
    found = await seen(shop, ada)
    assert (found["totalSpent"], found["orderCount"]) == ("80.00", 3)
    assert {each["total"]: each["status"] for each in found["orders"]["nodes"]} == {
        "10.00": "completed",
        "100.00": "partly refunded",
        "50.00": "refunded",
    }
    assert await unknown(shop) == 0
    await shop.send(refunded("ada", "O-1", 10, total=4), refunded("ada", "O-2", 11, total=1))
    assert await sums(shop, ada) == ["75.00"]


async def test_somebody_elses_order_is_unknown_as_before(shop):
    ada, _, cyd = await people(shop)
    await shop.send(refunded("ada", "O-9", total=1))
    assert await unknown(shop) == 1
    assert await sums(shop, ada, cyd) == ["160.00", "7.00"]


async def test_an_update_changes_the_order_under_its_own_key(shop):
    ada, bob, _ = await people(shop)
    await shop.send(by("ada", order("Order Updated", "O-2", 5, total=90, currency="EUR", message="m")))
    assert await sums(shop, ada) == ["150.00"]
    owners = {each["customer_id"] for each in await shop.world.main["orders"].find({}).to_list(None)}
    assert bob in owners
    assert len((await seen(shop, ada))["orders"]["nodes"]) == 3


async def test_taken_apart_again_each_has_the_sum_of_their_own_orders(shop):
    ada, bob, _ = await people(shop)
    await shop.send(refunded("ada", "O-2", total=30), refunded("ada", "O-1", total=4), bought("ada", "O-4", 5, 10))
    assert await sums(shop, ada) == ["131.00"]
    await unmerge(shop.world, bob)
    assert await sums(shop, ada, bob) == ["11.00", "120.00"]
    assert "adjusted" not in await shop.profile(ada)
    await shop.send(refunded("bob", "O-2", 20), bought("bob", "O-5", 1, 21), refunded("ada", "O-4", 22))
    assert await sums(shop, ada, bob) == ["6.00", "51.00"]
    await merge(shop.world, ada, bob)
    assert await sums(shop, ada) == ["57.00"]


async def test_of_several_merged_into_one_another_each_keeps_what_was_said_of_theirs(shop):
    ada, bob, cyd = await people(shop)
    await shop.send(refunded("ada", "O-2", total=30))
    await merge(shop.world, cyd, ada)
    await shop.send(refunded("cyd", "O-2", 10, total=5), refunded("cyd", "O-1", 10, total=1))
    assert await sums(shop, cyd) == ["131.00"]
    await unmerge(shop.world, ada)
    assert await sums(shop, cyd, ada) == ["7.00", "124.00"]
    await unmerge(shop.world, bob)
    assert await sums(shop, cyd, ada, bob) == ["7.00", "9.00", "115.00"]


async def test_an_order_in_another_currency_is_refunded_and_leaves_the_sum_alone(shop):
    ada, bob, _ = await people(shop, currency="USD")
    assert await sums(shop, ada) == ["10.00"]
    await shop.send(refunded("ada", "O-2", total=30))
    assert await sums(shop, ada) == ["10.00"]
    await unmerge(shop.world, bob)
    assert await sums(shop, ada, bob) == ["10.00", "120.00"]


async def test_a_writer_that_dies_between_the_order_and_the_profile_counts_it_once(shop, monkeypatch):
    ada, bob, _ = await people(shop)
    update, lost = shop.world.store.update, []

    async def losing(customer_id, version, change):
        if not lost and "orders_counted" in change.get("$set", {}):
            lost.append(customer_id)
            return False
        return await update(customer_id, version, change)

    monkeypatch.setattr(shop.world.store, "update", losing)
    await shop.send(refunded("ada", "O-2", total=30))
    assert lost == [ada]
    assert await sums(shop, ada) == ["130.00"]
    monkeypatch.setattr(shop.parts.applier._teller._orders, "close", _nothing)
    await shop.send(refunded("ada", "O-2", 10, total=30))  # counted, and not closed
    await unmerge(shop.world, bob)
    monkeypatch.undo()
    await shop.send(refunded("bob", "O-2", 11, total=1))
    assert await sums(shop, ada, bob) == ["10.00", "89.00"]


async def _nothing(*_sums):
    pass
