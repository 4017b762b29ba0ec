"""What a sender of webhooks is told, and what is stored by then."""

import asyncio
import json
from datetime import timedelta

import pytest

from customers.collection.sources import SourceKind
from customers.collection.webhooks import RequestKind
from customers.errors import IntakeBusyError
from tests.server.webhooks.delivering import (
    CHARGE,
    CLOUD,
    ORDER,
    SECONDS,
    SHOPIFY_SECRET,
    TICKET,
    shopify,
    standard,
    stripe,
    structured,
)

SENT = {
    "shopify": (shopify, ORDER, ["identify", "Order Completed"]),
    "stripe": (stripe, CHARGE, ["Charge Succeeded"]),
    "standard": (standard, TICKET, ["ticket.closed"]),
    "cloudevents": (structured, CLOUD, ["order"]),
}
every = pytest.mark.parametrize("sender", SENT)


def code(answer):
    return answer.json()["code"]


@every
async def test_what_is_signed_rightly_is_taken_and_answered_when_it_is_stored(hooks, sender):
    sign, payload, names = SENT[sender]
    answer = await hooks.deliver(*sign(payload))
    assert (answer.status_code, answer.json()) == (200, {"success": True, "taken": len(names)})
    assert hooks.kept.names == names


@every
async def test_one_bit_of_the_body_or_of_the_signature_and_nothing_is_taken(hooks, sender):
    sign, payload, _ = SENT[sender]
    path, body, headers = sign(payload)
    changed = body.replace(b"1", b"2", 1) if b"1" in body else body + b" "
    answers = [await hooks.deliver(path, each, headers) for each in (changed, body + b" ", body[:-1], b"")]
    answers.append(await hooks.deliver(path, body, {}))
    answers.append(await hooks.deliver(*sign(payload)[:2], {name: value[::-1] for name, value in headers.items()}))
    assert {(answer.status_code, code(answer)) for answer in answers} == {(401, "SIGNATURE_REFUSED")}
    assert hooks.kept.events == {}


@every
async def test_an_unknown_source_is_answered_as_a_wrong_signature_is_to_the_byte(hooks, sender):
    sign, payload, _ = SENT[sender]
    _, body, headers = sign(payload)
    await hooks.sources.create("site")
    await hooks.sources.create("nosecret", kind=SourceKind.SHOPIFY)
    path = sign(payload)[0]
    wrong = await hooks.deliver(path, body + b" ", headers)
    names = ("nobody", "site", "nosecret", "x" * 300, "%00", "%F0%9F%92%BE", "-")
    for name in names:
        answer = await hooks.deliver(f"/webhooks/{name}", body, headers)
        assert (answer.status_code, answer.content, answer.headers) == (401, wrong.content, wrong.headers), name
    await hooks.sources.disable(path.removeprefix("/webhooks/"))
    answer = await hooks.deliver(path, body, headers)
    assert (answer.content, answer.headers) == (wrong.content, wrong.headers)
    assert hooks.kept.events == {}


@pytest.mark.parametrize(("sign", "payload"), [(stripe, CHARGE), (standard, TICKET), (structured, CLOUD)])
@pytest.mark.parametrize("away", [-301, 301, -86_400])
async def test_a_delivery_that_was_signed_too_long_ago_is_told_so(hooks, sign, payload, away):
    answer = await hooks.deliver(*sign(payload, seconds=SECONDS + away))
    assert (answer.status_code, code(answer)) == (400, "TIMESTAMP_OUT_OF_RANGE")
    _, body, headers = sign(payload, seconds=SECONDS + away)
    answer = await hooks.deliver("/webhooks/nobody", body, headers)
    assert (answer.status_code, code(answer)) == (401, "SIGNATURE_REFUSED"), "not to who has no right to know"
    assert hooks.kept.events == {}
    assert (await hooks.deliver(*sign(payload, seconds=SECONDS + 300))).status_code == 200, "the control"


