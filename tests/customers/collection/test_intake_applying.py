"""Profiles hear of their events once, in whatever order they come and wherever the process dies."""

import asyncio
import itertools
from datetime import timedelta

import pytest
from pymongo.errors import AutoReconnect

from customers.collection.plan_file import parse_plan
from customers.collection.violations import ViolationKind
from customers.profiles.provenance import Origin, OriginKind
from customers.profiles.sealing import provenance_of
from policies import LawfulBasis
from tests.customers.collection.gathering import DAY, at, gathering, identify, order, seen, track
from tests.customers.faults import Failing
from tests.schema.world import CUSTOMER, granted, objected, person


@pytest.fixture
async def shop(world):
    async with gathering(world, consent={"ads": "marketing", "mail": "email_marketing"}) as found:
        yield found
        assert found.errors == []


TRAITS = {
    "firstName": "Ada",
    "lastName": "Lovelace",
    "email": "Ada@Example.org",
    "phone": "+44 20 7946 0018",
    "birthday": "1815-12-10T00:00:00.000Z",
    "address": {"street": "St James's Square 12", "postalCode": "SW1Y 4JH", "city": "London", "country": "gb", "n": 1},
    "locale": "en_GB",
    "createdAt": "2020-01-01",
    "shoe": {"size": 39},
    "title": "",
    "plan": None,
}  # fmt: skip


async def test_reserved_traits_are_fields_and_the_others_stay_traits(shop):
    await shop.send(identify(TRAITS, user="7"))
    found = await seen(shop)
    expected = {
        "givenName": "Ada",
        "familyName": "Lovelace",
        "email": "ada@example.org",
        "phone": "+442079460018",
        "birthDate": "1815-12-10",
        "street": "St James's Square 12",
        "postalCode": "SW1Y 4JH",
        "city": "London",
        "country": "GB",
        "language": "en-GB",
        "traits": {"shoe": {"size": 39}, "address": {"n": 1}},
    }
    # Born in 1815, nobody is younger than the platform allows: that one is a violation.
    assert {name: found[name] for name in expected} == {**expected, "birthDate": None}
    assert (ViolationKind.INVALID_PROPERTY, "birthday") in await shop.counted()


@pytest.mark.parametrize("mode", ["omit", "block", "quarantine"])
async def test_a_strict_plan_that_names_no_trait_keeps_no_reserved_one_from_the_profile(world, mode):
    strict = (
        b'{"name": "strict", "modes": {"unplanned_property": "%s"}, "traits": {"size": {"category": "user.account"}}}'
    )
    async with gathering(world, name="strict-shop", plan="strict") as shop:
        plan = parse_plan(strict % mode.encode(), world.policies.catalogue, is_toml=False)
        await shop.parts.plans.put(plan, by="tester")
        await shop.send(identify({"email": f"{mode}@example.org", "firstName": "Ada", "size": 5}, anonymous=mode))
        customer = await shop.customer("email", f"{mode}@example.org")
        assert customer == await shop.customer(value=mode) is not None
        found = await seen(shop, customer)
        assert (found["givenName"], found["email"]) == ("Ada", f"{mode}@example.org")
        assert await shop.counted() == {}
        # The control: what no plan names and no collection knows goes the plan's way.
        await shop.send(identify({"shoe": "x"}, anonymous=mode))
        assert {kind for kind, _ in await shop.counted()} == {ViolationKind.UNPLANNED_PROPERTY}
        assert (await seen(shop, customer))["traits"] in (None, {})


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_latest_word_counts_in_whatever_order_it_comes(shop, order):
    said = [
        identify({"firstName": "Ada", "city": "x", "size": 1}, **at(1)),
        identify({"firstName": "Augusta", "size": 2}, **at(2)),
        identify({"lastName": "King", "address": {"city": "London"}}, **at(3)),
    ]
    for number in order:
        await shop.send(said[number])
    found = await seen(shop)
    assert (found["givenName"], found["familyName"], found["city"]) == ("Augusta", "King", "London")
    assert found["traits"] == {"size": 2, "city": "x"}


