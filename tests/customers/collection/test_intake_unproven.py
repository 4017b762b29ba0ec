"""What a write key that stands in a web page can do to people whom its holder knows: anybody may have it."""

import pytest

from customers.collection.sources import SourceKind
from customers.collection.violations import ViolationKind
from customers.identity.model import Identifier, IdentifierType
from customers.identity.rules import Identified, Person, decide
from tests.customers.collection.gathering import at, gathering, identify, seen, track
from tests.schema.world import OFFICER, utc_now

MAIL = "person1@mail1.example"
FORGED = {"email": MAIL, "firstName": "Mallory"}


@pytest.fixture
async def web(world):
    """A source of web pages beside one of the company's own servers."""
    async with gathering(
        world, name="page", origins=("https://shop.example",), consent={"ads": "marketing"}
    ) as found:
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


async def test_a_page_changes_nothing_that_somebody_who_can_be_believed_has_said(web):
    victim = await web.world.one(1)
    traits = {"firstName": "Mallory", "address": {"street": "Evil 1"}, "shoe": "forged", "hat": "round"}
    await web.send(identify({"email": MAIL, **traits}, timestamp=utc_now().isoformat()))
    found = await seen(web, victim)
    assert (found["givenName"], found["street"]) == ("Given1", "Street 1")
    assert found["traits"] == {"shoe": "size 1", "hat": "round"}, "what nobody has said it may say"
    assert (ViolationKind.UNPROVEN, "") in await web.counted()


async def test_what_was_taken_away_no_page_brings_back(web):
    victim = await web.world.one(1)
    async with web.world.vault.reading():
        await web.world.writer.update(web.world.access(), victim, {"street": None})
    await web.send(identify({"email": MAIL, "address": {"street": "Evil 1"}}, timestamp=utc_now().isoformat()))
    assert (await seen(web, victim))["street"] is None


async def test_a_page_changes_what_a_page_has_said_and_a_server_whatever_was_said(web):
    """The negative control."""
    await web.send(identify({"firstName": "Adda"}), identify({"firstName": "Ada"}, **at(1)))
    assert (await seen(web))["givenName"] == "Ada"
    await web.send(identify({"firstName": "Augusta"}, **at(2)), source=web.server)
    await web.send(identify({"firstName": "Mallory"}, **at(3)))
    assert (await seen(web))["givenName"] == "Augusta"


def chosen(yes, minutes=0, **given):
    context = {"consent": {"categoryPreferences": {"ads": yes}}}
    return track("Segment Consent Preference Updated", context=context, **at(minutes), **given)


async def test_no_page_consents_for_somebody_identified(web):
    victim = await web.world.one(1, external=["user:7"])
    await web.send(chosen(True, user="7"))
    assert (await web.profile(victim))["rights"]["consented"] == []
    assert await web.world.main["consent_ledger"].find({"customer_id": victim}).to_list(None) == []
    assert (ViolationKind.UNPROVEN, "") in await web.counted()


async def test_a_page_tells_a_no_of_anybody_and_a_yes_of_visitors_and_a_server_both(web):
    """The negative control."""
    known = await web.world.one(1, external=["user:7"])
    await web.send(chosen(True, user="7"), source=web.server)
    assert "marketing" in (await web.profile(known))["rights"]["consented"]
    await web.send(chosen(False, 1, user="7"))
    assert (await web.profile(known))["rights"]["consented"] == []
    await web.send(chosen(True, anonymous="visitor"))
    visitor = await web.customer("anonymous_id", "visitor")
    assert "marketing" in (await web.profile(visitor))["rights"]["consented"]


async def test_values_of_webhooks_say_that_they_are(web):
    hook, _ = await web.sources.create("hook", kind=SourceKind.STANDARD_WEBHOOKS)
    await web.send(identify({"firstName": "Ada"}), source=hook)
    told = await web.world.told(
        "query ($id: ID!) { profile(id: $id) { provenance { field kind source } } }", *OFFICER,
        {"id": await web.customer()},
    )  # fmt: skip
    assert {"field": "given_name", "kind": "WEBHOOK", "source": "hook"} in told["profile"]["provenance"]


async def test_a_page_leaves_room_for_what_a_server_says(web):
    await web.send(identify({f"t{number}": number for number in range(300)}))
    await web.send(identify({"plan": "gold"}, **at(1)), source=web.server)
    traits = (await seen(web))["traits"]
    assert (len(traits), traits["plan"]) == (251, "gold")


@pytest.mark.parametrize(("parts", "proven", "absorbed"), [(24, False, True), (25, False, False), (25, True, True)])
def test_a_page_leaves_room_for_profiles_that_others_join(parts, proven, absorbed):
    user, device = Identifier(IdentifierType.EXTERNAL_ID, "user:7"), Identifier(IdentifierType.ANONYMOUS_ID, "a-1")
    owners = {user: Person("known", (user,), parts=parts), device: Person("visitor", (device,))}
    decision = decide(Identified((user, device), proven=proven), owners)
    assert (decision.person, bool(decision.absorb)) == ("known", absorbed)
