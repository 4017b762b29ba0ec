"""Events are read as everything is: by role, purpose and rights; each property by its own data category."""

from dataclasses import replace
from datetime import timedelta

import pytest

from customers.collection.plans import EventRule, Mode, Modes, PropertyRule, TrackingPlan
from tests.customers.collection.gathering import DAY, gathering, identify, track
from tests.schema.world import AUDITOR, CUSTOMER, OFFICER, SUPPORT, granted, objected, open_world, person

MARKETER = ("marketer", "marketing")
ANALYST = ("product_analyst", "analytics")
EXECUTIVE = ("executive", "business_reporting")
SALES = ("sales_rep", "sales")
PLAN = TrackingPlan(
    name="shop",
    events={
        "Product Viewed": EventRule(
            properties={
                "sku": PropertyRule("user.behavior.purchase_history.items", {"type": "string"}, clear=True),
                "level": PropertyRule("user.account.loyalty", clear=True),
                "email": PropertyRule("user.contact.email"),
                "card": PropertyRule("user.financial.credit_card"),
            }
        ),
        "$page": EventRule(properties={"path": PropertyRule("user.behavior.activity", clear=True)}),
    },
    traits={"size": PropertyRule("user.account.loyalty")},
)
VIEWED = {"sku": "A-1", "level": "gold", "email": "canary@example.org", "card": "4242", "mood": "secret mood"}
EVENTS = """query ($id: ID!, $first: Int! = 10, $after: String, $type: String, $name: String) { profile(id: $id) {
  events(first: $first, after: $after, type: $type, name: $name) {
    nodes { id type name at receivedAt source properties context }
    edges { cursor node { id } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""


@pytest.fixture
async def shop(world):
    async with gathering(world, consent={"ads": "marketing"}) as found:
        await found.parts.plans.put(PLAN, by="test")
        found.source = replace(found.source, plan="shop")
        yield found
        assert found.errors == []


async def known(shop, number=7, overrides=None, **given):
    """A customer of whom everything is known, with the id `user:<number>`."""
    draft = shop.world.draft({**person(number), **(overrides or {})}, external=[f"user:{number}"], **given)
    return (await shop.world.create(draft))[0]


def of(number=7, **given):
    return {"user": str(number), "anonymous": None, **given}


async def asked(shop, customer_id, role, **variables):
    who = {"customer": customer_id} if role == CUSTOMER else {"regions": ["emea"]}
    return await shop.world.ask(EVENTS, *role, {"id": customer_id, **variables}, **who)


async def nodes(shop, customer_id, role, **variables):
    answer = await asked(shop, customer_id, role, **variables)
    assert answer.errors is None, answer.errors
    found = (answer.data["profile"] or {}).get("events")
    return None if found is None else found["nodes"]


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        (OFFICER, VIEWED),
        (CUSTOMER, VIEWED),
        (SUPPORT, {"sku": "A-1", "level": "gold", "email": "canary@example.org"}),
        (("support_agent", "order_support"), {name: VIEWED[name] for name in ("sku", "level", "email", "card")}),
        (MARKETER, {"sku": "A-1", "level": "gold", "email": "•••"}),
        (ANALYST, {"sku": "A-1", "level": "gold"}),
    ],
)  # fmt: skip
async def test_every_property_is_shown_as_its_category_is(shop, role, shown):
    customer_id = await known(shop, consents=granted("marketing"))
    allowed = {"consent": {"categoryPreferences": {"ads": True}}}
    await shop.send(track(**of(), properties=VIEWED, context=allowed))
    if role == ANALYST:  # who sees pseudonyms finds nobody by an id
        answer = await shop.world.told("{ profiles { nodes { events { nodes { id name properties } } } } }", *role)
        (node,) = answer["profiles"]["nodes"][0]["events"]["nodes"]
        assert node["id"].startswith("p_")
    else:
        (node,) = await nodes(shop, customer_id, role)
    assert node["name"] == "Product Viewed"
    assert node["properties"] == shown


async def test_who_may_see_no_event_is_not_told_how_many_there_are(shop):
    customer_id = await known(shop)
    await shop.send(track(**of()))
    for role in (EXECUTIVE, SALES):
        assert await nodes(shop, customer_id, role) is None
    assert await nodes(shop, customer_id, SUPPORT) != []


async def test_what_is_withheld_is_told_by_category_and_recorded_whatever_there_is(shop):
    customer_id = await known(shop)
    told = []
    for properties in ({}, VIEWED):
        await shop.send(track(**of(), properties=properties))
        answer = await asked(shop, customer_id, SUPPORT)
        told.append({key: answer.extensions["privacy"][key] for key in ("masked", "withheld")})
        record = (await shop.world.records())[-1]
        clear = {path for each in record.decisions if each.decision == "clear" for path in each.fields}
        assert {"event.properties:user.behavior", "event.properties:user.contact", "event.at"} <= clear
    assert told[0] == told[1]
    withheld = {path for each in told[0]["withheld"] for path in each["fields"]}
    assert {"event.properties:user", "event.context:user.unclassified"} <= withheld
    assert {path for each in told[0]["masked"] for path in each["fields"]} == {
        "event.properties:user.demographic.date_of_birth"
    }


async def test_what_an_identify_says_is_sealed_as_what_it_is(shop):
    customer_id = await known(shop)
    await shop.send(identify({"firstName": "Ada", "size": 39, "diet": "fish", "birthday": "1980-01-02"}, **of()))
    (mine,) = await nodes(shop, customer_id, CUSTOMER)
    assert mine["properties"] == {"firstName": "Ada", "size": 39, "diet": "fish", "birthday": "1980-01-02"}
    (theirs,) = await nodes(shop, customer_id, SUPPORT)
    assert theirs["properties"] == {"firstName": "Ada", "size": 39, "birthday": "•••"}


async def test_a_name_that_no_plan_knows_is_seen_like_what_nobody_classified(shop):
    customer_id = await known(shop)
    await shop.send(
        track("Ordered for Ada Lovelace", **of()), {**track(**of()), "type": "page", "name": "Ada's page"}
    )
    assert {each["name"] for each in await nodes(shop, customer_id, SUPPORT)} == {None}
    mine = {each["name"] for each in await nodes(shop, customer_id, CUSTOMER)}
    assert mine == {"Ordered for Ada Lovelace", "Ada's page"}
    assert await nodes(shop, customer_id, OFFICER, name="Ordered for Ada Lovelace") == [], (
        "what is sealed is not found"
    )


async def test_what_a_device_says_of_itself_is_unclassified(shop):
    customer_id = await known(shop)
    await shop.send(track(**of(), context={"ip": "192.0.2.7", "traits": {"secret": 1}}))
    assert [each["context"] for each in await nodes(shop, customer_id, SUPPORT)] == [None]
    assert [each["context"] for each in await nodes(shop, customer_id, CUSTOMER)] == [{"ip": "192.0.2.7"}]


async def test_modes_of_the_plan_are_kept(shop):
    customer_id = await known(shop)
    for mode, stored in ((Mode.OMIT, 0), (Mode.BLOCK, 0), (Mode.QUARANTINE, 1), (Mode.ALLOW, 1)):
        await shop.parts.plans.put(replace(PLAN, modes=Modes(unplanned_event=mode)), by="test")
        accepted = await shop.send(track("Sang", **of()), track(**of()))
        assert (accepted.stored, len(accepted.rejected)) == (1 + stored, mode is Mode.BLOCK)
        assert accepted.omitted == (mode is Mode.OMIT)
    assert len(await nodes(shop, customer_id, SUPPORT)) == 6
    await shop.parts.plans.put(replace(PLAN, modes=Modes(unplanned_property=Mode.QUARANTINE)), by="test")
    await shop.send(identify({"firstName": "Changed", "diet": "fish"}, **of()))
    told = await shop.world.told("query ($id: ID!) { profile(id: $id) { givenName } }", *SUPPORT, {"id": customer_id})
    assert told["profile"]["givenName"] == "Given7", "what was put aside changes nothing"


async def test_a_persons_number_in_what_is_to_be_clear_is_sealed(shop):
    customer_id = await known(shop)
    await shop.send(track(**of(), properties={"sku": "canary.bird@example.org", "level": "gold"}))
    (event,) = await shop.stored(customer_id=customer_id)
    assert event["clear"] == {"level": "gold"}
    assert "user/contact/email" in event["sealed"]
    assert await shop.counted() == {("email_in_clear", "sku"): 1}


TRAITS = "query ($id: ID!) { profile(id: $id) { traits classifiedTraits } }"


async def test_a_trait_that_a_plan_classifies_is_shown_as_its_category_is(shop):
    customer_id = await known(shop, overrides={"traits": None})
    await shop.send(identify({"size": 39, "diet": "fish"}, **of()))
    own = await shop.world.told(TRAITS, *CUSTOMER, {"id": customer_id}, customer=customer_id)
    assert own["profile"] == {"traits": {"diet": "fish"}, "classifiedTraits": {"size": 39}}
    theirs = await shop.world.ask(TRAITS, *SUPPORT, {"id": customer_id})
    assert theirs.data["profile"] == {"traits": None, "classifiedTraits": {"size": 39}}
    withheld = {path for each in theirs.extensions["privacy"]["withheld"] for path in each["fields"]}
    assert {"profile.traits", "profile.traits:user"} <= withheld
    nobody = await shop.world.told(TRAITS, *("privacy_officer", "audit"), {"id": customer_id})
    assert nobody["profile"] is None or nobody["profile"]["classifiedTraits"] is None
    sales = await shop.world.told(TRAITS, *SALES, {"id": customer_id})
    assert sales["profile"]["classifiedTraits"] == {"size": "•••"}, "of another region"
    mine = await shop.world.told(TRAITS, *SALES, {"id": customer_id}, regions=["emea"])
    assert mine["profile"]["classifiedTraits"] == {"size": 39}


async def test_a_trait_that_a_plan_classifies_otherwise_is_where_it_was_classified_last(shop):
    customer_id = await known(shop, overrides={"traits": None})
    for rules in ({}, PLAN.traits, {"size": PropertyRule("user.contact")}, {}):
        await shop.parts.plans.put(replace(PLAN, traits=rules), by="test")
        later = (DAY + timedelta(minutes=len(await shop.stored()))).isoformat()
        await shop.send(identify({"size": 39}, **of(), timestamp=later))
        document = await shop.profile(customer_id)
        custom = {name for name in document["sealed"] if name.startswith("custom/")}
        assert custom == {f"custom/{each.category.replace('.', '/')}" for each in rules.values()}
        told = await shop.world.told(TRAITS, *OFFICER, {"id": customer_id})
        assert told["profile"]["classifiedTraits"] == ({"size": 39} if rules else None)
        assert told["profile"]["traits"] == ({} if rules and rules != {} else {"size": 39})


# ---- rights


async def test_for_a_purpose_of_consent_only_events_that_were_allowed_are_listed(shop):
    customer_id = await known(shop, consents=granted("marketing"))
    yes, no = ({"consent": {"categoryPreferences": {"ads": each}}} for each in (True, False))
    await shop.send(
        track(**of(), message="none"),
        track(**of(), message="no", context=no),
        track(**of(), message="yes", context=yes),
    )
    await shop.send(track(**of(), message="signal", context=yes), gpc=True)
    assert len(await nodes(shop, customer_id, SUPPORT)) == 4
    assert len(await nodes(shop, customer_id, MARKETER)) == 1
    assert len(await nodes(shop, customer_id, ("marketer", "email_marketing"))) == 1


@pytest.mark.parametrize(
    ("given", "role", "reason"),
    [
        ({}, MARKETER, "CONSENT"),
        ({"consents": objected("marketing")}, MARKETER, "OBJECTION"),
        ({"restricted": True}, SUPPORT, "RESTRICTED"),
    ],
)
async def test_rights_withhold_events_as_they_do_orders(shop, given, role, reason):
    customer_id = await known(shop, **{**given, "restricted": False})
    await shop.send(track(**of(), properties=VIEWED))
    if given.get("restricted"):
        await shop.world.main["profiles"].update_one({"_id": customer_id}, {"$set": {"rights.restricted": True}})
    answer = await asked(shop, customer_id, role)
    assert (answer.data["profile"] or {}).get("events") is None
    reasons = {each["reason"] for each in answer.extensions["privacy"]["withheld"]}
    assert reason in reasons


async def test_nobody_sees_events_of_others_through_self_service(shop):
    mine, other = await known(shop), await known(shop, 8)
    await shop.send(track(**of()), track(**of(8)))
    answer = await shop.world.ask(EVENTS, *CUSTOMER, {"id": other}, customer=mine)
    assert answer.data["profile"] is None
    assert len(await nodes(shop, mine, CUSTOMER)) == 1


# ---- pages


async def many(shop, customer_id, role=SUPPORT, **variables):
    """Every event, page by page."""
    found, after = [], None
    while True:
        answer = await asked(shop, customer_id, role, after=after, **variables)
        page = answer.data["profile"]["events"]
        found += [each["id"] for each in page["nodes"]]
        assert [each["node"]["id"] for each in page["edges"]] == [each["id"] for each in page["nodes"]]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
        assert after == page["edges"][-1]["cursor"] or page["edges"][-1]["cursor"]


@pytest.mark.parametrize("first", [1, 4, 7, 100])
async def test_pages_hold_every_event_once_newest_first_whatever_lies_between_them(shop, first):
    customer_id = await known(shop)
    ages = [0, 0, 0, 0, 0, 1, 2, 60, 3600, 3601, 86_400 * 3, 86_400 * 400, 86_400 * 401, 86_400 * 9000]
    await shop.send(
        *(track(**of(), timestamp=(DAY - timedelta(seconds=each)).isoformat()) for each in ages),
        track(**of(8)),
    )
    stored = await shop.stored(customer_id=customer_id)
    expected = [each["_id"] for each in sorted(stored, key=lambda each: (each["at"], each["_id"]), reverse=True)]
    assert await many(shop, customer_id, first=first) == expected
    assert len(expected) == len(ages)


async def test_events_that_nobody_has_counted_yet_are_on_the_page(shop):
    customer_id = await known(shop)
    await shop.send(track(**of(), timestamp=(DAY - timedelta(days=2000)).isoformat()))
    await shop.world.main["profiles"].update_one(
        {"_id": customer_id}, {"$unset": {"event_count": "", "first_event_at": "", "last_event_at": ""}}
    )
    assert len(await nodes(shop, customer_id, SUPPORT)) == 1


async def test_a_cursor_belongs_to_its_caller_purpose_customer_and_query(shop):
    mine, other = await known(shop), await known(shop, 8)
    await shop.send(*(track(**of(number)) for number in (7, 8) for _ in range(3)))
    answer = await asked(shop, mine, SUPPORT, first=1)
    cursor = answer.data["profile"]["events"]["pageInfo"]["endCursor"]
    assert (await asked(shop, mine, SUPPORT, first=2, after=cursor)).errors is None
    for customer_id, role, more in (
        (other, SUPPORT, {}),
        (mine, ("support_agent", "order_support"), {}),
        (mine, OFFICER, {}),
        (mine, SUPPORT, {"type": "track"}),
        (mine, SUPPORT, {"after": cursor[:-2]}),
        (mine, SUPPORT, {"after": ""}),
    ):
        refused = await asked(shop, customer_id, role, **{"after": cursor, **more})
        assert [each["extensions"]["code"] for each in refused.errors] == ["CURSOR_INVALID"]


async def test_events_are_found_by_kind_and_name_by_those_who_may_see_them(shop):
    customer_id = await known(shop)
    await shop.send(track(**of()), track("Sang", **of()), {**track(**of()), "type": "page", "name": "x"})
    assert len(await nodes(shop, customer_id, SUPPORT, type="track")) == 2
    assert len(await nodes(shop, customer_id, SUPPORT, name="Product Viewed")) == 1
    assert await nodes(shop, customer_id, SUPPORT, type="page", name="Product Viewed") == []
    for role in (EXECUTIVE, AUDITOR):
        refused = await asked(shop, customer_id, role, type="track")
        codes = [each["extensions"]["code"] for each in refused.errors or ()]
        assert codes == (["FILTER_NOT_ALLOWED"] if refused.data["profile"] is not None or codes else [])


async def test_a_page_of_too_many_is_refused(shop):
    customer_id = await known(shop)
    for first in (0, 101):
        assert (await asked(shop, customer_id, SUPPORT, first=first)).errors


async def test_the_events_of_a_page_of_customers_are_each_their_own(shop):
    ids = [await known(shop, number) for number in range(1, 6)]
    await shop.send(*(track(**of(number)) for number in range(1, 6) for _ in range(number)))
    told = await shop.world.told(
        "{ profiles { nodes { id eventCount events(first: 100) { nodes { id } } } } }", *SUPPORT
    )
    found = {each["id"]: (each["eventCount"], len(each["events"]["nodes"])) for each in told["profiles"]["nodes"]}
    assert found == {customer_id: (number, number) for number, customer_id in enumerate(ids, 1)}


# ---- damage, and what must not be told


async def test_a_group_that_was_moved_is_told_as_damaged_and_the_rest_is_shown(shop):
    customer_id = await known(shop)
    await shop.send(
        track(**of(), message="one", properties={"email": "one@example.org", "level": "gold"}),
        track(
            **of(), message="two", properties={"email": "two@example.org"}, timestamp=DAY.replace(hour=1).isoformat()
        ),
    )
    events = {each["at"].hour: each for each in await shop.stored()}
    moved = {"$set": {"sealed.user/contact/email": events[1]["sealed"]["user/contact/email"]}}
    await shop.world.main["events"].update_one({"_id": events[DAY.hour]["_id"]}, moved)
    answer = await asked(shop, customer_id, SUPPORT)
    assert [each["extensions"]["code"] for each in answer.errors] == ["DATA_DAMAGED"]
    assert "example.org" not in str(answer.errors)
    shown = [each["properties"] for each in answer.data["profile"]["events"]["nodes"]]
    assert shown == [None, {"email": "two@example.org"}]


async def test_answers_do_not_depend_on_what_the_caller_may_not_see(databases, tmp_path):
    """The same customer with and without values that support may not see."""
    answers = []
    for number, properties in enumerate(({"mood": "blue", "card": "4242"}, {})):
        parts = [databases.client[f"{databases.main.name}_{number}_{part}"] for part in ("main", "keys", "audit")]
        directory = tmp_path / str(number)
        directory.mkdir()
        async with open_world(*parts, directory, seed="same") as world, gathering(world) as shop:
            await shop.parts.plans.put(PLAN, by="test")
            shop.source = replace(shop.source, plan="shop")
            customer_id = await known(shop)
            await shop.send(track(**of(), message="m", properties={"sku": "A-1", **properties}), received_at=DAY)
            answer = await asked(shop, customer_id, SUPPORT)
            (node,) = answer.data["profile"]["events"]["nodes"]
            node.pop("id")
            answers.append((node, {**answer.extensions["privacy"], "entry": None}, answer.errors))
        for part in parts:
            await databases.client.drop_database(part.name)
    assert answers[0] == answers[1]
    assert answers[0][0]["properties"] == {"sku": "A-1"}