async def test_a_secret_of_another_source_opens_nothing(hooks):
    await hooks.sources.create("second", kind=SourceKind.SHOPIFY)
    await hooks.sources.set_secret("second", SHOPIFY_SECRET[::-1], grace=timedelta(0))
    _, body, headers = shopify(ORDER)
    assert (await hooks.deliver("/webhooks/second", body, headers)).status_code == 401
    _, body, headers = shopify(ORDER, secret=SHOPIFY_SECRET[::-1])
    assert (await hooks.deliver("/webhooks/second", body, headers)).status_code == 200, "the control"


async def test_while_a_secret_is_changed_both_are_good(hooks):
    await hooks.sources.set_secret("records", "shpss_the_next_secret", grace=timedelta(hours=1))
    for number, secret in enumerate((SHOPIFY_SECRET, "shpss_the_next_secret")):
        assert (await hooks.deliver(*shopify(ORDER, secret=secret, name=f"w-{number}"))).status_code == 200
    assert (await hooks.deliver(*shopify(ORDER, secret="shpss_never_a_secret"))).status_code == 401


@every
async def test_a_thousand_deliveries_at_once_are_one(hooks, sender):
    sign, payload, names = SENT[sender]
    answers = await asyncio.gather(*(hooks.deliver(*sign(payload)) for _ in range(1000)))
    assert {answer.status_code for answer in answers} == {200}
    assert hooks.kept.names == names


# ---- CloudEvents


async def test_a_cloudevent_in_headers_needs_the_key_for_no_signature_covers_them(hooks):
    path, body, headers = structured({"userId": "u-1"})
    attributes = {f"ce-{name}": CLOUD[name] for name in ("specversion", "id", "source", "type")}
    binary = {**headers, **attributes, "content-type": "application/json"}
    answer = await hooks.deliver(path, body, binary)
    assert (answer.status_code, code(answer)) == (401, "SIGNATURE_REFUSED")
    answer = await hooks.deliver(path, body, binary, authorization=f"Bearer {hooks.keys['cloud']}")
    assert answer.status_code == 200
    for key in (hooks.keys["tickets"], "", "wk_wrong"):
        answer = await hooks.deliver(path, body, binary, authorization=f"Bearer {key}")
        assert answer.status_code == 401
    assert hooks.kept.names == ["order"]


async def test_a_write_key_opens_no_source_that_signs(hooks):
    _, body, _ = shopify(ORDER)
    for name in ("records", "payments", "tickets"):
        answer = await hooks.deliver(f"/webhooks/{name}", body, {"authorization": f"Bearer {hooks.keys[name]}"})
        assert answer.status_code == 401


async def test_a_batch_is_taken_but_for_what_is_none(hooks):
    batch = [{**CLOUD, "id": f"A-{number}"} for number in range(3)] + [{**CLOUD, "specversion": "2"}]
    path, body, headers = structured(batch)
    answer = await hooks.deliver(path, body, {**headers, "content-type": "application/cloudevents-batch+json"})
    assert (answer.status_code, answer.json()["taken"]) == (200, 4)
    assert (len(hooks.kept.events), len(hooks.kept.rejected)) == (3, 1)


async def test_who_asks_whether_events_are_expected_is_told_yes_wherever_it_asks(hooks):
    told = [
        await hooks.client.options(f"/webhooks/{name}", headers={"webhook-request-origin": "events.example"})
        for name in ("cloud", "nobody")
    ]
    assert told[0].headers == told[1].headers
    assert (told[0].status_code, told[0].headers["webhook-allowed-origin"]) == (200, "*")
    plain = await hooks.client.options("/webhooks/cloud")
    assert "webhook-allowed-origin" not in plain.headers


# ---- privacy requests


