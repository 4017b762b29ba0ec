"""What is no request for events: each kind gets a clear answer, and nothing of it is stored."""

import gzip
import json
import time
import zlib

import pytest

from customers.collection.events import Rejection
from server.collection.bodies import MAX_BODY, Unpacking
from server.collection.errors import CollectionRefusedError, Problem
from server.collection.payload import MAX_EVENT, MAX_EVENTS
from tests.server.collection.sending import body_of, post, told, track

CANARY = "anna.canary@example.org"


def batch_with(inner):
    """A batch whose first event has this, raw, as its properties."""
    return b'{"batch": [{"type": "track", "event": "A", "userId": "u-1", "properties": ' + inner + b"}]}"


NO_JSON = {
    "empty": b"",
    "one byte": b"{",
    "cut off": body_of(track())[:-1],
    "more than one": body_of(track()) * 2,
    "NaN": batch_with(b'{"price": NaN}'),
    "Infinity": batch_with(b'{"price": -Infinity}'),
    "single quotes": b"{'batch': []}",
    "a comma too many": b'{"batch": [],}',
    "a comment": b'{"batch": [] /* nothing */}',
    "leading zeros": batch_with(b'{"price": 007}'),
    "a NUL": batch_with(b'{"name": "a\x00b"}'),
    "a line break in a text": batch_with(b'{"name": "a\nb"}'),
    "an unknown escape": batch_with(rb'{"name": "\x41"}'),
    "a cut escape": batch_with(rb'{"name": "\u12"}'),
    "a form": b"data=eyJiYXRjaCI6W119&writeKey=x",
    "base64": b"eyJiYXRjaCI6W119",
    "XML": b"<batch/>",
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track"])
@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
async def test_what_is_no_json_is_refused_as_a_whole(collection, content, path):
    assert told(await post(collection, content, path)) == (400, "NOT_JSON")
    assert told(await post(collection, gzip.compress(content), path)) == (400, "NOT_JSON")
    assert collection.kept.events == collection.kept.rejected == []


@pytest.mark.parametrize(
    "content",
    [
        batch_with(b'{"name": "\xff"}'),
        batch_with(b'{"name": "\xed\xa0\xbd"}'),
        b'{"\xc3": 1, "batch": []}',
        json.dumps({"batch": [track()]}).encode("utf-16"),
        json.dumps({"batch": [track("Größe")]}, ensure_ascii=False).encode("latin-1"),
    ],
    ids=["a stray byte", "half a character", "in a name that is ignored", "UTF-16", "Latin-1"],
)
async def test_what_is_not_utf8_is_refused_as_a_whole(collection, content):
    assert told(await post(collection, content)) == (400, "NOT_UTF8")
    assert collection.kept.events == collection.kept.rejected == []


async def test_a_byte_order_mark_is_no_fault(collection):
    assert (await post(collection, b"\xef\xbb\xbf" + body_of(track("Größe")))).status_code == 200
    assert collection.kept.names == ["Größe"]


async def test_a_character_cut_in_two_becomes_the_mark_for_one_that_is_lost(collection):
    """What scripts that shorten a text make of an emoji; the rest of the batch is not lost for it."""
    halves = rb'{"a": "x\ud83d", "b": "\ude00y", "c": "\ud83d\ude00", "d": "\\ud83d", "e": "\\\uD83D\u0041"}'
    assert (await post(collection, batch_with(halves))).status_code == 200
    ((_, event),) = collection.kept.events
    assert event.properties == {"a": "x\ufffd", "b": "\ufffdy", "c": "\U0001f600", "d": r"\ud83d", "e": "\\\ufffdA"}


@pytest.mark.parametrize("inner", [b"[" * 200_000, b'{"a":' * 90_000, b"[" * 5000 + b"]" * 5000])
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b"])
async def test_json_too_deep_to_be_read_is_refused(collection, inner, path):
    assert told(await post(collection, batch_with(inner), path)) == (400, "TOO_DEEP")
    assert collection.kept.events == []


async def test_json_deeper_than_is_understood_is_the_events_own_fault(collection):
    deep = json.loads("[" * 40 + "]" * 40)
    assert (await post(collection, body_of(track("A", properties={"a": deep}), track("B")))).status_code == 200
    assert collection.kept.names == ["B"]
    assert collection.kept.rejected == [("till", Rejection.TOO_DEEP)]


@pytest.mark.parametrize("number", [b"1e400", b"-1e999", b"9" * 5000])
async def test_a_number_that_no_machine_holds_is_its_events_own_fault(collection, number):
    content = batch_with(b'{"price": ' + number + b"}")[:-2] + b', {"type": "track", "event": "B", "userId": "u"}]}'
    assert (await post(collection, content)).status_code == 200
    assert collection.kept.names == ["B"]
    assert collection.kept.rejected == [("till", Rejection.BAD_FIELD)]
    alone = b'{"event": "A", "userId": "u", "properties": {"price": ' + number + b"}}"
    assert (await post(collection, alone, "/v1/track")).status_code == 200
    assert collection.kept.rejected[1:] == [("till", Rejection.BAD_FIELD)]
    beside = b'{"sentAt": ' + number + b', "batch": []}'
    assert told(await post(collection, beside)) == (400, "NUMBER_TOO_LARGE")


async def test_where_a_name_stands_twice_the_last_counts(collection):
    content = (
        b'{"batch": [{"type": "track", "event": "Lost", "userId": "u"}], "writeKey": "wk_nobodys", "writeKey": "'
        + collection.till.encode()
        + b'", "batch": [{"type": "page", "type": "track", "event": "First", "event": "Last", "userId": "u"}]}'
    )
    assert (await post(collection, content, key=None)).status_code == 200
    assert collection.kept.names == ["Last"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x1f\x8b",
        b"\x1f\x8b\x08\x00" + b"\xff" * 50,
        gzip.compress(body_of(track()))[:-1],
        gzip.compress(body_of(track()))[:30],
        gzip.compress(body_of(track())) + b"more",
        gzip.compress(body_of(track())) + gzip.compress(b" "),
        gzip.compress(body_of(track()))[:-8] + b"\0" * 8,
    ],
    ids=["its beginning", "nonsense", "cut off", "cut short", "followed by bytes", "two members", "wrong checksum"],
)
async def test_broken_gzip_is_refused(collection, content):
    assert told(await post(collection, content)) == (400, "GZIP_BROKEN")
    assert told(await post(collection, content, content_encoding="gzip")) == (400, "GZIP_BROKEN")
    assert collection.kept.events == []


