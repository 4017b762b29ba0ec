"""What senders say, understood or rejected as a whole."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.collection.events import EventType, RejectedError, Rejection, corrected, merged, understood

RECEIVED = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)


def read(raw, **changed):
    arguments = {"received_at": RECEIVED, "sent_at": None, "new_id": lambda: "new", **changed}
    return understood(raw, **arguments)


def track(**changed):
    return {"type": "track", "event": "Product Viewed", "anonymousId": "a-1", "messageId": "m-1", **changed}


def rejected(raw, **changed):
    with pytest.raises(RejectedError) as caught:
        read(raw, **changed)
    return caught.value.rejection


def test_an_event_is_understood():
    event = read(track(userId=4711, properties={"sku": "A1"}, context={"library": {"name": "x"}}))
    assert (event.type, event.name, event.message_id) == (EventType.TRACK, "Product Viewed", "m-1")
    assert (event.user_id, event.anonymous_id) == ("4711", "a-1")
    assert event.properties == {"sku": "A1"}
    assert event.at == RECEIVED
    assert not event.clock_doubtful


def test_an_event_without_a_message_id_gets_one():
    assert read(track(messageId=None)).message_id == "new"
    assert read(track(messageId="")).message_id == "new"


@pytest.mark.parametrize(
    "nobody",
    [
        None,
        "",
        "  ",
        "null",
        "NULL",
        "undefined",
        "anonymous",
        "0",
        "0000",
        "00000000-0000-0000-0000-000000000000",
        True,
    ],
)
def test_ids_that_mean_nobody_are_none(nobody):
    event = read(track(userId=nobody))
    assert event.user_id is None
    assert rejected(track(anonymousId=nobody)) is Rejection.NO_ID


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([], Rejection.NOT_AN_OBJECT),
        ("text", Rejection.NOT_AN_OBJECT),
        (track(type="dance"), Rejection.UNKNOWN_TYPE),
        ({"anonymousId": "a"}, Rejection.UNKNOWN_TYPE),
        (track(event=None), Rejection.NO_NAME),
        (track(event=" "), Rejection.NO_NAME),
        (track(event="x" * 201), Rejection.NAME_TOO_LONG),
        (track(messageId="m" * 101), Rejection.MESSAGE_ID_TOO_LONG),
        (track(userId="u" * 257), Rejection.ID_TOO_LONG),
        (track(userId=1e308), Rejection.ID_TOO_LONG),
        (track(userId=1.5), Rejection.BAD_FIELD),
        (track(userId=float("nan")), Rejection.BAD_FIELD),
        (track(userId={"id": 1}), Rejection.BAD_FIELD),
        (track(properties=[1]), Rejection.BAD_FIELD),
        ({"type": "alias", "userId": "b"}, Rejection.NO_PREVIOUS_ID),
    ],
)
def test_what_cannot_be_understood_is_rejected_with_its_reason(raw, reason):
    assert rejected(raw) is reason


def test_a_message_id_of_a_hundred_characters_is_taken():
    assert read(track(messageId="m" * 100)).message_id == "m" * 100


def test_nesting_is_bounded():
    def nested(depth):
        value = {}
        for _ in range(depth - 1):
            value = {"a": value}
        return value

    assert read(track(properties=nested(16))).properties
    assert rejected(track(properties=nested(17))) is Rejection.TOO_DEEP
    assert rejected(track(context=json.loads("[" * 900 + "]" * 900) and {"a": nested(900)})) is Rejection.TOO_DEEP


def test_an_error_never_repeats_what_was_sent():
    with pytest.raises(RejectedError) as caught:
        read(track(userId="canary@example.org" * 20))
    assert "canary" not in str(caught.value)


def test_a_batch_s_context_lies_beneath_its_items():
    batch = {"context": {"ip": "1", "locale": "de"}, "integrations": {"All": False}}
    item = merged(batch, {"context": {"locale": "fr"}})
    assert item == {"context": {"ip": "1", "locale": "fr"}, "integrations": {"All": False}}
    assert merged(batch, "not an object") == "not an object"
    assert merged({}, {"a": 1}) == {"a": 1}


@given(
    off=st.timedeltas(timedelta(days=-4000), timedelta(days=4000)),
    waited=st.timedeltas(timedelta(0), timedelta(days=30)),
    travelled=st.timedeltas(timedelta(0), timedelta(seconds=60)),
)
def test_a_wrong_clock_cancels_out(off, waited, travelled):
    happened = RECEIVED - travelled - waited
    at, doubtful = corrected(None, happened + off, happened + waited + off, RECEIVED)
    assert not doubtful
    assert at == happened + travelled, "but for the time that it was on its way"


def test_a_time_that_cannot_be_gives_way_to_the_receipt():
    future = datetime(2999, 1, 1, tzinfo=UTC)
    assert corrected(future, None, None, RECEIVED) == (RECEIVED, True)
    assert corrected(datetime(1970, 1, 1, tzinfo=UTC), None, None, RECEIVED) == (RECEIVED, True)
    assert read(track(timestamp="30000-01-01T00:00:00Z")).at == RECEIVED
    assert read(track(timestamp=1e300)).at == RECEIVED
    near = RECEIVED + timedelta(hours=1)
    assert corrected(near, None, None, RECEIVED) == (RECEIVED, False), "nothing happens after it was told"


def test_what_happened_long_ago_keeps_its_time():
    assert read(track(timestamp="2019-03-01T10:00:00.000Z")).at == datetime(2019, 3, 1, 10, tzinfo=UTC)
    assert read(track(originalTimestamp="2019-03-01T10:00:00+02:00")).at == datetime(2019, 3, 1, 8, tzinfo=UTC)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["type", "event", "name", "userId", "anonymousId", "messageId", "timestamp", "context", "traits"]
)


@given(raw=JSON | st.dictionaries(FIELDS, JSON))
def test_whatever_is_sent_is_understood_or_rejected_and_never_more(raw):
    with contextlib.suppress(RejectedError):
        read(raw)
