"""Erasing a customer through the API: who may, what remains, and that it can be said again."""

import asyncio

import pytest

from audit import Kind, Outcome, timestamp
from tests.schema.hand import PURPOSES, ROLES, Hand
from tests.schema.selections import EVERY_PROFILE, ONE_PROFILE
from tests.schema.world import AUDITOR, CUSTOMER, OFFICER, SUPPORT, granted, order, person, ticket

ERASE = (
    "mutation ($id: ID!, $confirm: ID!) { eraseCustomer(id: $id, confirm: $confirm) { id keyFingerprints erasedAt } }"
)
EMAIL = "query ($id: ID!) { profile(id: $id) { email } }"


def code_of(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


async def erase(world, customer_id, who=OFFICER, **options):
    return await world.ask(ERASE, *who, {"id": customer_id, "confirm": customer_id}, **options)


@pytest.fixture
async def two(world):
    full = {
        "consents": granted("marketing"),
        "orders": [order(1), order(2)],
        "tickets": [ticket(1)],
    }
    drafts = [world.draft(person(number), external=[f"crm:{number}"], **full) for number in (1, 2)]
    world.ids["gone"], world.ids["stays"] = await world.create(*drafts)
    return world


async def remains(world, customer_id):
    """The documents that name a customer, by database and collection."""
    found = {}
    for database in (world.main, world.keys, world.audit):
        for name in await database.list_collection_names():
            this_test = {"order": {"$gte": timestamp(world.since)}} if name == "batches" else {}
            for document in await database[name].find(this_test).to_list(None):
                if customer_id in str(document):
                    found.setdefault(name, []).append(document)
    return found


async def test_the_receipt_names_the_key_that_was_destroyed(two):
    async with two.vault.reading():
        fingerprint = (await two.vault.keys([two.ids["gone"]]))[two.ids["gone"]].fingerprint
    answer = await erase(two, two.ids["gone"])
    assert answer.errors is None
    receipt = answer.data["eraseCustomer"]
    assert (receipt["id"], receipt["keyFingerprints"]) == (two.ids["gone"], [fingerprint])
    assert receipt["erasedAt"].endswith("Z")


async def test_every_role_gets_null_and_is_told_why_for_who_is_erased(two):
    gone = two.ids["gone"]
    before = await two.ask(EMAIL, *SUPPORT, {"id": gone})
    assert before.data["profile"]["email"] == "person1@mail1.example"
    await erase(two, gone)
    asked = [(role, purpose) for role in ROLES for purpose in PURPOSES]
    answers = await asyncio.gather(*(two.ask(EMAIL, role, purpose, {"id": gone}) for role, purpose in asked))
    reason = {"fields": ["profile.email", "profile.id"], "reason": "ERASED", "customers": 1}
    may_name = [(role, purpose) for role, purpose in asked if Hand(role, purpose).shows("profile.id", "read", "any")]
    assert SUPPORT in may_name
    for who, answer in zip(asked, answers, strict=True):
        assert (answer.data, answer.errors) == ({"profile": None}, None)
        told = [each for each in answer.extensions["privacy"]["withheld"] if each["reason"] == "ERASED"]
        assert told == ([reason] if who in may_name else []), who
    own = await two.ask("{ me { email } }", *CUSTOMER, customer=gone)
    assert own.data == {"me": None}
    assert "ERASED" in str(own.extensions)
    never = await two.ask(EMAIL, *SUPPORT, {"id": "cus_nobody"})
    assert never.data == {"profile": None}
    assert "ERASED" not in str(never.extensions)


async def test_who_is_erased_is_found_by_nothing_and_everybody_else_stays_as_they_were(two):
    gone, stays = two.ids["gone"], two.ids["stays"]
    other = await two.told(ONE_PROFILE, *OFFICER, {"id": stays})
    await erase(two, gone)
    everybody = (await two.told(EVERY_PROFILE, *OFFICER))["profiles"]["nodes"]
    assert [each["id"] for each in everybody] == [stays]
    assert await two.told(ONE_PROFILE, *OFFICER, {"id": stays}) == other
    find = "query ($t: IdentifierType!, $v: String!) { profileByIdentifier(type: $t, value: $v) { id } }"
    for kind, value in (("EMAIL", "person1@mail1.example"), ("PHONE", "+4915112000001"), ("EXTERNAL_ID", "crm:1")):
        assert await two.told(find, *SUPPORT, {"t": kind, "v": value}) == {"profileByIdentifier": None}


async def test_no_document_is_left_but_the_tombstone_and_the_closed_erasure(two):
    gone = two.ids["gone"]
    before = await remains(two, gone)
    assert set(before) == {"profiles", "orders", "tickets", "consent_ledger", "blind_index", "data_keys"}
    await erase(two, gone)
    after = await remains(two, gone)
    assert set(after) == {"data_keys", "erasures"}
    (tombstone,) = after["data_keys"]
    assert tombstone["state"] == "erased"
    assert "wrapped" not in tombstone
    assert "open" not in after["erasures"][0]
    assert set(await remains(two, two.ids["stays"])) == set(before)


async def test_the_identifiers_are_free_for_somebody_new(two):
    await erase(two, two.ids["gone"])
    again = (await two.create(two.draft(person(1), external=["crm:1"])))[0]
    assert again != two.ids["gone"]
    told = await two.told('{ profileByIdentifier(type: EMAIL, value: "person1@mail1.example") { id } }', *SUPPORT)
    assert told["profileByIdentifier"]["id"] == again
    assert (await two.ask(EMAIL, *SUPPORT, {"id": two.ids["gone"]})).data["profile"] is None


async def test_the_log_has_the_intention_and_the_end_and_no_way_to_the_person(two):
    gone = two.ids["gone"]
    reference = await two.reference(gone)
    await erase(two, gone, actor="olga")
    (intent,) = await two.records(kind=Kind.ERASURE_INTENT)
    (done,) = await two.records(kind=Kind.ERASURE_DONE)
    # Next to the record of the end, a reference would link the two for ever.
    assert (intent.actor, intent.subjects, intent.outcome) == ("olga", (), Outcome.ALLOWED)
    assert reference not in str([intent, done])
    assert done.erasure.fingerprint
    assert done.subjects == ()
    stones = [each async for each in two.log.tombstones()]
    assert (done.erasure.leaf, done.erasure.fingerprint) in [(each.leaf, each.fingerprint) for each in stones]
    found = await two.ask(
        "query ($id: ID!) { accessLog(filter: {customer: $id}) { nodes { id } } }", *AUDITOR, {"id": gone}
    )
    assert (code_of(found), found.data) == (["NOT_FOUND"], None)
    assert gone not in str(await two.records())


async def test_erasing_again_finds_nobody_and_undoes_nothing(two):
    gone = two.ids["gone"]
    await erase(two, gone)
    for _ in range(2):
        assert code_of(await erase(two, gone)) == ["NOT_FOUND"]
    assert len(await two.records(kind=Kind.ERASURE_DONE)) == 1
    assert (await two.records())[-1].outcome is Outcome.NOT_FOUND


async def test_erased_at_once_by_two_is_erased_once(two):
    answers = await asyncio.gather(*(erase(two, two.ids["gone"]) for _ in range(2)))
    codes = sorted(map(code_of, answers))
    assert codes in ([[], []], [[], ["NOT_FOUND"]])
    done = await two.records(kind=Kind.ERASURE_DONE)
    assert len({each.erasure.leaf for each in done}) == 1
    assert set(await remains(two, two.ids["gone"])) == {"data_keys", "erasures"}


@pytest.mark.parametrize("confirm", ["", "cus_other", "CUS"])
async def test_a_confirmation_that_is_another_id_erases_nobody(two, confirm):
    gone = two.ids["gone"]
    answer = await two.ask(ERASE, *OFFICER, {"id": gone, "confirm": confirm or gone.upper()})
    assert (code_of(answer), answer.errors[0]["extensions"]["field"]) == (["INPUT_INVALID"], "confirm")
    assert (await two.ask(EMAIL, *SUPPORT, {"id": gone})).data["profile"]["email"]


async def test_only_who_answers_for_privacy_erases(two):
    gone = two.ids["gone"]
    before = await remains(two, gone)
    asked = [(role, purpose) for role in ROLES for purpose in PURPOSES if (role, purpose) != OFFICER]
    # Whom retention is about is found by a sweep, and named by nobody.
    swept = [("privacy_officer", "retention")]
    assert [pair for pair in asked if two.policies.decide([pair[0]], pair[1]).erase] == swept
    for answer in await asyncio.gather(*(erase(two, gone, each, customer=gone) for each in asked)):
        assert (code_of(answer), answer.data) == (["ERASE_NOT_ALLOWED"], None)
    assert await remains(two, gone) == before


ERASE_A = "one: eraseCustomer(id: $a, confirm: $a) { id }"
ERASE_B = "two: eraseCustomer(id: $b, confirm: $b) { id }"
UPDATE_B = 'updateProfile(input: {id: $b, values: {city: "X"}}) { __typename }'


@pytest.mark.parametrize(
    "operation",
    [
        f"mutation ($a: ID!, $b: ID!) {{ {ERASE_A} {ERASE_B} }}",
        f"mutation ($a: ID!, $b: ID!) {{ ...F }} fragment F on Mutation {{ {ERASE_A} {ERASE_B} }}",
        f"mutation ($a: ID!, $b: ID!) {{ ... {{ {ERASE_A} {UPDATE_B} }} }}",
        f"mutation ($a: ID!, $b: ID!) {{ {ERASE_A} ...F }} fragment F on Mutation {{ {UPDATE_B} }}",
        f"mutation ($a: ID!, $b: ID!) {{ {UPDATE_B} ... @include(if: true) {{ {ERASE_A} }} }}",
    ],
)
async def test_an_erasure_stands_alone_in_its_operation(two, operation):
    before = [await remains(two, each) for each in two.ids.values()]
    answer = await two.ask(operation, *OFFICER, {"a": two.ids["gone"], "b": two.ids["stays"]})
    assert (code_of(answer), answer.data, answer.ran) == (["INPUT_INVALID"], None, False)
    assert [await remains(two, each) for each in two.ids.values()] == before


async def test_an_erasure_through_a_fragment_is_one(two):
    query = (
        "mutation ($id: ID!) { ...F } fragment F on Mutation { gone: eraseCustomer(id: $id, confirm: $id) { id } }"
    )
    assert (await two.told(query, *OFFICER, {"id": two.ids["gone"]}))["gone"]["id"] == two.ids["gone"]


async def test_reading_goes_on_while_somebody_is_erased_and_is_right_throughout(two):
    gone, stays = two.ids["gone"], two.ids["stays"]
    ended = asyncio.Event()
    seen = []

    async def read():
        while not ended.is_set():
            answer = await two.ask(EVERY_PROFILE, *OFFICER)
            assert answer.errors is None
            seen.append([each["email"] for each in answer.data["profiles"]["nodes"]])

    readers = [asyncio.create_task(read()) for _ in range(3)]
    answer = await erase(two, gone)
    assert answer.errors is None
    at = len(seen)
    late = await two.ask(EVERY_PROFILE, *OFFICER)
    assert [each["id"] for each in late.data["profiles"]["nodes"]] == [stays]
    ended.set()
    await asyncio.gather(*readers)
    emails = {1: ["person1@mail1.example", "person2@mail2.example"], 0: ["person2@mail2.example"]}
    assert all(each in emails.values() for each in seen)
    assert all(each == emails[0] for each in seen[at + len(readers) :])


async def test_a_write_to_somebody_who_is_being_erased_finds_nobody(two):
    gone = two.ids["gone"]
    await two.keys["data_keys"].update_one({"_id": gone}, {"$set": {"state": "erasing"}})
    before = await two.main["profiles"].find({}).to_list(None)
    update = 'mutation ($id: ID!) { updateProfile(input: {id: $id, values: {city: "X"}}) { profile { id } } }'
    assert code_of(await two.ask(update, *SUPPORT, {"id": gone})) == ["NOT_FOUND"]
    consent = (
        'mutation ($id: ID!) { recordConsent(id: $id, choice: GRANTED, consent: {purpose: "sales", source: "x"}) '
        "{ profile { id } } }"
    )
    assert code_of(await two.ask(consent, *SUPPORT, {"id": gone})) == ["NOT_FOUND"]
    assert await two.main["profiles"].find({}).to_list(None) == before