async def test_what_says_that_it_is_compressed_must_be(collection):
    assert told(await post(collection, body_of(track()), content_encoding="gzip")) == (400, "GZIP_BROKEN")
    assert told(await post(collection, b"", content_encoding="gzip")) == (400, "GZIP_BROKEN")
    twice = gzip.compress(gzip.compress(body_of(track())))
    assert told(await post(collection, twice))[0] == 400
    assert (await post(collection, body_of(track()), content_encoding="identity")).status_code == 200


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x"])
async def test_other_encodings_are_refused(collection, encoding):
    content = zlib.compress(body_of(track()))
    assert told(await post(collection, content, content_encoding=encoding)) == (415, "ENCODING_UNKNOWN")


async def test_a_gzip_bomb_is_given_up_at_the_limit(collection):
    bomb = gzip.compress(b" " * (300 * 1024 * 1024))
    assert len(bomb) < MAX_BODY
    began = time.perf_counter()
    assert told(await post(collection, bomb)) == (413, "BODY_TOO_LARGE")
    assert time.perf_counter() - began < 1.0, "it was not unpacked to its end"


def in_parts(unpacking, content, size):
    for at in range(0, len(content), size):
        unpacking.add(content[at : at + size])


def test_unpacking_never_holds_more_than_the_limit_and_a_byte():
    bomb = gzip.compress(b" " * (300 * 1024 * 1024))
    unpacking = Unpacking(said=True)
    with pytest.raises(CollectionRefusedError) as caught:
        in_parts(unpacking, bomb, 4096)
    assert caught.value.problem is Problem.BODY_TOO_LARGE
    assert sum(map(len, unpacking._parts)) <= MAX_BODY
    assert unpacking._received <= 4096, "a few bytes show it"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_body_may_come_in_parts_of_any_size(size):
    for content, said in ((body_of(track()), False), (gzip.compress(body_of(track())), True)):
        unpacking = Unpacking(said=said)
        in_parts(unpacking, content, size)
        assert unpacking.whole() == body_of(track())


