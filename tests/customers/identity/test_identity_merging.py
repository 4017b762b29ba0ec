"""Merging joins, unmerging restores to the byte, and nothing that cuts either off leaves anybody half joined."""

from datetime import timedelta

import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from customers.consent.model import ConsentDecision, ConsentState
from customers.errors import MergeNotPossibleError, ProfileNotFoundError, WriteNotAllowedError
from customers.identity.model import Identifier, IdentifierType
from tests.customers.faults import Failing
from tests.schema.world import OFFICER, SUPPORT, granted, objected, order, person, ticket, utc_now

STEWARD = ("data_steward", "identity_resolution")
SELECTED = """id givenName familyName email phone nationalId notes traits country region orderCount ticketCount totalSpent
  firstOrderAt lastOrderAt identifiers { type value } orders(first: 50) { nodes { id placedAt } }
  tickets(first: 50) { nodes { id } } consents { purpose state source }"""
ONE = f"query ($id: ID!) {{ profile(id: $id) {{ {SELECTED} }} }}"
PAGE = f"{{ profiles(first: 50) {{ nodes {{ {SELECTED} }} }} }}"


async def raw(world, *customers):
    """The bytes of these customers' documents, and all rows that find anybody."""
    options = CodecOptions(document_class=RawBSONDocument)
    profiles = world.main.get_collection("profiles", codec_options=options)
    rows = await world.main["blind_index"].find({}).sort("_id", 1).to_list(None)
    return [(await profiles.find_one({"_id": each})).raw for each in customers], rows


async def merge(world, survivor, absorbed, who=STEWARD):
    async with world.vault.reading():
        await world.reviewer.merge(world.access(*who), survivor, absorbed)


async def unmerge(world, absorbed, who=STEWARD):
    async with world.vault.reading():
        return await world.reviewer.unmerge(world.access(*who), absorbed)


async def told(world, customer, who=OFFICER):
    return (await world.told(ONE, *who, {"id": customer}))["profile"]


async def two(world):
    """Two people, each with something that the other lacks."""
    return await world.create(
        world.draft(
            person(1, family_name=None, notes=None, region=None) | {"traits": {"shoe": "39"}},
            consents=granted("marketing", "analytics"),
            external=["crm:1"],
            orders=[order(1), order(4)],
            tickets=[ticket(1)],
        ),
        world.draft(
            person(2) | {"traits": {"shoe": "40", "hat": "L"}},
            consents=(*granted("analytics"), *objected("sales")),
            external=["crm:2"],
            orders=[order(2), order(3), order(5)],
        ),
    )


async def test_unmerging_restores_both_documents_and_every_row_to_the_byte(world):
    one, other = await two(world)
    before = await raw(world, one, other)
    await merge(world, one, other)
    merged = await raw(world, one, other)
    assert merged != before  # negative control
    assert all(mine != theirs for mine, theirs in zip(merged[0], before[0], strict=True))
    assert await unmerge(world, other) == one
    assert await raw(world, one, other) == before


async def test_several_merges_are_undone_in_either_order(world):
    people = await world.create(*(world.draft(person(number), external=[f"crm:{number}"]) for number in range(4)))
    before = await raw(world, *people)
    first, *others = people
    for each in others:
        await merge(world, first, each)
    for each in reversed(others):
        await unmerge(world, each)
    assert await raw(world, *people) == before
    for each in others:
        await merge(world, first, each)
    for each in others:
        await unmerge(world, each)
    documents, rows = await raw(world, *people)
    assert rows == before[1]
    assert documents[1:] == before[0][1:]
    volatile = ("version", "updated_at")
    was, now = (
        {name: value for name, value in RawBSONDocument(each).items() if name not in volatile}
        for each in (before[0][0], documents[0])
    )
    assert now == was  # all but how often it changed, which grows when merges are not undone in their order


async def test_who_was_joined_of_several_moves_with_them_and_comes_back_with_them(world):
    a, b, c = await world.create(*(world.draft(person(number)) for number in range(3)))
    before = await raw(world, a, b, c)
    await merge(world, b, c)
    between = await raw(world, a, b, c)
    await merge(world, a, b)
    assert {each["merged_into"] for each in await world.store.find([b, c])} == {a}
    assert (await world.store.find([a]))[0]["parts"] == [b, c]
    assert (await told(world, c))["id"] == a
    assert await find(world, 2) == a
    with pytest.raises(MergeNotPossibleError):
        await unmerge(world, c)
    await unmerge(world, b)
    assert await raw(world, a, b, c) == between
    await unmerge(world, c)
    assert await raw(world, a, b, c) == before


