"""Whoever races for an identifier, one customer has it in the end: in the index, in the documents and by the answers.

Every call to the database waits a random moment first, so that many orders of the same steps are met.
"""

import asyncio
from collections import Counter
from random import Random

import pytest

from customers.errors import IdentifierTakenError, ProfileConflictError
from customers.identity.model import Identifier, IdentifierType
from customers.profiles.made import identifiers_of
from tests.schema.world import new_databases, open_world, person

ROUNDS = 30


class Jittered:
    """A database whose calls come late, each by a random moment."""

    def __init__(self, database, random):
        self._database, self._random = database, random

    def __getitem__(self, name):
        return _JitteredCollection(self._database[str(name)], self._random)

    def __getattr__(self, name):
        return getattr(self._database, name)


class _JitteredCollection:
    _AWAITED = frozenset({"find_one", "insert_many", "update_one", "update_many", "delete_many"})

    def __init__(self, collection, random):
        self._collection, self._random = collection, random

    def __getattr__(self, name):
        method = getattr(self._collection, name)
        if name not in self._AWAITED:
            return method

        async def call(*args, **kwargs):
            await asyncio.sleep(self._random.choice((0, 0, 0.001, 0.003, 0.008)))
            return await method(*args, **kwargs)

        return call


@pytest.fixture
async def jittered(mongo_client, tmp_path):
    random = Random(20261123)  # noqa: S311 - which orders are met, and nothing secret
    async with (
        new_databases(mongo_client) as (main, keys, audit),
        open_world(Jittered(main, random), keys, audit, tmp_path) as world,
    ):
        yield world


def crm(number):
    return Identifier(IdentifierType.EXTERNAL_ID, f"crm:{number}")


async def two(world, number):
    """Two customers without identifiers."""
    return await world.create(*(world.draft({"city": f"City {number} {side}"}) for side in "ab"))


async def ended(*races):
    """How each of them ended: as nothing, or as the error it raised."""
    told = await asyncio.gather(*races, return_exceptions=True)
    assert not any(isinstance(each, BaseException) and not isinstance(each, EXPECTED) for each in told), told
    return [each if each is None else type(each) for each in told]


EXPECTED = (IdentifierTakenError, ProfileConflictError)


async def holders(world, identifier, customers):
    """Who has it by the index, and who by the documents."""
    async with world.vault.reading():
        keys = await world.vault.keys(customers)
        indexed = await world.vault.blind.find(identifier.type, identifier.value)
        documents = await world.store.find(customers)
        held = [each["_id"] for each in documents if identifier in identifiers_of(each, keys[each["_id"]])]
    return indexed, held


async def do(world, method, customer, identifier):
    async with world.vault.reading():
        await getattr(world.writer, method)(world.access(), customer, identifier)


async def test_of_two_customers_given_the_same_identifier_at_once_exactly_one_gets_it(jittered):
    winners = Counter()
    for number in range(ROUNDS):
        pair = await two(jittered, number)
        told = await ended(*(do(jittered, "add_identifier", each, crm(number)) for each in pair))
        assert sorted(map(str, told)) == sorted(map(str, [None, IdentifierTakenError]))
        winner = pair[told.index(None)]
        assert await holders(jittered, crm(number), pair) == (winner, [winner])
        winners[told.index(None)] += 1
    assert min(winners.values()) > ROUNDS // 10  # both ways round were met


async def agreed(world, number, pair, told, asked):
    """The index and the documents say the same, and who was told that it is theirs has it; gives who has it."""
    indexed, held = await holders(world, crm(number), pair)
    assert held == ([] if indexed is None else [indexed]), (number, told)
    for customer, answer in zip(asked, told, strict=True):
        assert answer is not None or indexed == customer, (number, told)
    return indexed


