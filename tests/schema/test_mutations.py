"""Mutations: what they change, what they refuse, and that a refusal changes nothing."""

import asyncio

import pytest

from tests.schema.selections import READING
from tests.schema.world import CUSTOMER, IMPORTER, OFFICER, SUPPORT, granted, new_world, person

CREATE = """mutation ($values: ProfileValues!, $identifiers: [IdentifierInput!]! = [], $consents: [ConsentInput!]! = []) {
  createProfile(input: {values: $values, identifiers: $identifiers, consents: $consents}) {
    profile { id version email phone givenName identifiers { type value } consents { purpose state } }
  }
}"""
UPDATE = """mutation ($id: ID!, $values: ProfileValues!, $version: Int) {
  updateProfile(input: {id: $id, values: $values, expectedVersion: $version}) {
    profile { version email phone givenName city birthDate identifiers { type value } }
  }
}"""
ADD = """mutation ($id: ID!, $type: IdentifierType!, $value: String!) {
  addIdentifier(id: $id, identifier: {type: $type, value: $value}) { profile { email identifiers { type value } } }
}"""
REMOVE = ADD.replace("addIdentifier", "removeIdentifier")
ONE = "query ($id: ID!) { profile(id: $id) { givenName city birthDate version email } }"
FIND = "query ($t: IdentifierType!, $v: String!) { profileByIdentifier(type: $t, value: $v) { givenName } }"


@pytest.fixture(scope="module")
async def desk(mongo_client, tmp_path_factory):
    """A platform where everything is refused, with one customer."""
    async with new_world(mongo_client, tmp_path_factory.mktemp("desk")) as made:
        made.ids["one"] = await made.one(1, external=["crm:1"])
        yield made