async def find(world, number):
    query = "query ($v: String!) { profileByIdentifier(type: EMAIL, value: $v) { id } }"
    found = (await world.told(query, *OFFICER, {"v": person(number)["email"]}))["profileByIdentifier"]
    return None if found is None else found["id"]


async def test_what_is_one_person_is_read_as_one(world):
    one, other = await two(world)
    mine, theirs = await told(world, one), await told(world, other)
    await merge(world, one, other)
    both = await told(world, one)
    assert both["givenName"] == mine["givenName"]
    assert both["familyName"] == theirs["familyName"]
    assert both["notes"] == theirs["notes"]
    assert both["traits"] == {"shoe": "39", "hat": "L"}
    assert (both["region"], both["email"]) == ("emea", mine["email"])
    assert [each["value"] for each in both["identifiers"]] == [
        each["value"] for part in (mine, theirs) for each in part["identifiers"]
    ]
    assert (both["orderCount"], both["ticketCount"]) == (5, 1)
    assert float(both["totalSpent"]) == float(mine["totalSpent"]) + float(theirs["totalSpent"])
    assert (both["firstOrderAt"], both["lastOrderAt"]) == (mine["firstOrderAt"], theirs["lastOrderAt"])
    days = [each["placedAt"] for each in both["orders"]["nodes"]]
    assert days == sorted(days, reverse=True)
    every = {each["id"] for part in (mine, theirs) for each in part["orders"]["nodes"]}
    assert {each["id"] for each in both["orders"]["nodes"]} == every
    assert await told(world, other) == both
    assert (await world.told(PAGE, *OFFICER))["profiles"]["nodes"] == [both]
    assert [await find(world, number) for number in (1, 2)] == [one, one]


