"""The secrets that webhooks are signed with, and the privacy requests that come by them."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest

from customers.collection.sources import SourceKind, SourceStore
from customers.collection.webhooks import PrivacyRequest, RequestKind
from customers.collection.webhooks.requests import PrivacyIntake
from customers.errors import InputInvalidError, SourceNotFoundError
from tests.schema.world import person
from vault import TokenInvalidError

OLD, NEW, NEWEST = "shpss_old_old_old_old", "shpss_new_new_new_new", "shpss_newest_newest"
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self):
        self.time = datetime(2026, 5, 14, tzinfo=UTC)

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def sources(world, clock):
    for name in ("sources", "privacy_intake"):
        await world.main[name].delete_many({})
    return SourceStore(world.main, now=clock, random=os.urandom, clock=lambda: 0.0, sealing=world.vault)


async def keys(sources, name="shop"):
    return (await sources.signing(name))[1]


async def test_a_secret_can_be_had_again_and_stands_nowhere_in_clear(sources, world):
    source, _ = await sources.create("shop", kind=SourceKind.SHOPIFY)
    assert (source.id_system, source.signed) == ("shopify", False)
    assert await keys(sources) == ()
    await sources.set_secret("shop", OLD, grace=HOUR)
    assert await keys(sources) == (OLD.encode(),)
    assert (await sources.named("shop")).signed
    document = await world.main["sources"].find_one({"_id": "shop"})
    assert OLD not in str(document)
    assert OLD[-8:] not in str(document)


async def test_two_secrets_are_good_while_the_sender_changes_and_then_one(sources, clock):
    await sources.create("shop", kind=SourceKind.SHOPIFY)
    await sources.set_secret("shop", OLD, grace=HOUR)
    await sources.set_secret("shop", NEW, grace=HOUR)
    assert await keys(sources) == (NEW.encode(), OLD.encode())
    clock.time += HOUR
    assert await keys(sources) == (NEW.encode(),)


async def test_a_third_secret_ends_the_first_at_once(sources):
    await sources.create("shop", kind=SourceKind.SHOPIFY)
    for secret in (OLD, NEW, NEWEST):
        await sources.set_secret("shop", secret, grace=HOUR)
    assert await keys(sources) == (NEWEST.encode(), NEW.encode())


async def test_secrets_that_are_set_at_once_are_none_lost(sources):
    await sources.create("shop", kind=SourceKind.SHOPIFY)
    await asyncio.gather(*(sources.set_secret("shop", each, grace=HOUR) for each in (OLD, NEW)))
    assert set(await keys(sources)) == {OLD.encode(), NEW.encode()}


async def test_a_secret_that_is_made_here_is_one_of_standard_webhooks(sources):
    await sources.create("tickets", kind=SourceKind.STANDARD_WEBHOOKS)
    secret = await sources.new_secret("tickets", grace=HOUR)
    assert secret.startswith("whsec_")
    (key,) = await keys(sources, "tickets")
    assert len(key) == 32


async def test_a_secret_opens_for_its_own_source_only(sources, world):
    for name in ("shop", "other"):
        await sources.create(name, kind=SourceKind.SHOPIFY)
        await sources.set_secret(name, OLD, grace=HOUR)
    moved = (await world.main["sources"].find_one({"_id": "shop"}))["secrets"]
    await world.main["sources"].update_one({"_id": "other"}, {"$set": {"secrets": moved}})
    fresh = SourceStore(world.main, now=Clock(), random=os.urandom, sealing=world.vault)
    assert await keys(fresh, "shop") == (OLD.encode(),), "the control"
    with pytest.raises(TokenInvalidError):
        await fresh.signing("other")


async def test_a_disabled_source_and_one_that_is_not_there_have_no_keys(sources):
    await sources.create("shop", kind=SourceKind.SHOPIFY)
    await sources.set_secret("shop", OLD, grace=HOUR)
    await sources.disable("shop")
    assert await sources.signing("shop") is None
    assert await sources.signing("none") is None
    with pytest.raises(SourceNotFoundError):
        await sources.set_secret("none", OLD, grace=HOUR)


async def test_what_cannot_sign_takes_no_secret(sources, world, clock):
    await sources.create("site")
    with pytest.raises(InputInvalidError):
        await sources.set_secret("site", OLD, grace=HOUR)
    without = SourceStore(world.main, now=clock, random=os.urandom)
    await without.create("shop", kind=SourceKind.SHOPIFY)
    with pytest.raises(InputInvalidError):
        await without.set_secret("shop", OLD, grace=HOUR)


# ---- privacy requests


@pytest.fixture
async def shop(sources):
    return (await sources.create("shop", kind=SourceKind.SHOPIFY))[0]


@pytest.fixture
def requests(world, clock):
    return PrivacyIntake(world.main, blind=world.vault.blind, digest=world.vault.digest, now=clock)


def asked(*said, kind=RequestKind.ERASURE, name="w-of-a-request"):
    return PrivacyRequest(kind, name, "records.myshopify.com", said)


async def test_a_request_names_our_customer_and_holds_nothing_that_was_said_of_them(requests, shop, world, clock):
    customer = await world.one(external=("shopify:191167",))
    email = person(1)["email"]
    assert await requests.keep(shop, asked(("external_id", "191167"), ("email", email)))
    (kept,) = await requests.all()
    assert (kept.customer_id, kept.kind, kept.source) == (customer, RequestKind.ERASURE, "shop")
    assert kept.due_at == clock.time + timedelta(days=30)
    stored = str(await world.main["privacy_intake"].find({}).to_list(None))
    assert "191167" not in stored
    assert email not in stored
    assert "w-of-a-request" not in stored
    assert customer in stored, "the control"


async def test_a_request_finds_whom_it_can_by_what_is_said_after_the_id(requests, shop, world):
    customer = await world.one()
    said = (("external_id", "unknown"), ("phone", "no number"), ("email", person(1)["email"].upper()))
    await requests.keep(shop, asked(*said))
    await requests.keep(shop, asked(("external_id", "unknown"), name="w-2"))
    await requests.keep(shop, asked(kind=RequestKind.SHOP_ERASURE, name="w-3"))
    found = {each.kind: each.customer_id for each in await requests.all()}
    assert found[RequestKind.SHOP_ERASURE] is None
    assert sorted(str(each.customer_id) for each in await requests.all()) == sorted([customer, "None", "None"])


async def test_a_request_is_kept_once_however_often_it_comes(requests, shop):
    came = await asyncio.gather(*(requests.keep(shop, asked(("external_id", "1"))) for _ in range(50)))
    assert sum(came) == 1
    assert len(await requests.all()) == 1
    assert await requests.keep(shop, asked(("external_id", "1"), name="w-2")), "the control"
