"""What every shipped role sees for every purpose is what a hand reading of the policy files says."""

import asyncio
import itertools
import json
from collections import Counter

import pytest

from tests.schema.hand import CATALOGUE, FIELDS, PURPOSES, REGION, ROLES, Hand
from tests.schema.selections import EVERY_PROFILE, ONE_PROFILE, READING
from tests.schema.world import CUSTOMER, OFFICER, SUPPORT


def masked_by_hand(path, value):
    """What the catalogue's mask leaves of a value as the answer would give it in clear; ids are looked at apart."""
    owner, name = path.split(".")
    mask = CATALOGUE[owner][name]["mask"]
    if value is None:
        return None
    if name == "identifiers":
        return [{"type": "masked", "value": "•••"}]
    if isinstance(value, list):
        return ["•••"]
    if mask == "first_character":
        return value[0] + "•••"
    if mask == "last_four":
        return "•••" + value[-4:]
    if mask == "domain_only":
        local, _, domain = value.partition("@")
        return f"{local[0]}•••@{domain}"
    if mask == "year_only":
        return value[:4]
    if mask == "generalise" and name == "postal_code":
        return value[:2] + "•••"
    if mask == "generalise":
        low = int(float(value)) // 10 * 10
        return f"{low}–{low + 10}"  # noqa: RUF001 - a range is written with an en dash
    return "•••"


def shown_entry(hand, entry, who):
    """An identifier as the field of its own kind is shown: an e-mail address in the list is one all the same."""
    if entry["type"] == "external_id":
        return [entry]
    path = f"profile.{entry['type']}"
    verdict, _ = hand.verdict(path, who)
    masked = {"type": entry["type"], "value": masked_by_hand(path, entry["value"])}
    return {"clear": [entry], "masked": [masked], "withheld": []}[verdict]


def check_object(hand, type_name, seen, truth, who):
    """One object of one customer holds exactly what the hand reading says."""
    for field, path in FIELDS[type_name].items():
        if field == "id":
            continue
        verdict, _ = hand.verdict(path, who)
        expected = masked_by_hand(path, truth[field]) if verdict == "masked" else truth[field]
        if field == "identifiers" and verdict == "clear":
            expected = [entry for each in truth[field] or () for entry in shown_entry(hand, each, who)]
            expected = None if truth[field] is None else expected
        expected = None if verdict == "withheld" else expected
        assert seen[field] == expected, (hand.role, hand.purpose, who, path, verdict)
    in_clear = hand.verdict(f"{type_name.lower()}.id", who)[0] == "clear"
    assert (seen["id"] == truth["id"]) is in_clear
    assert in_clear or seen["id"].startswith("p_")


def shows_any(hand, type_name, who):
    return any(hand.verdict(path, who)[0] != "withheld" for name, path in FIELDS[type_name].items() if name != "id")


def departures(hand, type_name, name, path, listed, truth):
    """How many customers' fields come to less than the best, by verdict and reason."""
    found = Counter()
    for who in listed:
        verdict, reason = hand.verdict(path, who)
        has = type_name == "Profile" or truth[who][f"{type_name.lower()}s"]["nodes"]
        if reason and (has or not shows_any(hand, type_name, who)):
            found["masked" if name == "id" else verdict, reason] += 1
    return found


def check_privacy(hand, privacy, listed, truth):
    """The explanation names every masked and withheld field, with its rule or its reason and number of customers."""
    groups = [(verdict, group) for verdict in ("masked", "withheld") for group in privacy[verdict]]
    told = Counter(
        (path, verdict, group.get("reason"), group.get("customers"))
        for verdict, group in groups
        for path in group["fields"]
    )
    expected = Counter()
    for type_name, fields in FIELDS.items():
        for name, path in fields.items():
            if type_name != "Profile" and not listed:  # nobody's orders or tickets were looked at
                continue
            if (best := hand.best(path)) != "clear":
                expected[path, best, "POLICY" if best == "withheld" else None, None] += 1
            for (verdict, reason), count in departures(hand, type_name, name, path, listed, truth).items():
                expected[path, verdict, reason, count] += 1
    assert told == expected


@pytest.fixture(scope="session")
async def truth(town):
    """Everything about everybody, as the privacy officer reads it."""
    told = {}
    for who, customer_id in town.ids.items():
        answer = await town.ask(ONE_PROFILE, *OFFICER, {"id": customer_id})
        assert answer.errors is None
        assert answer.extensions["privacy"]["masked"] == answer.extensions["privacy"]["withheld"] == []
        told[who] = answer.data["profile"]
    return told


async def test_the_officer_sees_what_was_written(truth):
    agreed = truth["agreed"]
    assert agreed["email"] == "person1@mail1.example"
    assert agreed["notes"] == ["note 1 one", "note 1 two"]
    assert agreed["traits"] == {"shoe": "size 1"}
    assert agreed["birthDate"] == "1951-04-05"
    assert agreed["orderCount"] == 2
    assert agreed["totalSpent"] == "57.49"
    assert [each["giftMessage"] for each in agreed["orders"]["nodes"]] == ["Viel Freude 2", "Viel Freude 1"]
    assert agreed["tickets"]["nodes"][0]["body"] == "It should have come on day 1"
    assert [each["value"] for each in agreed["identifiers"]] == [
        "person1@mail1.example",
        "+4915112000001",
        "crm:4711",
    ]
    assert agreed["consents"][0]["purpose"] == "marketing"
    assert json.loads(json.dumps(agreed)) == agreed


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_sees_for_each_purpose_what_the_policy_files_say(town, truth, role):
    who = {"regions": [REGION], "customer": town.ids["agreed"] if role == "customer" else None}
    answers = await asyncio.gather(*(town.ask(EVERY_PROFILE, role, purpose, **who) for purpose in PURPOSES))
    for purpose, answer in zip(PURPOSES, answers, strict=True):
        check_answer(Hand(role, purpose), town, truth, answer)


