"""What goes and what stays is shown before: just what the erasure then does, to whom it concerns, and recorded."""

import pytest

from customers.errors import EraseNotAllowedError, ProfileNotFoundError
from tests.schema.world import CUSTOMER, OFFICER, SUPPORT, order, ticket


async def someone(world, number=1):
    orders = (order(1), order(2, status="cancelled"), order(3))
    return await world.one(number, orders=orders, tickets=(ticket(1),))


async def test_what_is_shown_before_is_what_the_certificate_says_after(world):
    gone = await someone(world)
    before = await world.counted()
    shown = await world.eraser.preview(world.access(*OFFICER), gone)
    assert (shown.profiles, shown.records) == (1, {"order": 3, "ticket": 1})
    assert await world.counted() == before, "nothing is changed"
    record = (await world.records(kind="read"))[-1]
    assert (len(record.subjects), record.purpose) == (1, "privacy_request")
    certificate = await world.erase(gone)
    assert certificate.kept == shown.kept
    assert [each.records for each in shown.kept] == [2]
    with pytest.raises(ProfileNotFoundError):
        await world.eraser.preview(world.access(*OFFICER), gone)


async def test_it_is_shown_to_the_customers_themselves_and_to_nobody_who_may_not_erase_them(world):
    mine, other = await someone(world), await someone(world, 2)
    own = world.access(*CUSTOMER, customer=mine)
    assert (await world.eraser.preview(own, mine)).records["order"] == 3
    for access, customer in ((own, other), (world.access(*SUPPORT), mine)):
        with pytest.raises(EraseNotAllowedError):
            await world.eraser.preview(access, customer)


async def test_of_a_person_of_two_profiles_all_is_counted(world):
    one, other = await someone(world), await world.one(2, orders=(order(5),))
    async with world.vault.reading():
        await world.reviewer.merge(world.access("data_steward", "identity_resolution"), one, other)
    shown = await world.eraser.preview(world.access(*OFFICER), other)
    assert (shown.profiles, shown.records["order"]) == (2, 4)
    assert shown.kept == (await world.erase(one)).kept
