"""Somebody whose profiles were merged is one customer, in the counts of what was read and among those who are told."""

import pytest

from audit import AccessQuery, Kind
from customers.oversight.impact import radius
from customers.oversight.people import People
from customers.oversight.references import Marks, References
from customers.oversight.replay import replay
from customers.oversight.resolve import Resolution, resolve
from tests.customers.oversight.policy_changes import changed
from tests.schema.world import AUDITOR, OFFICER, SHIPPED, utc_now

LOOK = "query Look($id: ID!) { profile(id: $id) { givenName email } }"
CITY = "query City($id: ID!) { profile(id: $id) { city } }"
STEWARD = ("data_steward", "identity_resolution")


@pytest.fixture
async def read(world):
    """Ada, of three profiles, and Bob; Mallory read them before the profiles were merged, and Ada once after."""
    survivor, first, second, bob = [await world.one(number) for number in range(1, 5)]
    for customer in (first, second, bob):
        await world.told(LOOK, "support_agent", "customer_service", {"id": customer}, actor="mallory")
    async with world.vault.reading():
        await world.reviewer.merge(world.access(*STEWARD), first, second)
        await world.reviewer.merge(world.access(*STEWARD), survivor, first)
    await world.told(CITY, "support_agent", "customer_service", {"id": second}, actor="mallory")
    world.ids = {"survivor": survivor, "first": first, "second": second, "bob": bob}
    return world


def people(world):
    return People(world.store, world.vault)


async def measured(world, who=None, **asked):
    query = AccessQuery(since=world.since, actor="mallory", **asked)
    return await radius(world.log, world.access(*AUDITOR), query, SHIPPED.catalogue, people=who, now=utc_now())


def reached(found):
    return {each.field: each.reached.customers for category in found.categories for each in category.fields}


async def test_a_breach_reached_each_person_once(read):
    found = (await measured(read, people(read))).result()
    assert found.customers == 2
    assert reached(found) == {"profile.id": 2, "profile.given_name": 2, "profile.email": 2, "profile.city": 1}
    assert found.values == 7
    apart = (await measured(read)).result()
    assert (apart.customers, reached(apart)["profile.city"]) == (4, 3), "without knowing who is whom"
    assert (apart.records, apart.read, apart.first, apart.last) == (
        found.records,
        found.read,
        found.first,
        found.last,
    )


async def test_a_survivor_of_whom_only_a_part_was_read_is_one_person(read):
    mail = (await measured(read, people(read), field="profile.email")).result()
    assert (mail.customers, (await measured(read, field="profile.email")).result().customers) == (2, 3)


async def test_a_person_is_told_once_with_all_that_was_read_of_them(read):
    told = []
    resolution = await resolve(
        await measured(read, people(read)), read.access(*OFFICER), told.extend,
        log=read.log, store=read.store, vault=read.vault, now=utc_now,
    )  # fmt: skip
    assert resolution == Resolution(found=2, refused=0, nobody=0)
    traces = {each.customer_id: each.trace for each in told}
    assert traces.keys() == {read.ids["survivor"], read.ids["bob"]}
    assert "user.contact.email" in traces[read.ids["survivor"]].clear
    assert "user.contact.address.city" in traces[read.ids["survivor"]].clear
    export = (await read.records(kind=Kind.EXPORT))[-1]
    assert await read.reference(read.ids["survivor"]) in export.subjects, "so that they find it in their own log"


async def test_profiles_that_were_taken_apart_again_are_two_people(read):
    async with read.vault.reading():
        await read.reviewer.unmerge(read.access(*STEWARD), read.ids["first"])
    assert (await measured(read, people(read))).result().customers == 3


async def test_who_was_erased_is_counted_as_the_log_has_them(read):
    await read.erase(read.ids["survivor"])
    assert (await measured(read, people(read))).result().customers == 4


async def test_a_changed_policy_is_about_each_person_once(read):
    policy = changed(add=["p, *, customer_service, user.contact.email, read, any, deny"])

    async def replayed(who):
        access = read.access(*AUDITOR)
        return await replay(
            read.log, access, policy, (), since=read.since, until=None, now=utc_now(), people=who
        )  # fmt: skip

    found, apart = await replayed(people(read)), await replayed(None)
    assert (found.customers, apart.customers) == (2, 3)
    assert {group.customers for group in found.groups} == {2}
    assert found.records == apart.records - 1, "the search of the first one is in the log by the second"


def test_joined_references_count_once_whichever_was_met():
    references, marks = References(), Marks()
    for each in ("a", "b", "c"):
        marks.add(references.number(each))
    assert references.join("a", "x") is None, "x was not met, and has the number of a"
    assert references.join("b", "x") == (1, 0)
    marks.move(1, 0)
    assert references.join("b", "x") is None
    assert (len(references), len(marks), references.find("b")) == (2, 2, 0)
    assert references.number("d") == 3
    assert len(references) == 3
