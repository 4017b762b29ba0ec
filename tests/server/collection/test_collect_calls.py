"""Every call of the tracking API, every way to show a write key, and what holds of all events of a batch."""

import asyncio
import base64
import gzip
from datetime import UTC, datetime, timedelta

import pytest

from customers.collection.events import EventType, Rejection
from tests.server.collection.sending import NOW, body_of, post, told, track

TAKEN = b'{"success": true}'
CALLS = {
    "identify": {"traits": {"plan": "gold"}},
    "track": {"event": "Product Viewed", "properties": {"sku": "a-1"}},
    "page": {"name": "Home"},
    "screen": {"name": "Start"},
    "group": {"groupId": "g-1", "traits": {"size": 3}},
    "alias": {"previousId": "before"},
}


@pytest.mark.parametrize("short", [False, True], ids=["long", "short"])
@pytest.mark.parametrize("kind", CALLS)
async def test_every_call_is_taken_at_its_long_and_at_its_short_address(collection, kind, short):
    path = f"/v1/{kind[0] if short else kind}"
    response = await post(collection, {"userId": "u-1", **CALLS[kind]}, path)
    assert (response.status_code, response.content) == (200, TAKEN)
    assert response.headers["cache-control"] == "no-store"
    ((source, event),) = collection.kept.events
    assert (source, event.type, event.user_id) == ("till", EventType(kind), "u-1")


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/import", "/v1/b", "/v1/batch/", "/v1//batch"])
async def test_a_batch_is_taken_at_each_of_its_addresses_and_nobody_is_sent_elsewhere(collection, path):
    response = await post(collection, body_of(track("One"), track("Two")), path)
    assert (response.status_code, response.content) == (200, TAKEN)
    assert collection.kept.names == ["One", "Two"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "image/png"])
@pytest.mark.parametrize("said", [True, False], ids=["said", "unsaid"])
async def test_compressed_bodies_are_taken_whatever_they_are_labelled_as(collection, content_type, said):
    headers = {
        **({"content_type": content_type} if content_type else {}),
        **({"content_encoding": "gzip"} if said else {}),
    }
    response = await post(collection, gzip.compress(body_of(track())), **headers)
    assert response.status_code == 200
    assert collection.kept.names == ["Product Viewed"]