async def test_the_address_said_last_is_the_one_that_is_shown_and_the_other_still_finds_them(shop):
    await shop.send(identify({"email": "new@example.org"}, user="7", **at(2)))
    await shop.send(identify({"email": "old@example.org"}, user="7", **at(1)))
    assert (await seen(shop))["email"] == "new@example.org"
    await shop.send(identify({"email": "OLD@example.org"}, user="7", **at(3)))
    assert (await seen(shop))["email"] == "old@example.org"
    assert await shop.customer("email", "new@example.org") == await shop.customer()


async def test_a_name_of_two_words_is_told_apart_and_a_longer_one_is_not_guessed(shop):
    await shop.send(identify({"name": "Grace Hopper"}), identify({"name": "Ludwig van Beethoven"}, anonymous="a-2"))
    found = await seen(shop)
    assert (found["givenName"], found["familyName"], found["traits"]) == ("Grace", "Hopper", None)
    other = await seen(shop, await shop.customer(value="a-2"))
    assert (other["givenName"], other["traits"]) == (None, {"name": "Ludwig van Beethoven"})


async def test_an_empty_form_removes_nothing(shop):
    await shop.send(identify({"firstName": "Ada"}, **at(1)), identify({"firstName": "", "lastName": None}, **at(2)))
    assert (await seen(shop))["givenName"] == "Ada"


async def test_somebody_cannot_be_given_traits_without_end(shop):
    for start in range(0, 600, 100):
        await shop.send(identify({f"t{number}": 1 for number in range(start, start + 100)}))
    assert len((await seen(shop))["traits"]) == 500
    assert (ViolationKind.TOO_MANY, "") in await shop.counted()


async def test_what_a_source_says_stands_beside_when_and_by_whom_it_was_said(shop):
    await shop.send(identify({"firstName": "Ada"}))
    document = await shop.profile(await shop.customer())
    async with shop.world.vault.reading():
        key = (await shop.world.vault.keys([document["_id"]]))[document["_id"]]
        known = provenance_of(document, key)
    assert {name: known.get(name) for name in known} == {"given_name": told_by("shop", DAY)}


def told_by(source, moment):
    return Origin(OriginKind.EVENT, source, moment, LawfulBasis.CONTRACT)


# ---- choices


def chosen(minutes=0, **preferences):
    context = {"consent": {"categoryPreferences": preferences}}
    return track("Segment Consent Preference Updated", context=context, **at(minutes))


async def test_choices_are_recorded_and_the_next_read_feels_them(shop):
    await shop.send(track())
    asked = ("marketer", "marketing")
    query, customer_id = "query ($id: ID!) { profile(id: $id) { country eventCount } }", await shop.customer()
    assert (await shop.world.told(query, *asked, {"id": customer_id}))["profile"]["eventCount"] is None
    await shop.send(chosen(ads=True, unknown=True, mail="yes"))
    assert (await shop.world.told(query, *asked, {"id": customer_id}))["profile"]["eventCount"] == 2
    await shop.send(chosen(1, ads=False))
    assert (await shop.world.told(query, *asked, {"id": customer_id}))["profile"]["eventCount"] is None
    ledger = await shop.world.main["consent_ledger"].find({"customer_id": customer_id}).to_list(None)
    assert [(each["purpose"], each["state"], each["source"]) for each in ledger] == [
        ("marketing", "granted", "source:shop"),
        ("marketing", "withdrawn", "source:shop"),
    ]


async def test_a_choice_older_than_one_that_stands_changes_nothing_and_is_kept(shop):
    await shop.send(chosen(5, ads=False))
    await shop.send(chosen(1, ads=True))
    customer_id = await shop.customer()
    assert (await shop.profile(customer_id))["rights"]["consented"] == []
    assert await shop.world.main["consent_ledger"].count_documents({"customer_id": customer_id}) == 2


