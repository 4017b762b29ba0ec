"""What is made of Standard Webhooks and of CloudEvents, and of whatever else may come."""

import importlib.util
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.collection.events import EventType, RejectedError, Rejection, time_of, understood
from customers.collection.sources import SourceKind
from customers.collection.webhooks import DeliveryInvalidError, Flaw, delivered, is_binary
from customers.collection.webhooks.shopify import TOPICS

NOW = datetime(2026, 5, 14, 10, tzinfo=UTC)
HEADERS = {"webhook-id": "msg_1", "webhook-timestamp": "1778749200"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
CLOUD = {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "com.example.order.placed"}


def standard(payload, headers=HEADERS):
    (raw,) = delivered(SourceKind.STANDARD_WEBHOOKS, headers, json.dumps(payload).encode()).events
    return raw


def cloud(headers, payload):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return list(delivered(SourceKind.CLOUDEVENTS, headers, body).events)


def event(raw):
    return understood(raw, received_at=NOW, sent_at=None, new_id=lambda: "none")


# ---- Standard Webhooks


def test_an_event_of_the_tracking_api_is_taken_as_it_is_under_the_name_of_the_delivery():
    sent = {"type": "identify", "userId": "u-1", "traits": {"email": "a@example.com"}, "messageId": "own"}
    found = event(standard(sent))
    assert (found.type, found.user_id, found.message_id) == (EventType.IDENTIFY, "u-1", "msg_1")
    assert found.traits == {"email": "a@example.com"}


def test_any_other_payload_is_a_track_named_after_its_type():
    sent = {"type": "invoice.paid", "timestamp": "2026-05-14T09:30:00Z", "data": {"user_id": 7, "amount": 3}}
    found = event(standard(sent))
    assert (found.type, found.name, found.user_id) == (EventType.TRACK, "invoice.paid", "7")
    assert (found.properties, found.at) == ({"user_id": 7, "amount": 3}, time_of("2026-05-14T09:30:00Z"))
    bare = event(standard({"test": 2432232314, "anonymousId": "a-1"}))
    assert (bare.name, bare.anonymous_id, bare.at) == ("Webhook", "a-1", time_of("2026-05-14T09:00:00Z"))


def test_a_payload_about_nobody_is_rejected_by_the_intake_s_own_rule():
    with pytest.raises(RejectedError) as caught:
        event(standard({"test": 2432232314}))
    assert caught.value.rejection is Rejection.NO_ID


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"1614265330.5", b"{", b'{"a": NaN}', b'"\xff"'])
def test_what_is_no_object_is_said_to_be_none(body):
    with pytest.raises(DeliveryInvalidError):
        delivered(SourceKind.STANDARD_WEBHOOKS, HEADERS, body)


# ---- CloudEvents


def test_the_three_modes_say_the_same():
    whole = {**CLOUD, "time": "2026-05-14T09:30:00Z", "userid": "4711", "data": {"total": 12.5}}
    binary = {f"ce-{name}": value for name, value in whole.items() if name != "data"}
    one = cloud(STRUCTURED, whole)
    assert one == cloud(BATCH, [whole])
    assert one == cloud({**binary, "content-type": "application/json"}, {"total": 12.5})
    found = event(one[0])
    assert (found.name, found.user_id) == ("com.example.order.placed", "4711")
    assert (found.properties, found.at) == ({"total": 12.5}, time_of("2026-05-14T09:30:00Z"))
    assert [is_binary(each) for each in (STRUCTURED, BATCH, binary, {})] == [False, False, True, True]


def test_source_and_id_together_name_an_event():
    def name(**more):
        return cloud(STRUCTURED, {**CLOUD, **more})[0]["messageId"]

    assert name() == name(type="other", data={"x": 1})
    assert len({name(), name(id="A-2"), name(source="/other"), name(source="/shop/A", id="-1")}) == 4
    assert name(source="a", id='b","c') != name(source='a","b', id="c")
    assert len(name(id="x" * 2000)) <= 100


def test_headers_are_decoded_as_the_binding_says():
    headers = {
        "ce-specversion": "1.0",
        "ce-id": '"quoted \\"id\\""',
        "ce-source": "/shop/%C3%A5%20%25",
        "ce-type": "t",
        "ce-userid": "u",
    }
    (raw,) = cloud(headers, b"{}")
    assert raw["context"]["cloudevent"]["source"] == "/shop/å %"
    whole = {"specversion": "1.0", "id": 'quoted "id"', "source": "/shop/å %", "type": "t"}
    assert raw["messageId"] == cloud(STRUCTURED, whole)[0]["messageId"]


def test_data_that_is_an_event_of_the_tracking_api_is_taken_as_it_is():
    data = {"type": "track", "event": "Order Completed", "userId": "u-1", "properties": {"total": 1}}
    found = event(cloud(STRUCTURED, {**CLOUD, "data": data})[0])
    assert (found.name, found.user_id, found.properties) == ("Order Completed", "u-1", {"total": 1})