async def test_the_write_key_is_taken_from_basic_bearer_or_the_body(collection):
    key = collection.till
    basic = base64.b64encode(f"{key}:".encode()).decode()
    for headers, more in (
        ({"authorization": f"Basic {basic}"}, {}),
        ({"authorization": f"basic  {base64.b64encode(f'{key}:password'.encode()).decode()}"}, {}),
        ({"authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}, {}),
        ({"authorization": f"Bearer {key}"}, {}),
        ({}, {"writeKey": key}),
        ({"authorization": f"Basic {basic}"}, {"writeKey": key}),
    ):
        response = await post(collection, body_of(track(), **more), key=None, **headers)
        assert response.status_code == 200, headers
    assert [source for source, _ in collection.kept.events] == ["till"] * 6
    assert (await post(collection, track(writeKey=key), "/v1/t", key=None)).status_code == 200


async def test_without_a_write_key_or_with_a_bad_one_nothing_is_taken(collection):
    missing, refused = (401, "WRITE_KEY_MISSING"), (401, "WRITE_KEY_REFUSED")
    differ = (401, "WRITE_KEYS_DIFFER")
    for headers, more, expected in (
        ({}, {}, missing),
        ({}, {"writeKey": None}, missing),
        ({}, {"writeKey": 5}, missing),
        ({}, {"writeKey": "wk_nobodys"}, refused),
        ({"authorization": "Bearer wk_nobodys"}, {"writeKey": collection.till}, refused),
        ({"authorization": f"Bearer {collection.till}"}, {"writeKey": "wk_nobodys"}, refused),
        ({"authorization": f"Bearer {collection.till}"}, {"writeKey": collection.shop}, differ),
        ({"authorization": f"Bearer {collection.hook}"}, {}, refused),
        ({"authorization": "Basic !!!"}, {"writeKey": collection.till}, refused),
        ({"authorization": "Basic Og=="}, {"writeKey": collection.till}, refused),
        ({"authorization": "Digest x"}, {}, refused),
        ({"authorization": "Bearer"}, {}, refused),
        ({"authorization": f"Bearer {'x' * 5000}"}, {}, refused),
    ):
        response = await post(collection, body_of(track(), **more), key=None, **headers)
        assert told(response) == expected, headers
        assert response.headers["www-authenticate"] == "Bearer"
    two = [("authorization", f"Bearer {collection.till}")] * 2
    assert told(await collection.client.post("/v1/batch", content=body_of(track()), headers=two)) == refused
    assert collection.kept.events == collection.kept.rejected == []


async def test_a_rotated_key_goes_on_for_its_time_and_a_disabled_source_takes_nothing(collection):
    new = await collection.sources.rotate("till", grace=timedelta(hours=1))
    assert (await post(collection, body_of(track()))).status_code == 200
    assert (await post(collection, body_of(track(), writeKey=collection.till), key=new)).status_code == 200
    await collection.sources.rotate("till", grace=timedelta(0))
    assert told(await post(collection, body_of(track())))[0] == 401
    await collection.sources.disable("shop")
    assert told(await post(collection, body_of(track()), key="shop"))[0] == 401


async def test_context_and_integrations_of_a_batch_lie_beneath_those_of_its_events(collection):
    await post(
        collection,
        body_of(
            track("One"),
            track("Two", context={"locale": "de", "page": {"path": "/two"}}, integrations={"All": False}),
            context={"locale": "en", "library": {"name": "x"}},
            integrations={"Salesforce": True},
        ),
    )
    (_, one), (_, two) = collection.kept.events
    assert one.context == {"locale": "en", "library": {"name": "x"}}
    assert two.context == {"locale": "de", "library": {"name": "x"}, "page": {"path": "/two"}}


async def test_clocks_are_corrected_by_when_the_batch_was_sent(collection):
    sent = datetime(2026, 1, 1, tzinfo=UTC)  # months behind
    event = track(originalTimestamp=(sent - timedelta(minutes=5)).isoformat())
    await post(collection, body_of(event, sentAt=sent.isoformat()))
    await post(collection, {**event, "sentAt": sent.isoformat()}, "/v1/track")
    assert [event.at for _, event in collection.kept.events] == [NOW - timedelta(minutes=5)] * 2


async def test_what_one_event_lacks_is_counted_and_the_others_are_stored(collection):
    events = [
        track("Good"),
        {"type": "track", "event": "Nobody's"},
        {"type": "nonsense", "userId": "u-1"},
        5,
        None,
        [track()],
        track("Long", properties={"x": "y" * 33_000}),
        track("", anonymousId=None),
    ]
    response = await post(collection, body_of(*events))
    assert (response.status_code, response.content) == (200, TAKEN)
    assert collection.kept.names == ["Good"]
    assert [why for _, why in collection.kept.rejected] == [
        Rejection.NO_ID,
        Rejection.UNKNOWN_TYPE,
        *[Rejection.NOT_AN_OBJECT] * 3,
        Rejection.TOO_LARGE,
        Rejection.NO_NAME,
    ]


NO_BATCH = [
    b"5", b"null", b'"text"', b"true", b"{}", b'{"batch": 5}', b'{"batch": null}', b'{"batch": "[{}]"}',
    b'{"events": [{"type": "page", "userId": "u"}]}', b'{"type": 5, "userId": "u"}',
]  # fmt: skip


@pytest.mark.parametrize("content", NO_BATCH)
async def test_json_that_is_no_batch_is_told_among_the_violations_like_every_event_that_is_none(collection, content):
    response = await post(collection, content)
    assert (response.status_code, response.content) == (200, TAKEN)
    assert collection.kept.rejected == [("till", Rejection.NOT_A_BATCH)]
    assert collection.kept.events == []


async def test_events_in_another_shape_than_a_batch_are_taken_where_they_are_found(collection):
    one, two = track("One"), track("Two")
    shapes = {
        "a list": [one, two, 5],
        "one event where the list should be": {"batch": one, "context": {"locale": "de"}},
        "one event alone": one,
    }
    for shape, sent in shapes.items():
        collection.kept.events.clear()
        collection.kept.rejected.clear()
        response = await post(collection, sent)
        assert (response.status_code, response.content) == (200, TAKEN), shape
        assert collection.kept.names == (["One", "Two"] if shape == "a list" else ["One"]), shape
        assert collection.kept.rejected == [("till", Rejection.NOT_AN_OBJECT)] * (shape == "a list")
        context = {"locale": "de"} if "context" in sent else {}
        assert collection.kept.events[0][1].context == context
    assert told(await post(collection, [one], key=None)) == (401, "WRITE_KEY_MISSING")
    assert (await post(collection, {"batch": one, "writeKey": collection.till}, key=None)).status_code == 200


async def test_the_limits_of_a_batch_hold_in_every_shape(collection):
    large = track("Large", properties={"x": "y" * 33_000})
    for sent in ([large, track("Small")], {"batch": large}):
        collection.kept.rejected.clear()
        assert (await post(collection, sent)).status_code == 200
        assert collection.kept.rejected == [("till", Rejection.TOO_LARGE)]
    assert collection.kept.names == ["Small"]
    assert told(await post(collection, [track()] * 2501)) == (400, "TOO_MANY_EVENTS")
    assert told(await post(collection, b'[{"type": "page"}')) == (400, "NOT_JSON")
    assert collection.kept.names == ["Small"]


@pytest.mark.parametrize("content", [b"[]", b'{"batch": []}'])
async def test_an_empty_batch_is_taken(collection, content):
    assert (await post(collection, content)).content == TAKEN
    assert collection.kept.events == collection.kept.rejected == []


@pytest.mark.parametrize(
    ("value", "expected"), [("1", True), (" 1 ", True), ("0", False), ("true", False), (None, False)]
)
async def test_global_privacy_control_reaches_the_intake(collection, value, expected):
    await post(collection, body_of(track()), **({} if value is None else {"sec_gpc": value}))
    assert collection.kept.gpc == [expected]


async def test_the_counters_of_the_browser_sdk_are_taken_and_dropped(collection):
    response = await post(collection, {"series": [{"type": "Counter"}]}, "/v1/m", key=None)
    assert (response.status_code, response.content) == (200, TAKEN)
    assert collection.kept.events == collection.kept.rejected == []


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/projects/x", "/v1/batch/more", "/v1/Track"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
async def test_other_addresses_are_not_there_and_lead_nowhere(collection, method, path):
    response = await collection.client.request(method, path)
    assert told(response) == (404, "NOT_FOUND")


async def test_other_methods_are_told_which_ones_there_are(collection):
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        response = await collection.client.request(method, "/v1/batch")
        assert told(response) == (405, "METHOD")
        assert response.headers["allow"] == "POST, OPTIONS"
    response = await collection.client.post(f"/v1/projects/{collection.shop}/settings")
    assert told(response) == (405, "METHOD")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_the_answer_waits_until_the_events_are_stored(collection):
    collection.kept.waits = asyncio.Event()
    sending = asyncio.create_task(post(collection, body_of(track())))
    await asyncio.sleep(0.05)
    assert not sending.done()
    collection.kept.waits.set()
    assert (await sending).content == TAKEN