async def test_no_consent_ends_an_objection(shop):
    draft = shop.world.draft(person(1), external=["user:7"], consents=objected("marketing"))
    (customer_id,) = await shop.world.create(draft)
    await shop.send({**chosen(ads=True), "userId": "7", "anonymousId": None})
    assert (await shop.profile(customer_id))["rights"]["objected"] == ["marketing"]
    answer = await shop.world.told(
        "query ($id: ID!) { profile(id: $id) { country } }", "marketer", "marketing", {"id": customer_id}
    )
    assert answer["profile"]["country"] is None


async def test_somebody_who_restricted_everything_can_still_choose(shop):
    draft = shop.world.draft(person(1), external=["user:7"], consents=granted("marketing"), restricted=True)
    (customer_id,) = await shop.world.create(draft)
    await shop.send({**chosen(ads=False), "userId": "7", "anonymousId": None})
    assert (await shop.profile(customer_id))["rights"] == {"consented": [], "objected": [], "restricted": True}


# ---- whatever fails


STORY = [
    track(**at(0)),
    identify({"firstName": "Ada", "email": "ada@example.org"}, user="7", **at(1)),
    order("Order Completed", "O-1", 2, total=10, currency="EUR"),
    order("Order Completed", "O-2", 3, total=20, currency="EUR"),
    order("Order Refunded", "O-1", 4, total=4),
    chosen(5, ads=True),
    track(**at(6)),
]  # fmt: skip


async def told_once(shop, customer_id, count):
    found = await seen(shop, customer_id)
    assert (found["givenName"], found["orderCount"], found["totalSpent"]) == ("Ada", 2, "26.00")
    assert len(found["orders"]["nodes"]) == 2
    assert [each["state"] for each in found["consents"]] == ["granted"]
    assert found["eventCount"] == count
    ledger = await shop.world.main["consent_ledger"].count_documents({"customer_id": customer_id})
    assert ledger == 1
    assert await shop.world.main["event_batches"].find({}).to_list(None) == []


def story(number):
    return [
        {**each, "messageId": f"{number}-{place}", "anonymousId": f"p-{number}"} for place, each in enumerate(STORY)
    ]


def known(number):
    """An event by which a person is known beforehand: whether making them survives everything is tested elsewhere."""
    return identify({"email": f"ada{number}@example.org"}, user=f"u-{number}", anonymous=f"p-{number}", **at(-1))


def for_one(number):
    """The story of one more person: their own ids, addresses and orders."""
    found = []
    for told in story(number):
        each = {**told, **({"userId": f"u-{number}"} if told.get("userId") else {})}
        if each["type"] == "identify":
            each["traits"] = {**each["traits"], "email": f"ada{number}@example.org"}
        if "properties" in each:
            each["properties"] = {**each["properties"], "order_id": f"{each['properties']['order_id']}-{number}"}
        found.append(each)
    return found


@pytest.mark.parametrize("how", [Failing.LOST, Failing.DONE])
async def test_a_write_that_fails_anywhere_is_made_up_for_and_nothing_counts_twice(faulty, how):
    world, faults = faulty
    async with gathering(world, consent={"ads": "marketing"}) as shop:
        await shop.send(known(0))
        faults.arm(None, None)
        await shop.send(*for_one(0))
        await told_once(shop, await shop.customer(value="p-0"), 8)
        calls = list(faults.calls)
        assert len(calls) >= 8
        for place in range(len(calls)):
            number = place + 1
            await shop.send(known(number))
            faults.arm(place, how)
            for _ in range(20):
                try:
                    await shop.send(*for_one(number), settle=False)
                except Exception:  # noqa: BLE001, S112 - senders send again, whatever it was
                    continue
                break
            faults.disarm()
            await asyncio.wait_for(shop.parts.applier.settle(), 20)
            await orphans_swept(shop)
            await told_once(shop, await shop.customer(value=f"p-{number}"), 8)


async def orphans_swept(shop):
    """Batches that nobody has in hand, as a process that is gone leaves them."""
    await shop.world.main["event_batches"].update_many({}, {"$set": {"process": "gone"}})
    await shop.parts.applier.sweep()
    await shop.parts.applier.settle()


