"""What an event says that somebody chose, whose profiles were merged, holds for whoever it was of the two."""

import pytest

from tests.customers.collection.gathering import at, gathering, track
from tests.customers.identity.test_identity_merging import merge, unmerge
from tests.schema.world import granted


@pytest.fixture
async def shop(world):
    async with gathering(world, consent={"ads": "marketing"}) as found:
        yield found
        assert found.errors == []


async def said_while_merged(shop, yes):
    """Two people who both allow marketing, or neither, are merged, say something, and are taken apart; who allows it."""
    consents = () if yes else granted("marketing")
    one = await shop.world.one(1, external=["user:1"], consents=consents)
    other = await shop.world.one(2, external=["user:2"], consents=consents)
    await merge(shop.world, one, other)
    context = {"consent": {"categoryPreferences": {"ads": yes}}}
    event = track("Segment Consent Preference Updated", user="2", anonymous=None, context=context, **at(60))
    await shop.send(event)
    assert ("marketing" in (await shop.profile(one))["rights"]["consented"]) is yes
    await unmerge(shop.world, other)
    return ["marketing" in (await shop.profile(each))["rights"]["consented"] for each in (one, other)]


async def test_a_no_that_an_event_told_since_the_merge_holds_for_both(shop):
    assert await said_while_merged(shop, yes=False) == [False, False]


async def test_a_yes_that_an_event_told_since_the_merge_stays_with_the_survivor(shop):
    assert await said_while_merged(shop, yes=True) == [True, False]