def code_of(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


async def found(world, kind, value):
    told = (await world.told(FIND, *SUPPORT, {"t": kind, "v": value}))["profileByIdentifier"]
    return told and told["givenName"]


async def state(world):
    """Everything that is stored about customers."""
    names = ("profiles", "orders", "tickets", "consent_ledger", "blind_index")
    return {name: await world.main[name].find({}).to_list(None) for name in names}


async def test_a_profile_is_created_with_all_it_was_given_in_normal_form(world):
    values = {
        "givenName": "  Ada ",
        "email": "Ada.Lovelace@Mail.Example",
        "phone": "+49 1511 2000 001",
        "country": "GB",
        "region": "emea",
        "birthDate": "1915-12-10",
        "notes": ["likes numbers"],
        "traits": {"hat": {"size": 7}},
    }
    variables = {
        "values": values,
        "identifiers": [{"type": "EXTERNAL_ID", "value": "crm:1"}, {"type": "EMAIL", "value": "second@mail.example"}],
        "consents": [{"purpose": "marketing", "source": "form", "at": "2024-01-01T00:00:00Z"}],
    }
    created = (await world.told(CREATE, *OFFICER, variables))["createProfile"]["profile"]
    assert created["version"] == 1
    assert (created["givenName"], created["email"]) == ("Ada", "ada.lovelace@mail.example")
    assert created["phone"] == "+4915112000001"
    assert [each["value"] for each in created["identifiers"]] == [
        "ada.lovelace@mail.example",
        "+4915112000001",
        "crm:1",
        "second@mail.example",
    ]
    assert created["consents"] == [{"purpose": "marketing", "state": "granted"}]
    for kind, value in (
        ("EMAIL", "ADA.lovelace@mail.example"),
        ("PHONE", "+4915112000001"),
        ("EXTERNAL_ID", "crm:1"),
    ):
        assert await found(world, kind, value) == "Ada"


async def test_what_is_created_is_shown_as_its_creator_may_see_it(world):
    values = {"givenName": "Ada", "email": "a@mail.example", "nationalId": "X-1"}
    created = (await world.told(CREATE, *IMPORTER, {"values": values}))["createProfile"]["profile"]
    assert created["id"].startswith("cus_")
    assert (created["givenName"], created["email"], created["identifiers"]) == (None, None, None)


@pytest.mark.parametrize(
    "variables",
    [
        {"values": {"email": "PERSON1@mail1.example"}},
        {"values": {"phone": "+4915112000001"}},
        {"values": {"givenName": "New"}, "identifiers": [{"type": "EMAIL", "value": "person1@mail1.example"}]},
        {"values": {"email": "free@mail.example"}, "identifiers": [{"type": "EXTERNAL_ID", "value": "crm:1"}]},
    ],
)
async def test_an_identifier_that_somebody_has_is_refused_and_nothing_is_written(desk, variables):
    before = await state(desk)
    answer = await desk.ask(CREATE, *OFFICER, variables)
    assert (code_of(answer), answer.data) == (["IDENTIFIER_TAKEN"], None)
    assert await state(desk) == before
    assert await found(desk, "EMAIL", "free@mail.example") is None


async def test_of_the_same_creation_sent_at_once_exactly_one_is_made(world):
    variables = {"values": {"email": "ada@mail.example", "givenName": "Ada"}}
    answers = await asyncio.gather(*(world.ask(CREATE, *OFFICER, variables) for _ in range(6)))
    assert sorted(map(code_of, answers)) == [[], *[["IDENTIFIER_TAKEN"]] * 5]
    assert (await world.counted())["profiles"] == 1
    assert await found(world, "EMAIL", "ada@mail.example") == "Ada"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "values"),
        ({"givenName": None}, "values"),
        ({"givenName": " "}, "givenName"),
        ({"givenName": "SECRET\0"}, "givenName"),
        ({"givenName": "SECRET" * 2000}, "givenName"),
        ({"givenName": "SECRET\ud800"}, "givenName"),
        ({"email": "SECRET"}, "email"),
        ({"email": "SECRET@"}, "email"),
        ({"phone": "SECRET"}, "phone"),
        ({"country": "secret"}, "country"),
        ({"region": "SE CRET"}, "region"),
        ({"region": "$SECRET"}, "region"),
        ({"language": "SECRET SECRET"}, "language"),
        ({"birthDate": "SECRET"}, "birthDate"),
        ({"birthDate": "2999-01-01"}, "birthDate"),
        ({"birthDate": "1879-01-01"}, "birthDate"),
        ({"notes": ["SECRET"] * 101}, "notes"),
        ({"notes": ["", "SECRET"]}, "notes"),
        ({"traits": "SECRET"}, "traits"),
        ({"traits": ["SECRET"]}, "traits"),
        ({"traits": {"a": "SECRET" * 10_000}}, "traits"),
        ({"nationalID": "SECRET"}, None),
        ({"traits": {"a": [2**70], "b": "SECRET"}}, "traits"),
        ({"traits": {"a\ud800": "SECRET"}}, "traits"),
        ({"traits": {"a": ["SECRET\udfff"]}}, "traits"),
    ],
)
async def test_a_value_that_cannot_be_stored_is_refused_by_name_and_never_repeated(desk, values, field):
    before = await state(desk)
    created = await desk.ask(CREATE, *OFFICER, {"values": values})
    assert (code_of(created), created.data) == (["INPUT_INVALID"], None)
    assert created.errors[0]["extensions"].get("field") == field
    assert "SECRET" not in str(created)
    if values != {"givenName": None}:  # which removes a value
        updated = await desk.ask(UPDATE, *OFFICER, {"id": desk.ids["one"], "values": values})
        assert code_of(updated) == ["INPUT_INVALID"]
        assert "SECRET" not in str(updated)
    assert await state(desk) == before


async def test_every_fault_of_an_input_is_told_at_once(desk):
    answer = await desk.ask(CREATE, *OFFICER, {"values": {"country": "x", "birthDate": "y"}})
    assert "country" in answer.errors[0]["message"]
    assert "birthDate" in answer.errors[0]["message"]


