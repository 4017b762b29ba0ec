"""Webhooks into the real intake: sealed events, profiles that hear of them, one event of a thousand deliveries."""

import asyncio
import os
import time
from datetime import timedelta
from random import uniform
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from customers.collection.sources import SourceStore
from customers.collection.webhooks.requests import PrivacyIntake
from server.webhooks.routes import Webhooks
from tests.customers.collection.gathering import gathering
from tests.schema.world import new_world, utc_now
from tests.server.webhooks.delivering import (
    CHARGE,
    CLOUD,
    ORDER,
    SECRETS,
    TICKET,
    refused,
    shopify,
    standard,
    stripe,
    structured,
)

CANARY = "4000056655665556"


@pytest.fixture
async def real(mongo_client, tmp_path):
    """The application over a platform of its own."""
    async with new_world(mongo_client, tmp_path) as world, gathering(world) as parts:
        sources = SourceStore(world.main, now=utc_now, random=os.urandom, sealing=world.vault)
        for name, (kind, secret) in SECRETS.items():
            await sources.create(name, kind=kind)
            await sources.set_secret(name, secret, grace=timedelta(0))
        requests = PrivacyIntake(world.main, blind=world.vault.blind, digest=world.vault.digest, now=utc_now)
        app = Webhooks(sources, parts.intake, requests, refused=refused, now=utc_now)
        whole = Starlette(routes=[Mount("/webhooks", app)])
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(whole), base_url="http://confide.example", timeout=60.0
        ) as client:

            async def deliver(path, body, headers):
                return await client.post(path, content=body, headers=headers)

            yield SimpleNamespace(world=world, parts=parts, requests=requests, deliver=deliver)
            assert parts.errors == []


async def until_taken(real, sent):
    """As senders do: again after a while, until it is taken; gives what it was told on the way."""
    told = []
    while True:
        answer = await real.deliver(*sent)
        told.append(answer.status_code)
        if answer.status_code == 200:
            return told
        assert answer.status_code in (429, 503), answer.text
        await asyncio.sleep(int(answer.headers["retry-after"]) * uniform(0.5, 1.5))  # noqa: S311 - when, not what


async def test_a_thousand_deliveries_at_once_make_one_event_and_one_order(real):
    sent = shopify(ORDER)
    told = await asyncio.gather(*(until_taken(real, sent) for _ in range(1000)))
    assert {each[-1] for each in told} == {200}
    assert sum(len(each) for each in told) > 1000, "the control: they did come faster than they are taken"
    await real.parts.parts.applier.settle()
    stored = await real.parts.stored()
    assert sorted(each["type"] for each in stored) == ["identify", "track"]
    customer = await real.world.vault.blind.find("external_id", "shopify:4711")
    profile = await real.parts.profile(customer)
    assert (profile["order_count"], profile["total_spent"]) == (1, 1990)
    assert len(await real.world.main["orders"].find({}).to_list(None)) == 1
    assert len(await real.world.main["profiles"].find({}).to_list(None)) == 1
    assert await real.world.vault.blind.find("email", "ana@example.com") == customer


async def test_events_of_every_sender_are_stored_and_nothing_of_them_in_clear(real):
    now = int(time.time())
    # Long enough that no random id, token or envelope of ours holds one by chance.
    ids = ("evt_of_the_charge", "cus_of_the_charge", "w-of-the-order")
    charge = {**CHARGE, "id": ids[0], "created": now, "data": {"object": {
        **CHARGE["data"]["object"], "customer": ids[1], "payment_method_details": {
            "type": "card", "card": {"last4": CANARY[-4:], "number": CANARY, "fingerprint": CANARY}}}}}  # fmt: skip
    for sent in (
        stripe(charge, seconds=now),
        standard(TICKET, seconds=now),
        structured(CLOUD, seconds=now),
        shopify(ORDER, name=ids[2]),
    ):
        answer = await real.deliver(*sent)
        assert (answer.status_code, answer.json()["success"]) == (200, True)
    await real.parts.parts.applier.settle()
    stored = await real.parts.stored()
    assert sorted(each["source"] for each in stored) == ["cloud", "payments", "records", "records", "tickets"]
    everything = str(
        [await real.world.main[name].find({}).to_list(None) for name in ("events", "profiles", "orders")]
    )
    for value in ("ana@example.com", CANARY, "Charge Succeeded", *ids):
        assert value not in everything
    assert CANARY[-4:].encode() not in b"".join(envelope for each in stored for envelope in each["sealed"].values())


async def test_a_delivery_again_after_it_was_taken_is_answered_alike_and_changes_nothing(real):
    sent = shopify(ORDER)
    first, again = await real.deliver(*sent), await real.deliver(*sent)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert len(await real.parts.stored()) == 2
    other = await real.deliver(*shopify({**ORDER, "id": 1002}, name="w-2"))
    assert other.status_code == 200
    assert len(await real.parts.stored()) == 4, "the control"


async def test_a_request_to_be_forgotten_finds_the_customer_of_an_order(real):
    await real.deliver(*shopify(ORDER))
    customer = await real.world.vault.blind.find("external_id", "shopify:4711")
    payload = {"shop_domain": "records.example", "customer": {"id": 4711, "email": "ana@example.com"}}
    answer = await real.deliver(*shopify(payload, topic="customers/redact", name="w-9"))
    assert (answer.status_code, answer.json()["taken"]) == (200, 1)
    (kept,) = await real.requests.all()
    assert (kept.customer_id, kept.shop) == (customer, "records.example")
    assert len(await real.parts.stored()) == 2, "it is no event"
