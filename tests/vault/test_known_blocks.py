"""What a run remembers of the candidate index: never another answer than the index gives, and never without bound."""

from random import Random

import pytest

from tests.schema.world import new_world
from vault.candidate_index import MOST, CandidateIndex
from vault.known_blocks import KnownBlocks


@pytest.fixture(scope="module")
async def index(mongo_client, tmp_path_factory):
    async with new_world(mongo_client, tmp_path_factory.mktemp("world")) as world, world.vault.reading():
        yield CandidateIndex(world.main, world.vault, tenant="main", check_reading=world.vault.fleet.check_reading)


@pytest.mark.parametrize(("seed", "room"), [(1, 10_000), (2, 10_000), (3, 60), (4, 0)])
async def test_what_is_remembered_is_what_would_be_looked_up_whoever_comes_changes_or_goes(index, seed, room):
    random, known = Random(seed), KnownBlocks(room)  # noqa: S311 - which people is no secret
    await index.clear()
    people, texts = [f"cus_{number}" for number in range(40)], [f"1nn\x1f{number}" for number in range(25)]
    held, remembered = {}, 0
    for _ in range(12):
        changing = random.sample(people, 6)
        wanted = {each: frozenset(random.sample(texts, random.randrange(6))) for each in changing}
        await index.replace(wanted, new=[each for each in changing if each not in held], known=known)
        held |= wanted
        assert await index.blocks(texts, known=known) == await index.blocks(texts)
        assert known.rows <= room
        for each, mine in held.items():
            sharing = known.sharing(each, MOST)
            if sharing is not None:
                remembered += 1
                assert sharing == {other for other in held if other != each and held[other] & mine}
    assert (remembered > 100) == (room > 100)  # without room little is known, and nothing is wrong


async def test_what_is_remembered_is_not_looked_up_again(index):
    await index.clear()
    known = KnownBlocks()
    await index.replace({"cus_1": ["1nn\x1fa"]}, new=["cus_1"], known=known)
    await index.clear()  # behind its back: what is known is still what is told
    assert await index.blocks(["1nn\x1fa"], known=known) == {"1nn\x1fa": {"cus_1"}}
    assert await index.blocks(["1nn\x1fa"]) == {"1nn\x1fa": frozenset()}  # negative control


async def test_a_slot_that_another_writer_took_meanwhile_is_found_taken(index):
    await index.clear()
    known = KnownBlocks()
    await index.replace({"cus_1": ["1nn\x1fa"]}, new=["cus_1"], known=known)
    await index.replace({"cus_2": ["1nn\x1fa"]}, new=["cus_2"])  # nobody told `known`
    assert await index.blocks(["1nn\x1fa"], known=known) == {"1nn\x1fa": {"cus_1"}}  # negative control
    await index.replace({"cus_3": ["1nn\x1fa"]}, new=["cus_3"], known=known)
    every = frozenset({"cus_1", "cus_2", "cus_3"})
    assert await index.blocks(["1nn\x1fa"]) == {"1nn\x1fa": every}
    assert await index.blocks(["1nn\x1fa"], known=known) == {"1nn\x1fa": every}


def test_a_block_that_too_many_share_counts_for_nobody():
    known = KnownBlocks()
    known.put(b"a", dict(enumerate("abc")))
    known.put(b"b", dict(enumerate("ad")))
    known.put_customer("a", [b"a", b"b"])
    assert (known.sharing("a", 3), known.sharing("a", 2)) == ({"b", "c", "d"}, {"d"})


def test_who_is_in_a_block_that_is_not_known_is_looked_up():
    known = KnownBlocks()
    known.put(b"a", {0: "a", 2: "b"})
    known.put_customer("a", [b"a"])
    known.put_customer("b", [b"a", b"c"])
    assert (known.sharing("a", 9), known.sharing("b", 9)) == ({"b"}, None)
    known.forget_customers(["b"])
    assert (known.get(b"a"), known.sharing("a", 9)) == (None, None)
