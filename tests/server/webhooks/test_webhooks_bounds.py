"""How much is taken at once and how long it may take; and whatever bytes come, there is an answer."""

import asyncio
import gzip
import time

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.webhooks.bodies import MAX_BODY
from tests.server.webhooks.delivering import CLOUD, ORDER, SECRETS, shopify, standard, stripe, structured


def padded(size):
    body = b'{"type": "x", "userId": "u", "pad": "' + b"p" * (size - 39) + b'"}'
    assert len(body) == size
    return body


async def test_a_body_of_2_mb_is_taken_and_one_byte_more_is_not(hooks):
    assert (await hooks.deliver(*standard(padded(MAX_BODY)))).status_code == 200
    answer = await hooks.deliver(*standard(padded(MAX_BODY + 1)))
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
    _, body, headers = standard(padded(MAX_BODY + 1))
    answer = await hooks.deliver("/webhooks/nobody", body, headers)
    assert answer.status_code == 413, "the same whether or not there is such a source"


async def test_a_body_that_never_ends_is_left_after_8_mb(hooks):
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 65_536
            yield b"x" * 65_536

    path, _, headers = shopify(ORDER)
    answer = await hooks.client.post(path, content=endless(), headers=headers)
    assert answer.status_code == 413
    assert sent <= 4 * MAX_BODY + 2 * 65_536


async def test_a_compressed_body_is_not_what_was_signed(hooks):
    path, body, headers = shopify(ORDER)
    answer = await hooks.deliver(path, gzip.compress(body), headers, **{"content-encoding": "gzip"})
    assert (answer.status_code, answer.json()["code"]) == (415, "ENCODING_UNKNOWN")
    answer = await hooks.deliver(path, body, headers, **{"content-encoding": "identity"})
    assert answer.status_code == 200, "the control"


async def test_a_body_that_comes_too_slowly_is_given_up(hooks):
    one = hooks.made(body_seconds=0.1)

    async def slow():
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    began = time.monotonic()
    path, _, headers = shopify(ORDER)
    answer = await one.client.post(path, content=slow(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (408, "TOO_SLOW")
    assert time.monotonic() - began < 3


async def test_a_store_that_does_not_answer_is_told_within_the_time_that_shopify_waits(hooks):
    one = hooks.made(answer_seconds=0.2)
    one.kept.waits = asyncio.Event()
    began = time.monotonic()
    answer = await one.deliver(*shopify(ORDER))
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert "retry-after" in answer.headers
    assert time.monotonic() - began < 2
    assert one.kept.events == {}
    one.kept.waits.set()
    assert (await one.deliver(*shopify(ORDER))).status_code == 200


async def test_what_waits_to_be_stored_is_bounded_and_given_back(hooks):
    path, body, headers = shopify(ORDER)
    one = hooks.made(max_waiting=len(body) * 2)
    one.kept.waits = asyncio.Event()
    waiting = [asyncio.create_task(one.deliver(path, body, headers)) for _ in range(5)]
    done, pending = await asyncio.wait(waiting, timeout=0.5)
    assert {(each.result().status_code, each.result().json()["code"]) for each in done} == {(429, "BUSY")}
    assert (len(done), len(pending)) == (3, 2)
    one.kept.waits.set()
    assert {(await each).status_code for each in pending} == {200}
    assert (await one.deliver(path, body, headers)).status_code == 200


async def test_a_sender_that_goes_away_leaves_nothing(hooks):
    path, body, headers = shopify(ORDER)
    messages = iter([{"type": "http.request", "body": body[:10], "more_body": True}, {"type": "http.disconnect"}])
    sent = []

    async def receive():
        return next(messages)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await hooks.app(scope, receive, send)
    assert sent == []
    assert hooks.kept.events == {}


async def test_two_headers_of_one_name_are_not_mixed(hooks):
    path, body, headers = shopify(ORDER)
    name = "x-shopify-hmac-sha256"
    doubled = [*headers.items(), (name, headers[name])]
    assert (await hooks.client.post(path, content=body, headers=doubled)).status_code == 401
    assert (await hooks.client.post(path, content=body, headers=[*headers.items()])).status_code == 200


NAMES = """
x-shopify-hmac-sha256 x-shopify-topic stripe-signature webhook-id webhook-timestamp webhook-signature
authorization content-type content-encoding ce-id ce-specversion
"""
ANY = st.dictionaries(
    st.sampled_from(NAMES.split()),
    st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\r\n\0")),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([*SECRETS, "nobody"]) | st.text(max_size=20),
    headers=ANY,
    body=st.binary(max_size=300),
)
async def test_whatever_bytes_come_unsigned_they_are_refused(hooks, name, headers, body):
    path = httpx.URL("http://confide.example/webhooks/").join(
        "/webhooks/" + "".join(f"%{b:02x}" for b in name.encode())
    )
    answer = await hooks.client.post(path, content=body, headers=[(k.encode(), v) for k, v in headers.items()])
    assert answer.status_code in (400, 401, 404, 415)
    assert hooks.kept.events == {}


WORDS = st.sampled_from(
    [b'{"id":1,"customer":', b"[", b"]", b"{", b"}", b'"type":"charge.succeeded"', b",", b"1e999"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sign=st.sampled_from([shopify, stripe, standard, structured]),
    body=st.binary(max_size=100) | st.lists(WORDS, max_size=30).map(b"".join),
)
async def test_whatever_bytes_come_signed_they_are_taken_or_refused_and_never_fail(hooks, sign, body):
    answer = await hooks.deliver(*sign(body))
    assert answer.status_code in (200, 400, 415)


async def test_the_work_for_an_unknown_source_is_that_for_a_known_one(hooks):
    """Not a proof, a guard: the medians of many are less than a factor of two apart for a body of 2 MB."""
    body = padded(MAX_BODY)
    _, _, headers = standard(body)
    wrong = {**headers, "webhook-signature": "v1," + "A" * 43 + "="}

    async def median(path):
        seconds = []
        for _ in range(9):
            began = time.perf_counter()
            assert (await hooks.deliver(path, body, wrong)).status_code == 401
            seconds.append(time.perf_counter() - began)
        return sorted(seconds)[4]

    known, unknown = await median("/webhooks/tickets"), await median("/webhooks/nobody")
    assert 0.5 < known / unknown < 2


async def test_a_cloudevent_is_large_or_small_by_the_same_rule(hooks):
    answer = await hooks.deliver(*structured({**CLOUD, "data": {"userId": "u", "pad": "p" * MAX_BODY}}))
    assert answer.status_code == 413
