"""Events find their people, or make them: whoever sends them, however many at once, and whatever is cut off."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from customers.errors import WriteNotAllowedError
from customers.identity.model import Identifier, IdentifierType
from customers.identity.review import CaseState
from customers.identity.rules import LIMITS, Identified
from tests.customers.faults import Failing
from tests.schema.counting import counting_client
from tests.schema.world import OFFICER, granted, new_databases, new_world, objected, open_world, person

COLLECTOR = ("collector", "data_collection")


def who(anonymous=None, user=None, email=None, phone=None, previous=None, **given):
    """What an event says of whom it is about."""
    named = [
        (IdentifierType.EXTERNAL_ID, None if user is None else f"user:{user}"),
        (IdentifierType.EMAIL, email),
        (IdentifierType.PHONE, phone),
        (IdentifierType.ANONYMOUS_ID, anonymous),
    ]
    told = tuple(Identifier(kind, value) for kind, value in named if value is not None)
    forms = [(IdentifierType.EXTERNAL_ID, f"user:{previous}"), (IdentifierType.ANONYMOUS_ID, previous)]
    before = () if previous is None else tuple(Identifier(*each) for each in forms)
    return Identified(told, before, **given)


async def resolve(world, *items, access=COLLECTOR):
    async with world.vault.reading():
        return await world.resolver.resolve(world.access(*access), items)


async def ids(world, *items):
    return [None if each is None else each.customer_id for each in await resolve(world, *items)]


async def identifiers(world, customer):
    query = "query ($id: ID!) { profile(id: $id) { id identifiers { type value } } }"
    found = (await world.told(query, *OFFICER, {"id": customer}))["profile"]
    return None if found is None else [each["value"] for each in found["identifiers"]]


async def shown(world):
    return (await world.told("{ profiles(first: 100) { nodes { id } } }", *OFFICER))["profiles"]["nodes"]


async def test_a_visitor_is_made_once_and_found_again(world):
    first, again = await resolve(world, who("a-1"), who("a-1"))
    assert (first.created, first.customer_id) == (True, again.customer_id)
    (later,) = await resolve(world, who("a-1"))
    assert (later.created, later.customer_id) == (False, first.customer_id)
    assert later.key.fingerprint == first.key.fingerprint
    assert await identifiers(world, first.customer_id) == ["a-1"]
    assert (await ids(world, who("a-2")))[0] != first.customer_id  # negative control
    assert await world.main["creations"].find({}).to_list(None) == []
    assert (await world.records())[0].subjects == (await world.reference(first.customer_id),)


async def test_a_visitor_who_says_who_they_are_stays_who_they_are(world):
    (visitor,) = await ids(world, who("a-1"))
    assert (
        await ids(world, who("a-1", user="7", email="ada@mail.example"), who(user="7"), who("a-1")) == [visitor] * 3
    )
    assert await identifiers(world, visitor) == ["a-1", "user:7", "ada@mail.example"]
    assert len(await shown(world)) == 1
    found = await world.told("query ($id: ID!) { profile(id: $id) { email } }", *OFFICER, {"id": visitor})
    assert found["profile"]["email"] == "ada@mail.example"


async def test_a_visitor_who_turns_out_to_be_somebody_is_absorbed_and_nothing_is_lost(world):
    (known,) = await ids(world, who("a-1", user="7"))
    (visitor,) = await ids(world, who("a-2"))
    assert await ids(world, who("a-2", user="7"), who("a-2"), who("a-3", user="7")) == [known] * 3
    assert await identifiers(world, known) == ["user:7", "a-1", "a-3", "a-2"]
    assert [each["id"] for each in await shown(world)] == [known]
    (entry,) = await world.main["merges"].find({}).to_list(None)
    assert (entry["survivor"], entry["absorbed"], entry["state"]) == (known, visitor, "merged")
    assert entry["actor"].startswith("test-collector")
    async with world.vault.reading():
        assert await world.reviewer.unmerge(world.access("data_steward", "identity_resolution"), visitor) == known
    assert await ids(world, who("a-2")) == [visitor]


async def test_within_one_batch_a_visitor_who_says_who_they_are_is_made_once(world):
    found = await ids(world, who("a-1"), who("a-1", user="7"), who("a-2"), who("a-2", user="7"), who(user="8"))
    assert found[:4] == [found[0]] * 4
    assert found[4] != found[0]
    assert await world.main["profiles"].count_documents({}) == 2
    assert await world.main["merges"].count_documents({}) == 0


async def test_a_shared_device_does_not_fuse_two_people(world):
    ada, eve = await ids(world, who("tablet", user="ada"), who("tablet", user="eve"))
    assert ada != eve
    assert await ids(world, who("tablet"), who("tablet", user="eve"), who("tablet", user="ada")) == [ada, eve, ada]
    assert await identifiers(world, eve) == ["user:eve"]
    assert await world.main["identity_cases"].count_documents({}) == 0


async def test_two_identified_people_are_never_joined_and_somebody_is_asked(world):
    ada, eve = await ids(world, who(user="ada", email="ada@mail.example"), who(user="eve", email="eve@mail.example"))
    assert await ids(world, who(user="ada", email="eve@mail.example")) == [ada]
    assert await ids(world, who(user="ada", previous="eve")) == [ada]
    assert await ids(world, who(user="new", previous="eve")) != [eve]
    assert await identifiers(world, eve) == ["user:eve", "eve@mail.example"]
    cases, more = await world.reviewer.cases.page(10)
    assert not more
    assert [(each.kind, each.state, each.evidence) for each in cases] == [
        ("two_people", CaseState.OPEN, {"email": "same"}),
        ("alias", CaseState.OPEN, {"external_id": "same"}),
    ]
    assert cases[0].customers == tuple(sorted((ada, eve)))
    everything = str(await world.main["identity_cases"].find({}).to_list(None))
    assert "mail.example" not in everything
    assert "user:" not in everything


async def test_an_alias_joins_a_visitor_to_the_one_they_become(world):
    (visitor,) = await ids(world, who("a-1"))
    assert await ids(world, who(user="7", previous="a-1")) == [visitor]
    (other,) = await ids(world, who("a-2"))
    assert await ids(world, who(user="7", previous="a-2"), who("a-2")) == [visitor, visitor]
    assert other != visitor


async def test_over_the_limit_the_oldest_device_gives_way_and_the_newest_address_stays_out(world):
    (ada,) = await ids(world, who(user="ada"))
    most = LIMITS[IdentifierType.ANONYMOUS_ID]
    assert set(await ids(world, *(who(f"a-{number}", user="ada") for number in range(most + 2)))) == {ada}
    held = await identifiers(world, ada)
    assert held == ["user:ada", *(f"a-{number}" for number in range(2, most + 2))]
    assert (await ids(world, who("a-0")))[0] != ada
    assert (await ids(world, who("a-2")))[0] == ada
    for number in range(7):
        assert await ids(world, who(user="ada", email=f"ada{number}@mail.example")) == [ada]
    assert [each for each in await identifiers(world, ada) if "@" in each] == [
        f"ada{number}@mail.example" for number in range(5)
    ]
    assert (await ids(world, who(email="ada6@mail.example")))[0] != ada
    assert [each.kind for each in (await world.reviewer.cases.page(5))[0]] == ["over_limit"]


async def test_what_anybody_can_send_adds_no_address_to_somebody_there_is(world):
    (ada,) = await ids(world, who("a-1", user="ada", email="ada@mail.example", proven=False))
    assert await ids(world, who(user="ada", email="thief@mail.example", proven=False)) == [ada]
    assert await identifiers(world, ada) == ["user:ada", "ada@mail.example", "a-1"]
    await ids(world, who(user="ada", email="second@mail.example"))
    assert "second@mail.example" in await identifiers(world, ada)  # negative control


@pytest.mark.parametrize(
    "item",
    [
        who("anonymous"),
        who(user="null"),
        who("00000000-0000-0000-0000-000000000000"),
        who(email="noreply@mail.example"),
        who(phone="+4911111111111"),
        who(),
        who(previous="a-1"),
    ],
)
async def test_what_means_nobody_makes_nobody(world, item):
    assert await ids(world, item) == [None]
    assert await world.main["profiles"].count_documents({}) == 0


async def test_who_may_not_write_identifiers_makes_nobody(world):
    with pytest.raises(WriteNotAllowedError):
        await resolve(world, who("a-1"), access=("marketer", "marketing"))
    assert await world.main["profiles"].count_documents({}) == 0
    assert await ids(world, who("a-1")) != [None]


async def test_who_restricted_processing_gains_nothing(world):
    (one,) = await world.create(world.draft(person(1), external=["user:7"], restricted=True))
    (visitor,) = await ids(world, who("a-1"))
    assert await ids(world, who("a-1", user="7"), who("a-2", user="7"), who("a-1")) == [one, one, visitor]
    assert "a-2" not in await identifiers(world, one)


async def test_what_a_visitor_refused_holds_for_the_one_they_turn_out_to_be_and_silence_does_not(world):
    (known,) = await world.create(world.draft(person(1), external=["user:7"], consents=granted("marketing")))
    await ids(world, who("silent"), who("silent", user="7"))
    assert "marketing" in (await world.store.find([known]))[0]["rights"]["consented"]
    (refuser,) = await ids(world, who("refusing"))
    async with world.vault.reading():
        for decision in objected("email_marketing"):
            await world.writer.record_consent(world.access(*OFFICER), refuser, decision)
    await ids(world, who("refusing", user="7"))
    rights = (await world.store.find([known]))[0]["rights"]
    assert rights["objected"] == ["email_marketing"]
    assert "email_marketing" not in rights["consented"]
    assert "personalisation" in rights["consented"]


async def test_of_a_person_who_is_being_erased_nothing_is_found_or_made(world):
    (ada,) = await ids(world, who("a-1", user="ada"))
    await world.keys["data_keys"].update_one({"_id": ada}, {"$set": {"state": "erasing"}})
    assert await ids(world, who("a-1", user="ada", email="ada@mail.example")) == [None]
    (eve,) = await ids(world, who("a-1", user="eve"))
    assert eve not in (None, ada)
    await world.keys["data_keys"].update_one({"_id": ada}, {"$set": {"state": "active"}})
    await world.erase(ada)
    assert (await resolve(world, who("a-1", user="ada")))[0].created


async def test_two_processes_with_the_same_new_visitors_make_each_once(mongo_client, tmp_path):
    async with (
        new_databases(mongo_client) as parts,
        open_world(*parts, tmp_path) as one,
        open_world(*parts, tmp_path) as other,
    ):
        met = Counter()
        for number in range(12):
            items = [who(f"n{number}-{each}") for each in range(5)]
            told = await asyncio.gather(
                ids(one, *items),
                ids(other, *reversed(items)),
                ids(one, items[0], who(f"n{number}-x")),
                ids(other, items[4]),
            )
            assert told[0] == list(reversed(told[1]))
            assert (told[2][0], told[3][0]) == (told[0][0], told[0][4])
            met[len(set(told[0]))] += 1
        assert met == {5: 12}
        assert await one.main["profiles"].count_documents({}) == 12 * 6
        assert await one.main["blind_index"].count_documents({}) == 12 * 6
        assert await one.keys["data_keys"].count_documents({}) == 12 * 6
        assert await one.main["creations"].count_documents({}) == 0


async def test_at_once_known_people_gain_devices_and_absorb_visitors_without_losing_any(mongo_client, tmp_path):
    async with (
        new_databases(mongo_client) as parts,
        open_world(*parts, tmp_path) as one,
        open_world(*parts, tmp_path) as other,
    ):
        known = await ids(one, *(who(user=f"p{number}") for number in range(4)))
        visitors = await ids(other, *(who(f"v-{number}") for number in range(8)))
        rounds = []
        for number in range(8):
            item = who(f"v-{number}", user=f"p{number % 4}")
            extra = who(f"d-{number}", user=f"p{number % 4}")
            rounds += [ids(one, item, extra), ids(other, extra, item)]
        told = await asyncio.gather(*rounds)
        for number in range(8):
            assert {*told[2 * number], *told[2 * number + 1]} == {known[number % 4]}
        for number in range(8):
            assert await ids(one, who(f"v-{number}"), who(f"d-{number}")) == [known[number % 4]] * 2
        merged = {each["_id"]: each["merged_into"] for each in await one.store.find(visitors)}
        assert merged == {visitor: known[number % 4] for number, visitor in enumerate(visitors)}
        assert await one.main["merges"].find({"open": True}).to_list(None) == []
        for number in range(4):
            assert len(await identifiers(one, known[number])) == 5


@pytest.mark.parametrize("how", list(Failing))
async def test_a_batch_cut_off_anywhere_leaves_everybody_once(faulty, how, monkeypatch):
    """New visitors, a new device, a visitor who is absorbed and a case, in one batch; every write of it fails once."""
    monkeypatch.setattr("customers.identity.merge_steps._ABANDONED", timedelta(0))
    world, faults = faulty
    cut, number = 0, -1
    while number < 0 or len(faults.calls) > number:
        number += 1
        await ids(
            world, who(f"v{number}"), who(user=f"a{number}"), who(user=f"b{number}", email=f"b{number}@m.example")
        )
        batch = [
            who(f"n{number}"),
            who(f"m{number}", user=f"new{number}"),
            who(f"v{number}", user=f"a{number}"),
            who(f"d{number}", user=f"a{number}", email=f"b{number}@m.example"),
        ]
        faults.arm(number, how)
        try:
            await resolve(world, *batch)
        except Exception:  # noqa: BLE001 - whatever it is, the sender sends it again
            cut += 1
        finally:
            faults.disarm()
        await world.main["creations"].update_many({}, {"$set": {"process": "gone"}})
        await world.eraser.sweep()
        await world.reviewer.merger.resume()
        found = await ids(world, *batch)
        assert found[2] == found[3]
        assert len(set(found)) == 3
        named = [who(f"n{number}"), who(f"m{number}"), who(user=f"new{number}"), who(f"v{number}"), who(f"d{number}")]
        assert await ids(world, *named) == [found[0], found[1], found[1], found[2], found[2]]
        held = [each for customer in set(found) for each in await identifiers(world, customer)]
        assert len(held) == len(set(held))
        assert {f"a{number}", f"b{number}"}.isdisjoint(held)
        assert await world.main["creations"].count_documents({}) == 0
        assert await world.main["merges"].find({"open": True}).to_list(None) == []
    assert cut > 5


@pytest.fixture(scope="module")
async def counted(mongo_uri, tmp_path_factory):
    client, commands = counting_client(mongo_uri)
    async with new_world(client, tmp_path_factory.mktemp("counted")) as world:
        yield world, commands
    await client.close()


async def sent(counted, *items):
    world, commands = counted
    async with world.vault.reading():
        access = world.access(*COLLECTOR)
        commands.taken()
        await world.resolver.resolve(access, items)
        # Leaves of the key ring are taken in blocks, and a server sends a hundred and one documents at a time.
        return Counter(each for each in commands.taken() if " control" not in each and "getMore" not in each)


@pytest.mark.parametrize("kind", ["new", "known", "identified", "device", "absorbed", "mixed"])
async def test_a_batch_of_a_hundred_takes_as_many_commands_as_one_of_two(counted, kind):
    counts = {}
    for size in (2, 100):
        name = f"{kind}{size}"
        visitors = [who(f"{name}-{each}") for each in range(size)]
        people = [who(user=f"{name}-{each}") for each in range(size)]
        both = [who(f"{name}-{each}", user=f"{name}-{each}") for each in range(size)]
        await sent(counted, *{"identified": visitors, "known": visitors, "device": people}.get(kind, []))
        if kind == "absorbed":
            await sent(counted, *visitors)
            await sent(counted, *people)
        asked = {"new": visitors, "known": visitors, "mixed": visitors[1:] + both[:1]}.get(kind, both)
        counts[size] = await sent(counted, *asked)
    looked_up = [each.pop("find blind_index") for each in counts.values()]
    assert counts[2] == counts[100], kind
    assert looked_up[1] - looked_up[0] <= 1, "one for each hundred identifiers, and there are two hundred"
    assert counts[100].total() <= {"known": 2, "new": 8, "mixed": 8, "identified": 6, "device": 6}.get(kind, 13)


async def test_looking_people_up_one_by_one_would_take_more_with_each(counted):
    """Negative control: the count does notice."""
    total = Counter()
    for each in range(5):
        total += await sent(counted, who(f"single-{each}"))
    assert total.total() > 3 * (await sent(counted, *(who(f"batch-{each}") for each in range(5)))).total()