async def test_a_privacy_request_is_acknowledged_when_it_is_kept_and_not_before(hooks):
    payload = {"shop_domain": "records.example", "customer": {"id": 4711}, "orders_to_redact": []}
    sent = shopify(payload, topic="customers/redact")
    hooks.requests.fails = OSError()
    answer = await hooks.deliver(*sent)
    assert (answer.status_code, code(answer)) == (503, "UNAVAILABLE")
    assert "retry-after" in answer.headers
    hooks.requests.fails = None
    for _ in range(3):
        assert (await hooks.deliver(*sent)).status_code == 200
    assert [each.kind for each in hooks.requests.requests.values()] == [RequestKind.ERASURE]
    assert hooks.kept.events == {}


async def test_a_privacy_request_in_another_form_is_not_acknowledged(hooks):
    answer = await hooks.deliver(*shopify(ORDER, topic="customers/redact"))
    assert (answer.status_code, code(answer)) == (400, "NOT_UNDERSTOOD")
    assert hooks.requests.requests == {}


# ---- what else may come


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", 400, "NOT_JSON"),
        (b"{", 400, "NOT_JSON"),
        (b'{"a": NaN}', 400, "NOT_JSON"),
        (b"\xff\xfe", 400, "NOT_JSON"),
        (b"[" * 50_000, 400, "NOT_JSON"),
        (b"[]", 400, "NOT_UNDERSTOOD"),
        (b"1.5", 400, "NOT_UNDERSTOOD"),
    ],
)
@pytest.mark.parametrize("sign", [shopify, stripe, standard])
async def test_what_is_signed_and_is_nothing_is_told_so(hooks, sign, body, status, expected):
    answer = await hooks.deliver(*sign(body))
    assert (answer.status_code, code(answer)) == (status, expected)
    assert hooks.kept.events == {}


@every
async def test_what_is_signed_and_is_about_nobody_is_taken_and_stored_nowhere(hooks, sender):
    sign, _, _ = SENT[sender]
    payload = {"stripe": {"id": "evt_2", "type": "balance.available"}, "cloudevents": {**CLOUD, "data": None}}
    answer = await hooks.deliver(*sign(payload.get(sender, {"hello": "world"})))
    assert answer.status_code == 200
    assert hooks.kept.events == {}


async def test_only_post_and_only_one_name(hooks):
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        answer = await hooks.client.request(method, "/webhooks/records")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
    for path in ("/webhooks", "/webhooks/", "/webhooks/records/more"):
        answer = await hooks.client.post(path, content=b"{}")
        assert (answer.status_code, code(answer)) == (404, "NOT_FOUND")


async def test_no_answer_repeats_what_was_sent(hooks):
    canary = "Zanzibar4711"
    for sign in (shopify, stripe, standard, structured):
        for body in (json.dumps(canary).encode(), f'{{"{canary}": }}'.encode(), f'{{"type": "{canary}"}}'.encode()):
            path, _, headers = sign(body)
            for where in (path, f"/webhooks/{canary}"):
                answer = await hooks.deliver(where, body, {**headers, "x-shopify-topic": canary})
                assert canary not in answer.text
                assert canary not in str(answer.headers)


async def test_busy_and_broken_are_told_so_that_senders_try_again(hooks):
    hooks.kept.fails = IntakeBusyError(7.2)
    answer = await hooks.deliver(*shopify(ORDER))
    assert (answer.status_code, code(answer), answer.headers["retry-after"]) == (429, "BUSY", "8")
    hooks.kept.fails = OSError("Zanzibar4711")
    answer = await hooks.deliver(*shopify(ORDER))
    assert (answer.status_code, code(answer), answer.headers["retry-after"]) == (503, "UNAVAILABLE", "2")
    hooks.kept.fails = RuntimeError("Zanzibar4711")
    answer = await hooks.deliver(*shopify(ORDER))
    assert (answer.status_code, code(answer), answer.headers["retry-after"]) == (500, "INTERNAL", "2")
    assert "Zanzibar" not in answer.text
    hooks.kept.fails = None
    assert (await hooks.deliver(*shopify(ORDER))).status_code == 200
