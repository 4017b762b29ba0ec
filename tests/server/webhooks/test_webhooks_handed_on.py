"""A privacy request that came by webhook becomes one that somebody works on, once, and ends with it."""

from customers.collection.webhooks.delivery import PrivacyRequest, RequestKind
from customers.rights.requests import Kind, RequestStore, State, Verification
from server.handing_on import handing_on
from server.webhooks import privacy_intake
from tests.server.opendsr.controller import officer
from tests.server.test_nothing_left import create, opened


async def sent(platform, kind, number, user="7190"):
    source = await platform.sources.named("shop") or (await platform.sources.create("shop"))[0]
    told = PrivacyRequest(kind, f"message-{number}", "records.example", (("external_id", user),))
    assert await privacy_intake(platform).keep(source, told)


async def stored(platform):
    found = await platform.main["privacy_requests"].find({}).to_list(None)
    return [(await RequestStore(platform.main).get(each["_id"])).request for each in found]


async def test_what_a_shop_hands_on_is_worked_on_and_settled(mongo_uri, mongo_client, tmp_path):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        [mine] = await create(platform, ({"city": "Ulm"}, ["user:7190"], [], []))
        for number, kind in enumerate((RequestKind.ACCESS, RequestKind.ERASURE, RequestKind.ERASURE)):
            await sent(platform, kind, number)
        assert await handing_on(platform).run() == 3
        requests = await stored(platform)
        assert {(each.kind, each.customer_id, each.source) for each in requests} == {
            (Kind.ACCESS, mine, "webhook"),
            (Kind.ERASURE, mine, "webhook"),
        }
        assert {(each.state, each.verification) for each in requests} == {(State.CONFIRMED, Verification.SENDER)}
        assert await handing_on(platform).run() == 0, "nothing is new"
        [access] = [each for each in requests if each.kind is Kind.ACCESS]
        async with platform.vault.reading():
            await platform.requests.begin(officer(platform), access.id)
        await platform.requests.complete(officer(platform), access.id)
        assert await handing_on(platform).run() == 1
        settled = {each.kind: each.settled_at is not None for each in await privacy_intake(platform).all()}
        assert settled == {RequestKind.ACCESS: True, RequestKind.ERASURE: False}
        await platform.services.eraser.erase(officer(platform), mine)
        assert await handing_on(platform).run() == 0
        assert all(each.settled_at is not None for each in await privacy_intake(platform).all())


async def test_nobody_is_asked_for_who_is_unknown_and_a_whole_shop_waits_for_a_person(
    mongo_uri, mongo_client, tmp_path
):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        await sent(platform, RequestKind.ERASURE, 1, "unknown")
        await sent(platform, RequestKind.SHOP_ERASURE, 2)
        assert await handing_on(platform).run() == 1
        assert await stored(platform) == []
        settled = {each.kind: each.settled_at is not None for each in await privacy_intake(platform).all()}
        assert settled == {RequestKind.ERASURE: True, RequestKind.SHOP_ERASURE: False}
        intake = privacy_intake(platform)
        for wrong in (("shop", "other.example"), ("other", "records.example")):
            assert await intake.met_for_shop(*wrong) == 0
        assert [await intake.met_for_shop("shop", "records.example") for _ in range(2)] == [1, 0]
        assert all(each.settled_at is not None for each in await intake.all())


async def test_what_died_before_it_was_noted_becomes_no_second_request(mongo_uri, mongo_client, tmp_path):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        await create(platform, ({"city": "Ulm"}, ["user:7190"], [], []))
        await sent(platform, RequestKind.ERASURE, 1)
        await handing_on(platform).run()
        await platform.main["privacy_intake"].update_many({}, {"$unset": {"request": ""}})
        await handing_on(platform).run()
        [request] = await stored(platform)
        [kept] = await platform.main["privacy_intake"].find({}).to_list(None)
        assert (kept["request"], request.state) == (request.id, State.CONFIRMED)
