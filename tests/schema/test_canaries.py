"""No stored byte, no error and no log line holds a sealed value, before or after erasure."""

import logging

import pytest

from customers.consent.model import ConsentDecision, ConsentState
from tests.schema.canaries import disguises, everything_stored, leaks
from tests.schema.selections import ONE_PROFILE
from tests.schema.world import AUDITOR, DECIDED, OFFICER, SUPPORT, granted, order, ticket

VALUES = {
    "given_name": "Canaryella",
    "family_name": "Kanarienvögel-Ørsted",
    "email": "canary.bird@aviary-canary.example",
    "phone": "+4915199887766",
    "street": "Canary Wharf 4711",
    "postal_code": "CNRY-90210",
    "city": "Canarytown",
    "birth_date": "1987-06-05",
    "language": "haw-canary",
    "national_id": "CANARY-ID-0815-4711",
    "notes": ["Sang a canary song", "Second canary note"],
    "traits": {"canarykey": "canaryvalue", "deep": {"canarydeep": ["canarylist"]}},
}
ORDER = {
    "shipping_address": "Canary Row 12, Monterey",
    "gift_message": "To my little canary",
    "payment_last4": "canary-4242",
    "extra": {"canaryorder": "canaryextra"},
}
TICKET = {
    "subject": "My canary is gone",
    "body": "It flew away, that canary of mine",
    "extra": {"canaryticket": ["canarymore"]},
}
NEW = {"givenName": "Canarietta", "city": "Canaryville", "email": "new.canary@aviary-canary.example"}
EXTERNAL = "crm:canary-4711-0815"


def texts(value):
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in texts(each)]
    return [text for each in value for text in texts(each)] if isinstance(value, list) else [value]


CANARIES = [
    text
    for values in (*VALUES.values(), *ORDER.values(), *TICKET.values(), *NEW.values(), EXTERNAL)
    for text in texts(values)
    if text != "deep"
]
UPDATE = """mutation ($id: ID!, $values: ProfileValues!) {
  updateProfile(input: {id: $id, values: $values}) { profile { version } }
}"""


@pytest.fixture
async def aviary(fresh_world):
    world = fresh_world
    draft = world.draft(
        {**VALUES, "region": "emea"},
        consents=granted("marketing"),
        external=[EXTERNAL],
        orders=[order(1, **ORDER)],
        tickets=[ticket(1, **TICKET)],
    )
    (world.ids["bird"],) = await world.create(draft)
    return world


async def stored(world):
    return await everything_stored(world.main, world.keys, world.audit)


async def test_nothing_that_is_stored_holds_a_sealed_value_at_any_time(aviary):
    bird = aviary.ids["bird"]
    shown = await aviary.told(ONE_PROFILE, *OFFICER, {"id": bird})
    assert {text for text in CANARIES if text not in str(shown)} == set(NEW.values())
    for find in ("email", "phone"):
        query = "query ($t: IdentifierType!, $v: String!) { profileByIdentifier(type: $t, value: $v) { id } }"
        told = await aviary.told(query, *SUPPORT, {"t": find.upper(), "v": VALUES[find]})
        assert told["profileByIdentifier"]["id"] == bird
    assert leaks(CANARIES, await stored(aviary)) == set()
    await aviary.told(UPDATE, *OFFICER, {"id": bird, "values": NEW})
    async with aviary.vault.reading():
        decision = ConsentDecision("marketing", ConsentState.WITHDRAWN, DECIDED, "form")
        await aviary.writer.record_consent(aviary.access(*SUPPORT), bird, decision)
    assert leaks(CANARIES, await stored(aviary)) == set()
    await aviary.erase(bird)
    assert leaks(CANARIES, await stored(aviary)) == set()


async def test_a_value_that_does_stand_there_is_found_in_every_disguise(aviary):
    """Negative control."""
    street = VALUES["street"]
    for disguise in disguises(street):
        assert leaks([street], b"xx" + disguise + b"yyy"), disguise
    assert leaks([street], b"Canary Wharf 4712") == set()
    await aviary.main["planted"].insert_one({"value": b"xx" + street[::-1].encode("utf-16-le") + b"yyy"})
    assert {value for value, _ in leaks(CANARIES, await stored(aviary))} == {street}
    await aviary.main["planted"].delete_many({})
    await aviary.main["profiles"].update_one({}, {"$set": {"city": VALUES["city"]}})
    assert {value for value, _ in leaks(CANARIES, await stored(aviary))} == {VALUES["city"]}