async def test_an_update_changes_what_it_names_and_nothing_else(world):
    customer_id = await world.one(1)
    values = {"givenName": "New", "city": None, "birthDate": "1961-02-03"}
    told = (await world.told(UPDATE, *OFFICER, {"id": customer_id, "values": values}))["updateProfile"]["profile"]
    assert (told["givenName"], told["city"], told["birthDate"], told["version"]) == ("New", None, "1961-02-03", 2)
    rest = "query ($id: ID!) { profile(id: $id) { familyName street postalCode language email notes } }"
    assert (await world.told(rest, *OFFICER, {"id": customer_id}))["profile"] == {
        "familyName": "Family1",
        "street": "Street 1",
        "postalCode": "20001",
        "language": "de",
        "email": "person1@mail1.example",
        "notes": ["note 1 one", "note 1 two"],
    }


async def test_an_update_of_a_version_that_is_no_longer_is_refused(world):
    customer_id = await world.one(1)
    first = {"id": customer_id, "values": {"givenName": "A"}, "version": 1}
    assert (await world.told(UPDATE, *SUPPORT, first))["updateProfile"]["profile"]["version"] == 2
    for version in (1, 3, 0, -1):
        answer = await world.ask(UPDATE, *SUPPORT, {**first, "values": {"givenName": "B"}, "version": version})
        assert (code_of(answer), answer.data) == (["CONFLICT"], None)
    assert (await world.told(ONE, *SUPPORT, {"id": customer_id}))["profile"]["givenName"] == "A"


async def test_a_changed_address_is_found_and_the_old_one_is_not(world):
    customer_id = await world.one(1)
    variables = {"id": customer_id, "values": {"email": "New@Mail.example", "phone": None}}
    told = (await world.told(UPDATE, *SUPPORT, variables))["updateProfile"]["profile"]
    assert (told["email"], told["phone"]) == ("new@mail.example", None)
    assert told["identifiers"] == [{"type": "email", "value": "new@mail.example"}]
    assert await found(world, "EMAIL", "new@mail.example") == "Given1"
    assert await found(world, "EMAIL", "person1@mail1.example") is None
    assert await found(world, "PHONE", "+4915112000001") is None
    assert await world.one(2, overrides={"email": "person1@mail1.example", "phone": "+4915112000001"})


async def test_an_identifier_is_added_and_taken_away_again(world):
    ada, bob = await world.create(world.draft(person(1)), world.draft(person(2)))
    more = {"id": ada, "type": "EXTERNAL_ID", "value": "CRM:77"}
    for _ in range(2):  # a retry changes nothing
        told = (await world.told(ADD, *SUPPORT, more))["addIdentifier"]["profile"]
        assert [each["type"] for each in told["identifiers"]] == ["email", "phone", "external_id"]
    value = told["identifiers"][-1]["value"]
    assert await found(world, "EXTERNAL_ID", value) == "Given1"
    before = await state(world)
    taken = await world.ask(ADD, *SUPPORT, {**more, "id": bob})
    assert code_of(taken) == ["IDENTIFIER_TAKEN"]
    not_his = await world.told(REMOVE, *SUPPORT, {**more, "id": bob})
    assert len(not_his["removeIdentifier"]["profile"]["identifiers"]) == 2
    assert await found(world, "EXTERNAL_ID", value) == "Given1"
    assert (await state(world))["blind_index"] == before["blind_index"]
    told = (await world.told(REMOVE, *SUPPORT, more))["removeIdentifier"]["profile"]
    assert len(told["identifiers"]) == 2
    assert await found(world, "EXTERNAL_ID", value) is None
    await world.told(ADD, *SUPPORT, {**more, "id": bob})
    assert await found(world, "EXTERNAL_ID", value) == "Given2"


@pytest.mark.parametrize(("query", "needs"), [(UPDATE, "values"), (ADD, "type"), (REMOVE, "type")])
async def test_who_is_not_there_cannot_be_changed(world, query, needs):
    await world.one(1)
    before = await state(world)
    rest = {"values": {"givenName": "A"}} if needs == "values" else {"type": "EMAIL", "value": "a@mail.example"}
    for customer_id in ("cus_nobody", "", "x" * 300, "\ud800", "$ne"):
        answer = await world.ask(query, *SUPPORT, {"id": customer_id, **rest})
        assert code_of(answer) in (["NOT_FOUND"], ["INPUT_INVALID"])
        assert answer.data is None
    assert await state(world) == before


