"""Sources and their write keys."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from customers.collection.sources import SourceStore
from customers.errors import InputInvalidError, SourceNotFoundError, SourceTakenError


class Clock:
    """A time that is set by hand."""

    def __init__(self):
        self.time = datetime(2026, 5, 14, tzinfo=UTC)

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(databases, clock):
    return SourceStore(databases.main, now=clock, random=os.urandom, clock=lambda: 0.0)


async def test_a_write_key_is_known_again_and_is_not_stored(store, databases):
    source, key = await store.create("web-shop", origins=("https://shop.example",))
    assert (await store.of_key(key)).name == "web-shop"
    assert await store.of_key(key + "x") is None
    assert await store.of_key("") is None
    document = await databases.main["sources"].find_one({"_id": "web-shop"})
    assert key not in str(document)
    assert key.removeprefix("wk_").encode() not in document["keys"][0]["digest"]
    assert source == await store.named("web-shop")


async def test_a_rotated_key_is_good_for_its_grace_and_no_longer(store, clock):
    _, old = await store.create("till")
    new = await store.rotate("till", grace=timedelta(hours=1))
    assert (await store.of_key(old)).name == (await store.of_key(new)).name == "till"
    clock.time += timedelta(hours=1)
    assert await store.of_key(old) is None
    assert await store.of_key(new) is not None


async def test_rotating_again_does_not_make_an_old_key_last_longer(store, clock):
    _, old = await store.create("till")
    await store.rotate("till", grace=timedelta(hours=1))
    await store.rotate("till", grace=timedelta(days=9))
    clock.time += timedelta(hours=1)
    assert await store.of_key(old) is None


async def test_nothing_is_taken_from_a_disabled_source(store):
    _, key = await store.create("till")
    assert await store.of_key(key) is not None, "the control"
    await store.disable("till")
    assert await store.of_key(key) is None


async def test_what_cannot_be_is_refused(store):
    await store.create("till")
    with pytest.raises(SourceTakenError):
        await store.create("till")
    with pytest.raises(SourceNotFoundError):
        await store.rotate("none", grace=timedelta(0))
    with pytest.raises(SourceNotFoundError):
        await store.disable("none")
    with pytest.raises(InputInvalidError) as caught:
        await store.create("No Spaces", origins=("shop.example",), id_system="")
    assert [each.field for each in caught.value.problems] == ["name", "id_system", "origins"]


async def test_another_process_follows_within_a_second(databases, clock):
    seconds = [0.0]
    one = SourceStore(databases.main, now=clock, random=os.urandom, clock=lambda: seconds[0])
    other = SourceStore(databases.main, now=clock, random=os.urandom, clock=lambda: seconds[0])
    _, key = await one.create("till")
    assert await other.of_key(key) is not None
    await one.disable("till")
    seconds[0] = 1.0
    assert await other.of_key(key) is None


async def test_a_key_made_by_another_process_is_known_at_once(databases, clock):
    one, other = (SourceStore(databases.main, now=clock, random=os.urandom, clock=lambda: 0.0) for _ in range(2))
    await one.create("till")
    assert await other.named("shop") is None, "the other has loaded what there was"
    _, key = await one.create("shop")
    assert (await other.of_key(key)).name == "shop"
    assert await other.of_key(key[:-1] + ("A" if key[-1] != "A" else "B")) is None
