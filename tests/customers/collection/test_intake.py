"""Events are understood one by one, stored once under their person's key, recorded, and only then acknowledged."""

import asyncio
import math
from datetime import timedelta

import pytest

from audit import AuditUnavailableError, Kind
from customers.collection.event_documents import heard
from customers.collection.events import EventType, Rejection
from customers.collection.pressure import IntakeLimits
from customers.collection.violations import ViolationKind
from customers.errors import IntakeBusyError
from tests.customers.collection.gathering import DAY, gathering, identify, track
from tests.schema.counting import counting_client
from tests.schema.world import open_world, person, utc_now


@pytest.fixture
async def shop(world):
    async with gathering(world) as found:
        yield found
        assert found.errors == []


async def test_an_event_is_sealed_under_its_persons_key_and_counted(shop):
    accepted = await shop.send(track(properties={"sku": "A-1"}, context={"ip": "192.0.2.7"}))
    assert (accepted.stored, accepted.duplicates, accepted.rejected) == (1, 0, ())
    customer_id = await shop.customer()
    (event,) = await shop.stored()
    assert (event["customer_id"], event["type"], event["source"], event["at"]) == (customer_id, "track", "shop", DAY)
    assert not {"name", "clear", "pending"} & event.keys()
    async with shop.world.vault.reading():
        key = (await shop.world.vault.keys([customer_id]))[customer_id]
        found = heard(event, key)
    assert (found.name, found.values, found.context) == ("Product Viewed", {"sku": "A-1"}, {"ip": "192.0.2.7"})
    profile = await shop.profile(customer_id)
    assert (profile["event_count"], profile["first_event_at"], profile["last_event_at"]) == (1, DAY, DAY)
    assert profile["version"] == 1, "to be counted is no change"


async def test_what_cannot_be_understood_keeps_nothing_else_out(shop):
    accepted = await shop.send(
        track(),
        "no object",
        {"type": "sing", "userId": "1"},
        track(anonymous="00000000-0000-0000-0000-000000000000"),
        Rejection.TOO_LARGE,
        track(properties="none"),
        track(),
    )
    assert accepted.stored == 2
    assert [(each.place, each.violation.kind) for each in accepted.rejected] == [
        (1, Rejection.NOT_AN_OBJECT),
        (2, Rejection.UNKNOWN_TYPE),
        (3, Rejection.NO_ID),
        (4, Rejection.TOO_LARGE),
        (5, Rejection.BAD_FIELD),
    ]
    assert sum((await shop.counted()).values()) == 5


def nested(levels):
    value = "deep"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("bad", "stored"),
    [
        ({"properties": {"x": math.nan, "y": 1}}, {"y": 1}),
        ({"properties": {"x": math.inf}}, {}),
        ({"properties": {"x": 2**70}}, {}),
        ({"properties": {"x": "\ud800"}}, {}),
        ({"properties": {"\ud800": 1}}, {}),
        ({"properties": {"a.b": 1, "$c": 2, "": 3}}, {}),
        ({"context": {"x": math.nan, "page": {"path": "/"}, "y": ["\udfff"], "z": 2**64}}, {}),
        ({"properties": nested(200)}, None),
        ({"properties": {"x": "x" * 40_000}}, None),
        ({"context": {"x": "x" * 40_000}}, None),
        ({"event": "\ud800"}, None),
        ({"messageId": "\ud800"}, None),
        ({"messageId": "m" * 101}, None),
        ({"anonymousId": "a" * 300}, None),
        ({"userId": "\u0000", "anonymousId": None}, None),
        ({"groupId": "\ud800"}, None),
        ({"timestamp": "30000-01-01T00:00:00Z"}, {}),
        ({"timestamp": 1e300}, {}),
    ],
)
async def test_bad_input_is_left_out_or_rejected_and_the_next_event_is_stored(shop, bad, stored):
    accepted = await shop.send(track(**bad), track(anonymous="a-2"))
    assert accepted.stored == (1 if stored is None else 2)
    assert len(accepted.rejected) == (stored is None)
    if stored is not None:
        customer_id = await shop.customer()
        (event,) = await shop.stored(customer_id=customer_id)
        async with shop.world.vault.reading():
            found = heard(event, (await shop.world.vault.keys([customer_id]))[customer_id])
        assert found.values == stored
        assert set(found.context) <= {"page"}


async def test_ids_that_mean_nobody_or_cannot_be_are_left_out(shop):
    await shop.send(track(user="\u0007", anonymous="a-1"), track(user="7", anonymous="null"))
    assert await shop.customer("external_id", "user:7") != await shop.customer("anonymous_id", "a-1")


