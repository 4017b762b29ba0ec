"""What a write key that stands in a web page can do to people whom its holder knows: anybody may have it."""

import pytest

from tests.customers.collection.gathering import gathering, identify, track

MAIL = "person1@mail1.example"
FORGED = {"email": MAIL, "firstName": "Mallory"}


@pytest.fixture
async def web(world):
    """A source of web pages beside one of the company's own servers."""
    async with gathering(world, name="page", origins=("https://shop.example",), consent={"ads": "marketing"}) as found:
        found.server, _ = await found.sources.create("server", consent={"ads": "marketing"})
        yield found
        assert found.errors == []


async def test_nobody_makes_their_own_id_somebody_elses_by_naming_their_address(web):
    victim = await web.world.one(1)
    await web.send(identify(FORGED, user="mine", anonymous="my-device"))
    mine = await web.customer("external_id", "user:mine")
    assert mine not in (None, victim)
    assert await web.customer("email", MAIL) == victim
    # So what the shop's own server says of them later is theirs alone; and somebody is asked.
    await web.send(identify({"email": "mallory@mail.example"}, user="mine"), source=web.server)
    assert await web.customer("email", "mallory@mail.example") == mine
    cases = await web.world.main["identity_cases"].find({}).to_list(None)
    assert [(each["kind"], sorted(each["customers"])) for each in cases] == [("two_people", sorted([victim, mine]))]


async def test_a_server_is_believed_that_an_id_is_that_of_an_address(web):
    """The negative control."""
    known = await web.world.one(1)
    await web.send(identify({"email": MAIL}, user="mine"), source=web.server)
    assert await web.customer("external_id", "user:mine") == known
    # And a page's word counts where nobody contradicts it: of an id that is known, of a visitor, of who names nothing else.
    for event in (track(user="mine", anonymous="a-7"), identify({"email": MAIL}, anonymous="a-8")):
        await web.send(event)
    assert {await web.customer("anonymous_id", each) for each in ("a-7", "a-8")} == {known}
