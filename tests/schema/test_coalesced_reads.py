"""Requests that read side by side share their queries, and nothing else: not answers, not errors, not yesterday."""

import asyncio

import pytest

from policies.loading import build
from policies.source import read_sources
from tests.schema.counting import counting_client
from tests.schema.world import OFFICER, SHIPPED, SUPPORT, granted, new_world, person

NAME = "query ($id: ID!) { profile(id: $id) { givenName email } }"
CROWD = 24
MARKETER = ("marketer", "email_marketing")


@pytest.fixture(scope="module")
async def counted_world(mongo_uri, tmp_path_factory):
    client, commands = counting_client(mongo_uri)
    async with new_world(client, tmp_path_factory.mktemp("side-by-side")) as world:
        yield world, commands
    await client.close()


@pytest.fixture
async def crowd(counted_world):
    world, commands = counted_world
    await world.empty()
    drafts = [world.draft(person(number), consents=granted("marketing")) for number in range(CROWD)]
    people = await world.create(*drafts)
    commands.taken()
    return world, commands, people


def look(world, customer_id, who=SUPPORT):
    return world.ask(NAME, *who, {"id": customer_id})


def finds(commands):
    sent = commands.taken()
    return [sent.count(f"find {name}") for name in ("profiles", "data_keys")]


async def test_many_at_once_are_few_queries_each_with_its_own_answer_and_record(crowd):
    world, commands, people = crowd
    answers = await asyncio.gather(*(look(world, each) for each in people))
    documents, keys = finds(commands)
    assert documents + keys < CROWD // 2
    assert [each.data["profile"]["givenName"] for each in answers] == [f"Given{number}" for number in range(CROWD)]
    assert (
        len({each.extensions["privacy"]["entry"] for each in answers}) == len(set(await who_was_read(world))) == CROWD
    )
    for each in people:  # negative control: one after the other they share nothing
        await look(world, each)
    assert finds(commands) == [CROWD, CROWD]


async def test_the_same_customer_asked_for_for_several_purposes_is_shown_as_each_may_see_them(crowd):
    world, _, (one, *_) = crowd
    await world.main["profiles"].update_one({"_id": one}, {"$set": {"rights.restricted": True}})
    whos = [SUPPORT, OFFICER, MARKETER, ("inventory_planner", "inventory_planning")] * 4
    answers = await asyncio.gather(*(look(world, one, who) for who in whos))
    seen = [each.data["profile"] and each.data["profile"]["givenName"] for each in answers]
    assert seen == [None, "Given0", None, None] * 4


async def test_a_damaged_key_record_is_its_own_askers_trouble(crowd):
    world, _, people = crowd
    record = await world.keys["data_keys"].find_one({"_id": people[3]})
    spoilt = bytes(record["wrapped"][:-1]) + bytes([record["wrapped"][-1] ^ 1])
    await world.keys["data_keys"].update_one({"_id": people[3]}, {"$set": {"wrapped": spoilt}})
    answers = await asyncio.gather(*(look(world, each) for each in people))
    assert [number for number, each in enumerate(answers) if each.errors] == [3]
    assert all(answers[number].data["profile"]["givenName"] for number in range(CROWD) if number != 3)


async def test_an_id_that_no_database_can_hold_fails_for_who_sent_it_alone(crowd):
    world, _, people = crowd
    answers = await asyncio.gather(*(look(world, each) for each in [*people[:5], "cus_\ud800", *people[5:8]]))
    assert [(each.data or {}).get("profile") is not None for each in answers] == [True] * 5 + [False] + [True] * 3


async def test_who_hangs_up_takes_nobody_along_and_is_not_recorded_as_having_read(crowd):
    world, _, people = crowd
    reads = [asyncio.create_task(look(world, each)) for each in people]
    for _ in range(3):
        await asyncio.sleep(0)
    for read in reads[::2]:
        read.cancel()
    answers = await asyncio.gather(*reads, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in answers[::2])
    assert [each.data["profile"]["givenName"] for each in answers[1::2]] == [
        f"Given{number}" for number in range(1, CROWD, 2)
    ]
    assert len(await who_was_read(world)) == CROWD // 2


async def who_was_read(world):
    """Who was read, by each record of a read of one."""
    return [entry.subjects[0] for entry in await world.records() if len(entry.subjects) == 1]


class Storm:
    """Readers who never stop asking for everybody. `changed` is set once a change was acknowledged."""

    def __init__(self, world, people, victim, who):
        self.world, self.people, self.victim, self.who = world, people, victim, who
        self.changed = self.stopped = False
        self.before, self.after, self.others = [], [], []

    async def reader(self, number):
        turn = number
        while not self.stopped:
            turn += 1
            customer_id = self.victim if turn % 3 == 0 else self.people[turn % len(self.people)]
            changed = self.changed
            answer = await look(self.world, customer_id, self.who)
            assert answer.errors is None
            name = (answer.data["profile"] or {}).get("givenName")
            if customer_id != self.victim:
                self.others.append(name)
            else:
                (self.after if changed else self.before).append(name)

    async def around(self, change):
        readers = [asyncio.create_task(self.reader(number)) for number in range(16)]
        while len(self.before) < 10:  # noqa: ASYNC110 - sixteen tasks fill it
            await asyncio.sleep(0.005)
        await change()
        self.changed = True
        while len(self.after) < 30:  # noqa: ASYNC110 - sixteen tasks fill it
            await asyncio.sleep(0.005)
        self.stopped = True
        await asyncio.gather(*readers)


async def erased(world, customer_id):
    await world.erase(customer_id)


async def withdrawn(world, customer_id):
    consent = """mutation ($id: ID!) { recordConsent(id: $id, choice: WITHDRAWN, consent: {
      purpose: "marketing", source: "test form"}) { profile { id } } }"""
    assert (await world.ask(consent, *SUPPORT, {"id": customer_id})).errors is None


async def restricted(world, customer_id):
    await world.main["profiles"].update_one({"_id": customer_id}, {"$set": {"rights.restricted": True}})


@pytest.mark.parametrize(("change", "who"), [(erased, SUPPORT), (withdrawn, MARKETER), (restricted, SUPPORT)])
async def test_what_was_changed_is_felt_by_the_next_request_however_many_read_beside_it(crowd, change, who):
    world, commands, (victim, *people) = crowd
    storm = Storm(world, people, victim, who)
    await storm.around(lambda: change(world, victim))
    assert storm.before[0] == "Given0"  # negative control: it was shown
    assert set(storm.after) == {None}
    assert None not in storm.others
    documents, _ = finds(commands)
    assert documents < len(storm.before) + len(storm.after) + len(storm.others)  # they did share


async def test_a_new_policy_is_felt_by_the_next_request_however_many_read_beside_it(crowd):
    world, _, (victim, *_) = crowd
    sources = read_sources()
    denied = sources["rules.csv"] + b"\np, support_agent, *, user.name, *, any, deny\n"
    tightened = build({**sources, "rules.csv": denied})

    async def reload():
        world.policies = tightened

    storm = Storm(world, [victim], victim, SUPPORT)
    try:
        await storm.around(reload)
    finally:
        world.policies = SHIPPED
    assert storm.before[0] == "Given0"
    assert set(storm.after) == {None}