async def test_an_event_is_stored_once_however_often_it_comes(shop):
    first = await shop.send(track(message="m"), track(message="m"), track(message="n"))
    again = await shop.send(track(message="n"), track(message="m"), track(message="o"))
    assert (first.stored, first.duplicates) == (2, 1)
    assert (again.stored, again.duplicates) == (1, 2)
    assert len(await shop.stored()) == 3
    assert (await shop.profile(await shop.customer()))["event_count"] == 3


async def test_a_duplicate_is_known_again_a_month_later(shop):
    await shop.send(track(message="late"), received_at=utc_now() - timedelta(days=31))
    again = await shop.send(track(message="late"))
    assert (again.stored, again.duplicates) == (0, 1)


@pytest.mark.parametrize(
    "consent", [None, {}, {"categoryPreferences": {}}, {"categoryPreferences": None}, 5, {"x": 1}]
)
async def test_an_event_without_a_word_about_consent_allows_nothing(world, consent):
    async with gathering(world, consent={"ads": "marketing"}) as shop:
        await shop.send(track(message="silent", **({} if consent is None else {"context": {"consent": consent}})))
        await shop.send(track(message="control", context={"consent": {"categoryPreferences": {"ads": True}}}))
        told = [each["purposes"] for each in await shop.stored()]
        assert min(told, key=len) == []
        assert "marketing" in max(told, key=len), "the control"


async def test_the_same_message_id_of_another_source_is_another_event(shop):
    till, _ = await shop.sources.create("till")
    await shop.send(track(message="m"))
    assert (await shop.send(track(message="m"), source=till)).stored == 1


async def test_a_thousand_deliveries_of_one_event_at_once_store_one(shop):
    event = track(message="only")

    async def deliver():
        while True:
            try:
                return await shop.send(event, settle=False)
            except IntakeBusyError:
                await asyncio.sleep(0.05)

    answers = await asyncio.gather(*(deliver() for _ in range(1000)))
    await shop.parts.applier.settle()
    assert sum(each.stored for each in answers) == 1
    assert sum(each.duplicates for each in answers) == 999
    assert len(await shop.stored()) == 1
    assert await shop.world.main["profiles"].count_documents({}) == 1
    assert (await shop.profile(await shop.customer()))["event_count"] == 1


async def test_a_batch_is_one_record_that_names_what_was_written_and_whose(shop):
    await shop.send(*(track(anonymous=f"a-{number}") for number in range(3)))
    made = await shop.world.records()  # that people were made is a record of its own
    events = [track(anonymous=f"a-{number % 3}") for number in range(9)]
    await shop.send(*events, identify({"firstName": "Ada"}, anonymous="a-0"))
    (record,) = (await shop.world.records())[len(made) :]
    assert (record.kind, record.actor, record.roles) == (Kind.WRITE, "source:shop", ("collector",))
    assert (record.purpose, record.operation) == ("data_collection", "collect")
    assert len(record.subjects) == 3
    (decision,) = record.decisions
    assert {"event.at", "event.properties:user.unclassified", "profile.given_name"} <= {*decision.fields}
    await shop.send(*events)
    assert len(await shop.world.records()) == len(made) + 1, "what is known writes nothing"


async def test_what_cannot_be_recorded_is_not_stored(fresh_world):
    async with gathering(fresh_world) as shop:
        await fresh_world.log.close()
        with pytest.raises((IntakeBusyError, AuditUnavailableError, Exception)):
            await shop.send(track())
        assert await shop.stored() == []


@pytest.mark.parametrize("people", [1, 100])
async def test_a_batch_of_a_hundred_takes_as_many_commands_as_one_of_ten(mongo_uri, mongo_client, tmp_path, people):
    client, commands = counting_client(mongo_uri)
    import uuid  # noqa: PLC0415 - only here

    name = f"t{uuid.uuid4().hex[:12]}"
    parts = [client[f"{name}_{part}"] for part in ("main", "keys", "audit")]
    taken = {}
    async with open_world(*parts, tmp_path) as world, gathering(world) as shop:
        await shop.send(*(track(anonymous=f"a-{number}", message=f"first {number}") for number in range(people)))
        for size in (10, 100):
            events = [track(anonymous=f"a-{number % people}", message=f"{size} {number}") for number in range(size)]
            commands.taken()
            await shop.send(*events, settle=False)
            taken[size] = sorted(each for each in commands.taken() if each != "update profiles")
            await shop.parts.applier.settle()
    for part in parts:
        await client.drop_database(part.name)
    await client.close()
    assert taken[10] == taken[100]
    assert len(taken[100]) <= 12, taken[100]