def check_answer(hand, town, truth, answer):
    assert answer.errors is None
    privacy = answer.extensions["privacy"]
    assert (privacy["purpose"], privacy["policy"]) == (hand.purpose, town.policies.version)
    assert privacy["entry"].startswith(town.log.shard)
    json.dumps(answer.data)
    listed = [who for who in town.ids if hand.listed(who)]
    for who, seen in zip(listed, answer.data["profiles"]["nodes"], strict=True):
        check_object(hand, "Profile", seen, truth[who], who)
        for children, type_name in (("orders", "Order"), ("tickets", "Ticket")):
            if not shows_any(hand, type_name, who):
                assert seen[children] is None
                continue
            for child, true_child in zip(seen[children]["nodes"], truth[who][children]["nodes"], strict=True):
                check_object(hand, type_name, child, true_child, who)
    check_privacy(hand, privacy, listed, truth)


async def test_the_hand_reading_would_notice_one_wrong_field(town, truth):
    """Negative control: the same check over an answer in which one withheld value shows."""
    hand = Hand("marketer", "marketing")
    answer = await town.ask(EVERY_PROFILE, "marketer", "marketing", regions=[REGION])
    seen = answer.data["profiles"]["nodes"][0]
    check_object(hand, "Profile", seen, truth["agreed"], "agreed")
    with pytest.raises(AssertionError):
        check_object(hand, "Profile", {**seen, "phone": truth["agreed"]["phone"]}, truth["agreed"], "agreed")
    with pytest.raises(AssertionError):
        check_object(hand, "Profile", {**seen, "givenName": None}, truth["agreed"], "agreed")


async def test_several_roles_together_see_what_any_of_them_sees_and_a_deny_of_one_outweighs(town):
    query = "query ($id: ID!) { profile(id: $id) { email givenName } }"
    variables = {"id": town.ids["agreed"]}
    both = await town.ask(query, ["auditor", "support_agent"], SUPPORT[1], variables)
    assert both.data["profile"]["email"] == "person1@mail1.example"
    denied = await town.ask(query, ["administrator", "support_agent"], SUPPORT[1], variables)
    assert denied.data == {"profile": None}
    rules = {each["rule"] for each in denied.extensions["privacy"]["withheld"]}
    deny = [
        number for number, rule in enumerate(READING.rules, 1) if rule[0] == "administrator" and rule[5] == "deny"
    ]
    assert rules == set(deny)


async def test_a_pseudonym_is_stable_and_leads_nowhere(town):
    query = "{ profiles(first: 100) { nodes { id orders { nodes { id } } } } }"
    ids = [each["id"] for each in (await town.told(query, *OFFICER))["profiles"]["nodes"]]
    first, again = [await town.told(query, "product_analyst", "analytics") for _ in range(2)]
    assert first == again
    pseudonyms = [each["id"] for each in first["profiles"]["nodes"]]
    assert len(set(pseudonyms)) == len(ids)
    assert all(one.startswith("p_") and one not in ids for one in pseudonyms)
    query = "query ($id: ID!) { profile(id: $id) { orderCount } node(id: $id) { id } }"
    for each in (pseudonyms[0], ids[0]):  # and who sees only pseudonyms cannot find out whose they are
        nowhere = await town.ask(query, "product_analyst", "analytics", {"id": each})
        assert (nowhere.data, nowhere.errors) == ({"profile": None, "node": None}, None)
    assert (await town.told(query, *OFFICER, {"id": ids[0]}))["profile"]  # negative control


async def test_a_customer_sees_themselves_and_of_others_nothing(town):
    mine, other = town.ids["agreed"], town.ids["silent"]
    me = await town.told("{ me { id email notes } }", *CUSTOMER, customer=mine)
    assert me["me"] == {"id": mine, "email": "person1@mail1.example", "notes": ["note 1 one", "note 1 two"]}
    answer = await town.ask(ONE_PROFILE, *CUSTOMER, {"id": other}, customer=mine)
    assert (answer.data, answer.errors) == ({"profile": None}, None)
    nobody = await town.ask(ONE_PROFILE, *CUSTOMER, {"id": "cus_nobody"}, customer=mine)
    assert answer.data == nobody.data
    assert {**answer.extensions["privacy"], "entry": ""} == {**nobody.extensions["privacy"], "entry": ""}
    everybody = await town.told("{ profiles { nodes { id } } }", *CUSTOMER, customer=mine)
    assert everybody == {"profiles": {"nodes": [{"id": mine}]}}
    staff = await town.ask("{ me { id } }", *SUPPORT)
    assert staff.errors[0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(["agreed", "silent"])))
async def test_what_was_compiled_for_one_customer_is_not_used_for_another(town, first, second):
    query = "query ($a: ID!, $b: ID!) { a: profile(id: $a) { givenName } b: profile(id: $b) { givenName } }"
    variables = {"a": town.ids[first], "b": town.ids[second]}
    told = await town.told(query, "marketer", "marketing", variables)
    shown = {"agreed": "Given1", "silent": None}
    assert told == {"a": {"givenName": shown[first]}, "b": {"givenName": shown[second]}}