@pytest.mark.parametrize(
    ("broken", "flaw"),
    [
        ({"specversion": "0.3"}, Flaw.NOT_A_CLOUDEVENT),
        ({"specversion": None}, Flaw.NOT_A_CLOUDEVENT),
        ({"id": ""}, Flaw.NOT_A_CLOUDEVENT),
        ({"id": 7}, Flaw.NOT_A_CLOUDEVENT),
        ({"source": None}, Flaw.NOT_A_CLOUDEVENT),
        ({"type": "x" * 2049}, Flaw.NOT_A_CLOUDEVENT),
        ({"time": "yesterday"}, Flaw.NOT_A_CLOUDEVENT),
        ({"time": 7}, Flaw.NOT_A_CLOUDEVENT),
        ({"data_base64": "AAAA"}, Flaw.DATA_NOT_JSON),
        ({"datacontenttype": "text/xml", "data": "<x/>"}, Flaw.DATA_NOT_JSON),
    ],
)
def test_what_is_no_cloudevent_is_said_to_be_none_and_of_a_batch_it_is_rejected_alone(broken, flaw):
    with pytest.raises(DeliveryInvalidError) as caught:
        cloud(STRUCTURED, {**CLOUD, **broken})
    assert caught.value.flaw is flaw
    good = {**CLOUD, "userid": "u"}
    first, second, third = cloud(BATCH, [good, {**CLOUD, **broken}, "text"])
    assert event(first).user_id == "u"
    assert (second, third) == (Rejection.BAD_FIELD, Rejection.BAD_FIELD)


def test_binary_data_that_is_not_json_is_not_taken():
    headers = {f"ce-{name}": value for name, value in CLOUD.items()}
    with pytest.raises(DeliveryInvalidError) as caught:
        cloud({**headers, "content-type": "application/avro"}, b"\0\1")
    assert caught.value.flaw is Flaw.DATA_NOT_JSON
    with pytest.raises(DeliveryInvalidError):
        cloud({"content-type": "application/json"}, b"{}")
    assert len(cloud(headers, b"")) == 1, "an event without data"


def test_a_batch_has_at_most_500_events():
    assert len(cloud(BATCH, [CLOUD] * 500)) == 500
    with pytest.raises(DeliveryInvalidError) as caught:
        cloud(BATCH, [CLOUD] * 501)
    assert caught.value.flaw is Flaw.TOO_MANY_EVENTS
    assert cloud(BATCH, []) == []
    with pytest.raises(DeliveryInvalidError):
        cloud(BATCH, CLOUD)


@pytest.mark.skipif(importlib.util.find_spec("cloudevents") is None, reason="the SDK is not installed")
def test_what_the_sdk_sends_is_understood():
    from cloudevents.core.bindings.http import to_binary_event, to_structured_event  # noqa: PLC0415 - only here
    from cloudevents.core.v1.event import CloudEvent  # noqa: PLC0415

    attributes = {**CLOUD, "source": "/shop/å ü%", "userid": "4711", "time": NOW}
    messages = [make(CloudEvent(attributes, {"total": 12.5})) for make in (to_binary_event, to_structured_event)]
    one, other = ([event(raw) for raw in cloud(dict(each.headers), each.body)] for each in messages)
    assert one == other
    assert (one[0].user_id, one[0].properties, one[0].at) == ("4711", {"total": 12.5}, NOW)


# ---- whatever may come

KINDS = [each for each in SourceKind if each is not SourceKind.SEGMENT]
NAMES = """
id type data object customer email phone address name items price transactions refunds line_items amount
currency shop_domain customer_details billing_details default_address preferred_locales userId created
specversion source time total_price email_marketing_consent state consent_updated_at last4 card
payment_method_details identify track charge.succeeded customer.updated checkout.session.completed 1.0
"""
WORDS = st.sampled_from(NAMES.split())
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS | st.text()
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(), inner, max_size=8)
)
HEADER = st.dictionaries(
    st.sampled_from(["x-shopify-topic", "x-shopify-webhook-id", "webhook-id", "webhook-timestamp", "content-type"])
    | WORDS.map("ce-{}".format),
    st.sampled_from([*sorted(TOPICS), *STRUCTURED.values(), *BATCH.values(), "application/json", "1.0"])
    | st.text(st.characters(max_codepoint=255)),
)


@settings(max_examples=500, deadline=None)
@given(kind=st.sampled_from(KINDS), headers=HEADER, payload=JSON)
def test_whatever_json_comes_it_is_understood_or_refused(kind, headers, payload):
    try:
        delivery = delivered(kind, headers, json.dumps(payload).encode())
    except DeliveryInvalidError:
        return
    for raw in delivery.events:
        try:
            event(raw)
        except RejectedError:
            continue


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(KINDS), topic=st.sampled_from(sorted(TOPICS)), payload=st.dictionaries(WORDS, JSON))
def test_whatever_stands_in_a_payload_of_a_known_topic_it_is_understood_or_refused(kind, topic, payload):
    whole = {"id": 1, "type": "charge.succeeded", "customer": {"id": 7}, **payload, "data": {"object": payload}}
    test_whatever_json_comes_it_is_understood_or_refused.hypothesis.inner_test(
        kind, {"x-shopify-topic": topic}, whole
    )


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(KINDS), headers=HEADER, body=st.binary(max_size=64))
def test_whatever_bytes_come_they_are_understood_or_refused(kind, headers, body):
    try:
        delivered(kind, headers, body)
    except DeliveryInvalidError as error:
        context = error.__context__
    else:
        context = None
    assert context is None, "no words of a parser's, which may quote what was sent"