def padded(size):
    """A batch of exactly so many bytes, of events that are small."""
    events = [track(messageId=f"{number}") for number in range(1000)]
    content = body_of(*events)
    return content[:-1] + b" " * (size - len(content)) + content[-1:]


async def test_a_body_of_500_kb_is_taken_and_a_byte_more_is_not(collection):
    for pack in (lambda content: content, gzip.compress):
        collection.kept.events.clear()
        assert (await post(collection, pack(padded(MAX_BODY)))).status_code == 200
        assert len(collection.kept.events) == 1000
        assert told(await post(collection, pack(padded(MAX_BODY + 1)))) == (413, "BODY_TOO_LARGE")
    assert len(collection.kept.events) == 1000


async def test_2500_events_are_taken_and_one_more_is_not(collection):
    event = {"type": "page", "userId": "u"}
    assert (await post(collection, body_of(*[event] * MAX_EVENTS))).status_code == 200
    assert len(collection.kept.events) == MAX_EVENTS
    assert told(await post(collection, body_of(*[event] * (MAX_EVENTS + 1)))) == (400, "TOO_MANY_EVENTS")
    assert len(collection.kept.events) == MAX_EVENTS


def sized(size, **more):
    event = track(properties={"x": ""}, **more)
    event["properties"]["x"] = "y" * (size - len(json.dumps(event)))
    return event


async def test_an_event_of_32_kb_is_taken_and_a_byte_more_is_not(collection):
    assert (await post(collection, sized(MAX_EVENT), "/v1/track")).status_code == 200
    assert told(await post(collection, sized(MAX_EVENT + 1), "/v1/track")) == (400, "EVENT_TOO_LARGE")
    assert told(await post(collection, b"[" * (MAX_EVENT + 1), "/v1/track")) == (400, "TOO_DEEP")
    assert len(collection.kept.events) == 1
    response = await post(collection, body_of(sized(MAX_EVENT, messageId="a"), sized(MAX_EVENT + 1, messageId="b")))
    assert response.status_code == 200
    assert [event.message_id for _, event in collection.kept.events[1:]] == ["a"]
    assert collection.kept.rejected == [("till", Rejection.TOO_LARGE)]


def sharing(lists):
    """As many events as may be, which share a context."""
    whole = {"batch": [{"type": "page", "userId": "u"}] * MAX_EVENTS, "context": {"a": [[]] * lists}}
    return gzip.compress(json.dumps(whole, separators=(",", ":")).encode())


@pytest.mark.parametrize("lists", [140_000, 5_000], ids=["too large", "too often"])
async def test_a_context_is_bounded_with_what_it_comes_to_for_all_events_of_its_batch(collection, lists):
    content = sharing(lists)
    assert len(content) < 5_000
    began = time.process_time()
    assert (await post(collection, content)).status_code == 200
    assert time.process_time() - began < 2, "it took two minutes when each event was looked through with it"
    assert collection.kept.events == []
    assert collection.kept.rejected == [("till", Rejection.TOO_LARGE)] * MAX_EVENTS


async def test_a_context_that_many_events_share_is_taken_with_each(collection):
    """The negative control."""
    assert (await post(collection, sharing(1_000))).status_code == 200
    assert len(collection.kept.events) == MAX_EVENTS


async def test_dates_far_away_become_the_time_of_receipt(collection):
    for moment in ("30000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", 10**30, -(10**30), "soon", {"a": 1}):
        await post(collection, body_of(track(timestamp=moment, originalTimestamp=moment), sentAt=moment))
    assert {event.at for _, event in collection.kept.events} == {collection.kept.events[0][1].received_at}
    assert len(collection.kept.events) == 6


async def test_no_answer_repeats_what_was_sent(collection):
    odd = json.dumps({"batch": [track(CANARY)], "writeKey": CANARY})
    for content, headers in (
        (odd[:-1].encode(), {}),
        (odd.encode(), {}),
        (odd.encode(), {"authorization": f"Bearer {CANARY}"}),
        (odd.encode(), {"origin": f"https://{CANARY}"}),
        (odd.encode(), {"content_encoding": CANARY}),
    ):
        response = await post(collection, content, key=None, **headers)
        assert response.status_code >= 400
        assert CANARY not in response.text
        assert CANARY not in str(response.headers)
    response = await collection.client.get(f"/v1/projects/{CANARY}/settings")
    assert response.status_code == 404
    assert CANARY not in response.text