async def test_two_processes_that_meet_the_same_new_visitor_make_one(world, tmp_path_factory):
    directory = world.vault._file.path.parent
    async with (
        open_world(world.main, world.keys, world.audit, directory) as other,
        gathering(world) as here,
        gathering(other, fresh=False) as there,
    ):
        for number in range(10):
            await asyncio.gather(
                *(each.send(track(anonymous=f"v-{number}"), settle=False) for each in (here, there) for _ in range(3))
            )
        for each in (here, there):
            await each.parts.applier.settle()
        assert await world.main["profiles"].count_documents({}) == 10
        assert len(await here.stored()) == 60
        counts = [each["event_count"] for each in await world.main["profiles"].find({}).to_list(None)]
        assert counts == [6] * 10


async def test_an_address_that_cannot_be_one_is_a_violation_and_the_event_is_stored(shop):
    accepted = await shop.send(identify({"email": "no address", "phone": 12, "firstName": "Ada", "birthday": "soon"}))
    assert accepted.stored == 1
    assert (await shop.profile(await shop.customer())).get("sealed", {}).keys() >= {"name"}
    invalid = {subject for kind, subject in await shop.counted() if kind == ViolationKind.INVALID_PROPERTY}
    assert invalid == {"email", "phone", "birthday"}


async def test_nothing_more_is_collected_of_somebody_who_restricted_that(shop):
    draft = shop.world.draft(person(1), external=["user:7"], restricted=True)
    (customer_id,) = await shop.world.create(draft)
    accepted = await shop.send(track(user="7", anonymous=None), track(user="8", anonymous=None))
    assert accepted.stored == 1
    assert [each.violation.kind for each in accepted.rejected] == [ViolationKind.RESTRICTED]
    assert await shop.stored(customer_id=customer_id) == []


async def test_an_event_without_a_type_is_what_its_address_says(shop):
    sent = track()
    del sent["type"]
    assert (await shop.send(sent, kind=EventType.TRACK)).stored == 1


# ---- back pressure


class Slow:
    """Finds people after a while."""

    def __init__(self, inner):
        self.inner, self.gate, self.at_work, self.most = inner, asyncio.Event(), 0, 0

    async def resolve(self, access, items):
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            await self.gate.wait()
            return await self.inner.resolve(access, items)
        finally:
            self.at_work -= 1


async def test_when_it_is_slow_so_many_work_so_many_wait_and_the_others_are_told_when_to_come_again(world):
    people = Slow(world.resolver)
    limits = IntakeLimits(at_work=2, waiting=3, seconds=30, retry_after=7)
    async with gathering(world, people=people, limits=limits) as shop:
        waiting = [asyncio.create_task(shop.send(track(message=f"m-{number}"), settle=False)) for number in range(50)]
        for _ in range(200):
            await asyncio.sleep(0.01)
            if people.at_work == 2:
                break
        refused = [each for each in waiting if each.done()]
        assert (len(refused), people.at_work) == (45, 2)
        errors = [each.exception() for each in refused]
        assert all(isinstance(each, IntakeBusyError) and each.retry_after == 7 for each in errors)
        people.gate.set()
        done = await asyncio.gather(*(each for each in waiting if each not in refused))
        assert [each.stored for each in done] == [1] * 5
        assert people.most == 2
        assert len(await shop.stored()) == 5


async def test_a_database_that_does_not_answer_in_time_is_told_and_nothing_acknowledged_is_lost(world):
    people = Slow(world.resolver)
    async with gathering(world, people=people, limits=IntakeLimits(seconds=0.3)) as shop:
        with pytest.raises(IntakeBusyError) as caught:
            await shop.send(track(message="late"))
        assert caught.value.__context__ is None, "nobody else's words come with it"
        people.gate.set()
        assert (await shop.send(track(message="late"))).stored == 1
        assert len(await shop.stored()) == 1


async def test_who_waits_too_long_for_profiles_to_hear_is_told_to_come_again(world):
    async with gathering(world, limits=IntakeLimits(backlog=0)) as shop:
        with pytest.raises(IntakeBusyError):
            await shop.send(track())


async def test_an_event_is_on_its_profile_within_a_second(shop):
    await shop.send(track(), settle=False)
    began = utc_now()
    customer_id = await shop.customer()
    while "event_count" not in (await shop.profile(customer_id)):
        assert utc_now() - began < timedelta(seconds=1)
        await asyncio.sleep(0.01)