WRITABLE = {
    "profile.given_name": {"givenName": "A"},
    "profile.email": {"email": "person1@mail1.example"},
    "profile.city": {"city": "C"},
    "profile.language": {"language": "fr"},
    "profile.national_id": {"nationalId": "N"},
    "profile.notes": {"notes": ["n"]},
    "profile.traits": {"traits": {"t": 1}},
    "profile.loyalty_tier": {"loyaltyTier": "tin"},
}


async def test_each_role_writes_for_each_purpose_what_the_policy_lets_it(world):
    """All at once, so that every refused field must be named; then what is left, which must be taken."""
    agreed = [name for name, each in world.policies.purposes.items() if each.basis.value == "consent"]
    customer_id = await world.one(1, consents=granted(*agreed))
    query = "mutation ($id: ID!, $v: ProfileValues!) { updateProfile(input: {id: $id, values: $v}) { __typename } }"

    async def write(role, purpose, paths):
        values = {name: value for path in paths for name, value in WRITABLE[path].items()}
        who = {"customer": customer_id if role == "customer" else None, "regions": ["emea"]}
        return await world.ask(query, role, purpose, {"id": customer_id, "v": values}, **who)

    def allowed(role, purpose, path, action, scopes):
        category = world.policies.catalogue.fields[path].category
        return any(READING.allows([role], purpose, category, action, each) for each in scopes)

    for role in world.policies.roles:
        scopes = ("any", "region", *(["own"] if role == "customer" else []))
        for purpose in world.policies.purposes:
            kept = [path for path in WRITABLE if allowed(role, purpose, path, "write", scopes)]
            if refused := sorted(WRITABLE.keys() - kept):
                version = (await world.main["profiles"].find_one({}))["version"]
                answer = await write(role, purpose, WRITABLE)
                assert answer.errors[0]["extensions"] == {"code": "WRITE_NOT_ALLOWED", "fields": refused}
                assert (await world.main["profiles"].find_one({}))["version"] == version
            # Whether an address is taken tells who is a customer, so it takes the right to look everybody up by it.
            if "profile.email" in kept and not allowed(role, purpose, "profile.email", "filter", ["any"]):
                answer = await write(role, purpose, kept)
                assert answer.errors[0]["extensions"] == {"code": "WRITE_NOT_ALLOWED", "fields": ["profile.email"]}
                kept.remove("profile.email")
            if kept:
                assert code_of(await write(role, purpose, kept)) == []


async def test_several_mutations_run_one_after_the_other(world):
    customer_id = await world.one(1)
    query = """mutation ($id: ID!) {
      a: updateProfile(input: {id: $id, values: {givenName: "A"}, expectedVersion: 1}) { profile { givenName version } }
      b: updateProfile(input: {id: $id, values: {givenName: "B"}, expectedVersion: 2}) { profile { givenName version } }
      c: updateProfile(input: {id: $id, values: {city: "C"}, expectedVersion: 3}) { profile { city version } }
    }"""
    told = await world.told(query, *SUPPORT, {"id": customer_id})
    assert [each["profile"]["version"] for each in told.values()] == [2, 3, 4]


async def test_customers_correct_what_is_theirs(world):
    mine, other = await world.create(world.draft(person(1)), world.draft(person(2)))
    values = {"givenName": "Me", "city": "Home"}
    told = await world.told(UPDATE, *CUSTOMER, {"id": mine, "values": values}, customer=mine)
    assert told["updateProfile"]["profile"]["givenName"] == "Me"
    for customer_id, given in ((other, values), (mine, {"loyaltyTier": "gold"}), (mine, {"notes": ["x"]})):
        answer = await world.ask(UPDATE, *CUSTOMER, {"id": customer_id, "values": given}, customer=mine)
        assert code_of(answer) == ["WRITE_NOT_ALLOWED"]