async def test_what_a_process_that_died_left_unheard_is_taken_up_by_another(world):
    async with gathering(world, consent={"ads": "marketing"}) as shop:
        shop.parts.applier._task.cancel()  # from here on nobody hears
        await asyncio.gather(shop.parts.applier._task, return_exceptions=True)
        await shop.send(*for_one(1), settle=False)
        customer_id = await shop.customer(value="p-1")
        assert "event_count" not in await shop.profile(customer_id)
        shop.parts.applier._waiting.clear()
    async with gathering(world, fresh=False) as other:
        assert await other.parts.applier.sweep() == 0, "its process may live"
        await orphans_swept(other)
        await told_once(other, customer_id, 7)
        await other.send(*for_one(1))
        await told_once(other, customer_id, 7)


async def test_an_erasure_between_storing_and_hearing_leaves_nothing(world):
    async with gathering(world) as shop:
        shop.parts.applier._task.cancel()
        await asyncio.gather(shop.parts.applier._task, return_exceptions=True)
        await shop.send(*for_one(1), settle=False)
        customer_id = await shop.customer(value="p-1")
        await world.erase(customer_id)
        await shop.parts.events.remove([customer_id])
        shop.parts.applier.start()
        await shop.parts.applier.settle()
        assert shop.errors == []
        for name in ("profiles", "orders", "consent_ledger", "events"):
            field = "_id" if name == "profiles" else "customer_id"
            assert await world.main[name].find_one({field: customer_id}) is None
        assert (await seen(shop, customer_id, CUSTOMER)) is None


async def test_events_of_one_customer_from_two_processes_are_all_counted(world):
    from tests.schema.world import open_world  # noqa: PLC0415 - only here

    directory = world.vault._file.path.parent
    async with (
        open_world(world.main, world.keys, world.audit, directory) as other,
        gathering(world) as here,
        gathering(other, fresh=False) as there,
    ):
        await here.send(identify({"firstName": "Ada"}, user="7"))
        for number in range(8):
            await asyncio.gather(
                here.send(track(), order("Order Completed", f"h-{number}", total=1, currency="EUR"), settle=False),
                there.send(
                    identify({"n": number}),
                    order("Order Completed", f"t-{number}", total=2, currency="EUR"),
                    settle=False,
                ),
            )
        for each in (here, there):
            await asyncio.wait_for(each.parts.applier.settle(), 30)
        found = await seen(here)
        assert (found["orderCount"], found["totalSpent"], found["eventCount"]) == (16, "24.00", 33)
        stored = await world.main["orders"].find({}).to_list(None)
        assert sorted(each["ordinal"] for each in stored) == list(range(1, 17))


async def test_a_count_of_unknown_outcome_is_made_anew(shop, monkeypatch):
    await shop.send(track())
    count = shop.parts.events.count
    outcomes = iter(["done", "lost"])

    async def uncertain(profile, change):
        outcome = next(outcomes, None)
        if outcome == "done":
            await count(profile, change)
        if outcome is not None:
            raise AutoReconnect("the test says so")
        return await count(profile, change)

    monkeypatch.setattr(shop.parts.events, "count", uncertain)
    await shop.send(track(), track(**at(-5)))
    profile = await shop.profile(await shop.customer())
    assert (profile["event_count"], profile["first_event_at"]) == (3, DAY - timedelta(minutes=5))
    shop.errors.clear()


async def test_without_counting_anew_a_write_of_unknown_outcome_would_count_twice(faulty, monkeypatch):
    """Negative control of the test of failing writes."""
    world, faults = faulty
    async with gathering(world) as shop:

        async def forgets(_customer_id, work):
            work.recount = False

        monkeypatch.setattr(shop.parts.applier._counts, "anew", forgets)
        monkeypatch.setattr("customers.collection.counting.Work.counts", counts_always)
        await shop.send(known(0))
        faults.arm(2, Failing.DONE)  # after the journal and the events, the profile
        await shop.send(track(anonymous="p-0"))
        assert faults.calls[2] == "bulk_write profiles"
        assert (await shop.profile(await shop.customer(value="p-0")))["event_count"] == 3
        shop.errors.clear()


def counts_always(work):
    return {"$inc": {"event_count": work.count}}