QUESTIONS = [
    ("{ profile(id: %s) { email } }", *SUPPORT),
    ("{ profileByIdentifier(type: EMAIL, value: %s) { nationalId } }", *SUPPORT),
    ("{ profileByIdentifier(type: PHONE, value: %s) { nationalId } }", *SUPPORT),
    ("{ profiles(after: %s) { nodes { id } } }", *SUPPORT),
    ("{ profiles(filter: {region: {equals: %s}}) { nodes { id } } }", *SUPPORT),
    ("{ profiles(filter: {loyaltyTier: {equals: %s}}) { nodes { id } } }", *SUPPORT),
    ("{ profiles(filter: {createdAt: {since: %s}}) { nodes { id } } }", *SUPPORT),
    ("{ profiles(filter: {totalSpent: {below: %s}}) { nodes { id } } }", *SUPPORT),
    ("{ profiles(first: %s) { nodes { id } } }", *SUPPORT),
    ("{ profiles(filter: %s) { nodes { id } } }", *SUPPORT),
    ('{ profile(id: "x") { %s } }', *SUPPORT),
    ("{ %s }", *SUPPORT),
    ("%s", *SUPPORT),
    ("{ policy(purpose: %s) { version } }", *SUPPORT),
    ("{ accessLog(filter: {actor: %s}) { nodes { id } } }", *AUDITOR),
    ("{ accessLog(filter: {customer: %s}) { nodes { id } } }", *AUDITOR),
    ("{ accessLog(filter: {client: %s, policyVersion: %s}) { nodes { id } } }", *AUDITOR),
    ("{ accessLog(filter: {decision: %s}) { nodes { id } } }", *AUDITOR),
    ("{ accessLog(filter: {outcome: %s}) { nodes { id } } }", *AUDITOR),
    ("{ accessLog(after: %s) { nodes { id } } }", *AUDITOR),
    ("{ accessEntry(id: %s) { id } }", *AUDITOR),
    ("mutation { createProfile(input: {values: {email: %s}}) { profile { id } } }", *SUPPORT),
    ("mutation { createProfile(input: {values: {region: %s}}) { profile { id } } }", *OFFICER),
    ("mutation { createProfile(input: {values: {birthDate: %s}}) { profile { id } } }", *OFFICER),
    ("mutation { createProfile(input: {values: {notes: %s, country: %s}}) { profile { id } } }", *OFFICER),
    ("mutation { createProfile(input: {values: {traits: %s}}) { profile { id } } }", *OFFICER),
    ("mutation { updateProfile(input: {id: %s, values: {city: %s}}) { profile { id } } }", *SUPPORT),
    ("mutation { addIdentifier(id: %s, identifier: {type: PHONE, value: %s}) { profile { id } } }", *SUPPORT),
    (
        'mutation { recordConsent(id: %s, choice: GRANTED, consent: {purpose: %s, source: "x"}) { __typename } }',
        *SUPPORT,
    ),
    ("mutation { eraseCustomer(id: %s, confirm: %s) { id } }", *OFFICER),
]


@pytest.mark.parametrize("as_variable", [False, True])
async def test_no_error_no_explanation_no_log_line_and_no_record_repeats_what_was_asked(aviary, caplog, as_variable):
    """Each question carries a canary, in its text or in a variable, and is asked with and without a right to it."""
    caplog.set_level(logging.INFO)
    asked = "canary.asked@aviary-canary.example"
    watched = [asked, *CANARIES]
    refused = 0
    for question, role, purpose in QUESTIONS:
        query, variables = question.replace("%s", f'"{asked}"'), None
        if as_variable:
            start = "query" if question.startswith("{") else ""
            head, brace, rest = (start + question).partition("{")
            query, variables = f"{head.strip()} ($v: String!) {brace}{rest}".replace("%s", "$v"), {"v": asked}
        others = [("executive", "business_reporting"), (asked, asked), ("marketer", None)]
        for who in [(role, purpose), *others]:
            answer = await aviary.ask(query, *who, variables)
            refused += bool(answer.errors)
            assert leaks(watched, str([answer.errors, answer.extensions]).encode()) == set(), query
    assert refused > 3 * len(QUESTIONS) / 2
    assert leaks(watched, caplog.text.encode()) == set()
    # A role is a word of the token's, and stands in the record as it is.
    assert leaks(watched, str([each for each in await aviary.records() if asked not in each.roles]).encode()) == set()


async def test_a_ciphertext_that_was_moved_is_told_without_what_it_holds(aviary):
    other = (await aviary.create(aviary.draft({**VALUES, "email": "b@b.example", "phone": "+4915112345678"})))[0]
    document = await aviary.main["profiles"].find_one({"_id": other})
    await aviary.main["profiles"].update_one(
        {"_id": aviary.ids["bird"]}, {"$set": {"sealed.name": document["sealed"]["name"]}}
    )
    answer = await aviary.ask(ONE_PROFILE, *OFFICER, {"id": aviary.ids["bird"]})
    assert {each["extensions"]["code"] for each in answer.errors} == {"DATA_DAMAGED"}
    assert (answer.data["profile"]["givenName"], answer.data["profile"]["email"]) == (None, VALUES["email"])
    assert leaks(CANARIES, str([answer.errors, answer.extensions]).encode()) == set()