async def test_an_identifier_added_twice_to_one_customer_is_not_lost_to_another(jittered):
    """Of the two changes of one profile one comes too late, and gives up what the other has just taken."""
    met = Counter()
    for number in range(ROUNDS):
        a, b = pair = await two(jittered, number)
        asked = (a, a, b)
        told = await ended(*(do(jittered, "add_identifier", each, crm(number)) for each in asked))
        met[await agreed(jittered, number, pair, told, asked) == a] += 1
    assert len(met) == 2


async def test_an_identifier_removed_and_added_at_once_has_one_holder_whoever_else_wants_it(jittered):
    met = Counter()
    for number in range(ROUNDS):
        a, b = pair = await two(jittered, number)
        await do(jittered, "add_identifier", a, crm(number))
        told = await ended(
            do(jittered, "remove_identifier", a, crm(number)),
            do(jittered, "add_identifier", a, crm(number)),
            do(jittered, "add_identifier", b, crm(number)),
        )
        indexed, held = await holders(jittered, crm(number), pair)
        assert held == ([] if indexed is None else [indexed]), (number, told)
        assert told[2] is not None or indexed == b
        met["b" if indexed == b else "a" if indexed == a else None] += 1
    assert len(met) > 1


async def patient(world, customer, identifier):
    """Asks again and again, as somebody may who is told that it is taken."""
    for _ in range(40):
        try:
            return await do(world, "add_identifier", customer, identifier)
        except IdentifierTakenError:
            await asyncio.sleep(0.002)
    raise IdentifierTakenError("identifier")


async def test_an_identifier_that_is_given_up_before_anybody_looks_is_lost_to_another(jittered, monkeypatch):
    """Negative control, and what was done once: released first, and claimed again where the profile had it."""
    changer = jittered.writer._changer
    blind = jittered.vault.blind

    async def careless(customer_id, claims):
        await blind.release_many(await blind.seen(claims))
        await asyncio.sleep(0.01)
        if claims and (await holders(jittered, identifier, [customer_id]))[1]:
            await blind.claim_many(claims)

    for give_up, lost in ((changer.give_up, False), (careless, True)):
        monkeypatch.setattr(changer, "give_up", give_up)
        both = 0
        for number in range(60 if lost else 8):  # as often as it takes
            identifier = crm(f"{lost}{number}")
            a, b = pair = await two(jittered, number)
            first = do(jittered, "add_identifier", a, identifier)
            second = do(jittered, "add_identifier", a, identifier)
            await asyncio.gather(first, second, patient(jittered, b, identifier), return_exceptions=True)
            both += (await holders(jittered, identifier, pair))[1] == pair
            if both:
                break
        assert bool(both) is lost


async def test_a_change_whose_identifier_went_to_another_before_it_was_confirmed_is_undone(world, monkeypatch):
    a, b = await world.create(world.draft(person(1)), world.draft(person(2)))
    blind, new = world.vault.blind, "new@mail.example"
    confirm = blind.confirm_many

    async def late(claims):
        if any(claim.customer_id == a for claim in claims):
            await blind.release("email", new, a)
            await blind.claim("email", new, b)
        await confirm(claims)

    monkeypatch.setattr(blind, "confirm_many", late)
    (before,) = await world.store.find([a])
    values = {"email": new, "given_name": "Other", "national_id": None, "traits": {"hat": "small"}, "region": "apac"}
    with pytest.raises(IdentifierTakenError):
        async with world.vault.reading():
            await world.writer.update(world.access(), a, values)
    (after,) = await world.store.find([a])
    assert after.pop("version") == before.pop("version") + 2
    assert after == before
    async with world.vault.reading():
        assert await blind.find("email", new) == b
        assert await blind.find("email", person(1)["email"]) == a
        # Negative control: with nobody in between it is changed.
        monkeypatch.setattr(blind, "confirm_many", confirm)
        await world.writer.update(world.access(), a, {**values, "email": "newer@mail.example"})
    assert (await world.store.find([a]))[0]["region"] == "apac"