async def test_pages_of_orders_of_several_profiles_give_each_once(world):
    one, other = await two(world)
    await merge(world, one, other)
    query = """query ($id: ID!, $after: String) { profile(id: $id) {
      orders(first: 2, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } } }"""
    ids, after, more = [], None, True
    while more:
        page = (await world.told(query, *OFFICER, {"id": one, "after": after}))["profile"]["orders"]
        ids += [each["id"] for each in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert ids == [each["id"] for each in (await told(world, one))["orders"]["nodes"]]
    assert len(ids) == 5


async def test_of_what_both_allow_the_least_holds(world):
    one, other = await two(world)
    await merge(world, one, other)
    (document,) = await world.store.find([one])
    assert "marketing" not in document["rights"]["consented"]
    assert "analytics" in document["rights"]["consented"]
    assert document["rights"]["objected"] == ["sales"]
    shown = {each["purpose"]: (each["state"], each["source"]) for each in (await told(world, one))["consents"]}
    assert shown == {
        "marketing": ("withdrawn", "merge"),
        "analytics": ("granted", "test"),
        "sales": ("objected", "test"),
    }
    assert (await world.told(PAGE, "sales_rep", "sales", regions=["emea"]))["profiles"]["nodes"][0][
        "givenName"
    ] is None
    await unmerge(world, other)
    assert "marketing" in (await world.store.find([one]))[0]["rights"]["consented"]


async def decide(world, customer, purpose, state):
    decision = ConsentDecision(purpose, state, utc_now(), "form")
    async with world.vault.reading():
        await world.writer.record_consent(world.access(*OFFICER), customer, decision)


async def test_what_was_said_no_to_since_holds_for_both_and_a_yes_stays_with_the_survivor(world):
    one, other = await two(world)
    await merge(world, one, other)
    await decide(world, other, "analytics", ConsentState.WITHDRAWN)
    await decide(world, one, "email_marketing", ConsentState.GRANTED)
    await unmerge(world, other)
    mine, theirs = (document["rights"] for document in sorted_by(await world.store.find([one, other]), one, other))
    assert "email_marketing" in mine["consented"]
    assert "marketing" in mine["consented"]
    assert "email_marketing" not in theirs["consented"]
    assert "analytics" not in {*mine["consented"], *theirs["consented"]}
    assert (mine["objected"], theirs["objected"]) == ([], ["sales"])


def sorted_by(documents, *ids):
    return [next(each for each in documents if each["_id"] == customer) for customer in ids]


async def test_changes_since_the_merge_stay_with_the_survivor(world):
    one, other = await two(world)
    before, _ = await raw(world, other)
    await merge(world, one, other)
    async with world.vault.reading():
        access = world.access(*OFFICER)
        await world.writer.update(access, other, {"given_name": "Later", "country": "FR"})
        await world.writer.add_identifier(access, one, Identifier(IdentifierType.EXTERNAL_ID, "crm:9"))
    await unmerge(world, other)
    mine, theirs = await told(world, one), await told(world, other)
    assert (mine["givenName"], mine["country"], theirs["givenName"]) == ("Later", "FR", "Given2")
    assert (mine["orderCount"], theirs["orderCount"]) == (2, 3)
    assert mine["region"] is None
    assert ("external_id", "crm:9") in {(each["type"], each["value"]) for each in mine["identifiers"]}
    assert (await raw(world, other))[0] == before


async def test_what_is_removed_from_a_joined_profile_is_gone_from_all_of_it(world):
    one, other = await two(world)
    await merge(world, one, other)
    async with world.vault.reading():
        access = world.access(*OFFICER)
        await world.writer.update(access, one, {"family_name": None, "traits": {"hat": None}, "notes": ["new"]})
        await world.writer.remove_identifier(access, one, Identifier(IdentifierType.EMAIL, person(2)["email"]))
    both = await told(world, one)
    assert (both["familyName"], both["traits"], both["notes"]) == (None, {"shoe": "39"}, ["new"])
    assert person(2)["email"] not in {each["value"] for each in both["identifiers"]}
    assert await find(world, 2) is None
    async with world.vault.reading():
        await world.writer.update(world.access(*OFFICER), one, {"email": "new@mail.example"})
    assert (await told(world, one))["email"] == "new@mail.example"


async def test_every_part_is_a_subject_of_the_record_and_one_customer_to_the_caller(world):
    one, other = await two(world)
    await merge(world, one, other)
    references = {await world.reference(each) for each in (one, other)}
    answer = await world.ask("{ profiles { nodes { givenName } } }", "sales_rep", "sales", regions=["apac"])
    record = (await world.records())[-1]
    assert set(record.subjects) == references
    assert {position for each in record.exceptions for position in each.subjects} == {0, 1}
    assert {each["customers"] for each in answer.extensions["privacy"]["withheld"] if "customers" in each} == {1}
    merges = [each for each in await world.records() if set(each.subjects) == references and each.kind == "write"]
    assert merges


async def test_who_may_not_join_profiles_is_refused_and_nothing_is_changed(world):
    one, other = await two(world)
    before = await raw(world, one, other)
    for who in (SUPPORT, OFFICER, ("product_analyst", "analytics"), ("data_steward", "customer_service")):
        with pytest.raises(WriteNotAllowedError):
            await merge(world, one, other, who)
    with pytest.raises(MergeNotPossibleError):
        await merge(world, one, one)
    with pytest.raises(ProfileNotFoundError):
        await merge(world, one, "cus_nobody")
    with pytest.raises(MergeNotPossibleError):
        await unmerge(world, one)
    assert await raw(world, one, other) == before
    await merge(world, one, other)
    with pytest.raises(WriteNotAllowedError):
        await unmerge(world, other, SUPPORT)
    for pair in ((one, other), (other, one)):
        with pytest.raises(MergeNotPossibleError):
            await merge(world, *pair)


async def test_a_merge_or_an_unmerge_cut_off_anywhere_is_brought_to_its_end(faulty, monkeypatch):
    world, faults = faulty
    monkeypatch.setattr("customers.identity.merge_steps._ABANDONED", timedelta(0))
    met = []
    for number in range(40):
        people = await world.create(*(world.draft(person(3 * number + each)) for each in range(3)))
        one, other, inner = people
        await merge(world, other, inner)
        before = await raw(world, *people)
        met.append(0)
        for change in (
            lambda one=one, other=other: merge(world, one, other),
            lambda other=other: unmerge(world, other),
        ):
            faults.arm(number, Failing.GONE)
            try:
                await change()
            except Exception:  # noqa: BLE001 - whatever it is, it is mended
                met[-1] += 1
            finally:
                faults.disarm()
            await world.reviewer.merger.resume()
            assert not await world.main["merges"].find({"open": True}).to_list(None)
            documents = {each["_id"]: each for each in await world.store.find(people)}
            into = {documents[each].get("merged_into") for each in (other, inner)}
            assert into in ({one}, {None, other})
            joined = into == {one}
            assert documents[one].get("parts", []) == ([other, inner] if joined else [])
            found = {await find(world, 3 * number + each) for each in range(3)}
            assert found == ({one} if joined else {one, other})
        if (await world.store.find([other]))[0].get("merged_into"):
            await unmerge(world, other)
        assert await raw(world, *people) == before
        if not met[-1]:
            break
    assert sum(met) > 10
    assert met[-1] == 0


async def test_without_its_parts_a_profile_is_half_a_person(world, monkeypatch):
    """Negative control: what the reads above would see, were the parts not fetched."""
    one, other = await two(world)
    await merge(world, one, other)
    gateway = world.services.gateway

    async def none(_documents, _projection):
        return {}

    assert (await told(world, one))["familyName"] == "Family2"
    monkeypatch.setattr(gateway, "_parts", none)
    assert (await told(world, one))["familyName"] is None
