"""Signatures of webhooks, held against the senders' own vectors and libraries."""

import base64
import hmac
import importlib.util
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.collection.sources import SourceKind, signing_key
from customers.collection.webhooks import Judgement, judged, kind_of
from customers.errors import InputInvalidError

NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
BODY = b'{"id": 1}'

# https://github.com/standard-webhooks/standard-webhooks, spec and libraries.
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_TIME = 1614265330
STANDARD_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(STANDARD_TIME),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_KEY = signing_key(SourceKind.STANDARD_WEBHOOKS, STANDARD_SECRET)

# Made with stripe 16.1.0 for Python: WebhookSignature.generate_signature_header.
STRIPE_SECRET = "whsec_test_secret"
STRIPE_BODY = b'{"id":"evt_1","object":"event","type":"ping"}'
STRIPE_TIME = 1700000000
STRIPE_SIGNATURE = "6be5a5272ac29cc8843de27b9962b1a10af9028a4d15ce8768ae394567d7afa0"
STRIPE_KEY = STRIPE_SECRET.encode()

# Shopify publishes none; this one is of SQLPage's documentation of its function hmac.
SHOPIFY_KEY = b"test-webhook-secret"
SHOPIFY_BODY = b'{"id":1234567890,"email":"customer@example.com","total_price":"123.45"}'
SHOPIFY_SIGNATURE = "QNyObTlKbMx2qDlPF/ZOZcBqg5OgPg+2oky3zldc0Gw="


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def standard(headers=None, *, body=STANDARD_BODY, keys=(STANDARD_KEY,), seconds=STANDARD_TIME):
    return judged(SourceKind.STANDARD_WEBHOOKS, {**STANDARD_HEADERS, **(headers or {})}, body, keys, moment(seconds))


def stripe(header, *, body=STRIPE_BODY, keys=(STRIPE_KEY,), seconds=STRIPE_TIME):
    return judged(SourceKind.STRIPE, {"stripe-signature": header}, body, keys, moment(seconds))


def shopify(signature, *, body=SHOPIFY_BODY, keys=(SHOPIFY_KEY,)):
    return judged(SourceKind.SHOPIFY, {"x-shopify-hmac-sha256": signature}, body, keys, NOW)


def test_the_vector_of_standard_webhooks_is_good_and_with_one_bit_changed_it_is_not():
    assert standard() is Judgement.GOOD
    assert standard(body=STANDARD_BODY.replace(b"4", b"5", 1)) is Judgement.REFUSED
    assert standard({"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJel"}) is Judgement.REFUSED
    assert standard({"webhook-timestamp": str(STANDARD_TIME + 1)}) is Judgement.REFUSED
    assert standard({"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA="}) is Judgement.REFUSED


def test_the_vector_of_stripe_is_good_and_with_one_bit_changed_it_is_not():
    assert stripe(f"t={STRIPE_TIME},v1={STRIPE_SIGNATURE}") is Judgement.GOOD
    assert stripe(f"t={STRIPE_TIME},v1={STRIPE_SIGNATURE[:-1]}1") is Judgement.REFUSED
    assert stripe(f"t={STRIPE_TIME + 1},v1={STRIPE_SIGNATURE}") is Judgement.REFUSED
    assert stripe(f"t={STRIPE_TIME},v1={STRIPE_SIGNATURE}", body=STRIPE_BODY + b" ") is Judgement.REFUSED


def test_the_vector_of_shopify_is_good_and_with_one_bit_changed_it_is_not():
    assert shopify(SHOPIFY_SIGNATURE) is Judgement.GOOD
    assert shopify(SHOPIFY_SIGNATURE, body=SHOPIFY_BODY.replace(b"123.45", b"123.46")) is Judgement.REFUSED
    assert shopify(SHOPIFY_SIGNATURE.replace("Q", "R", 1)) is Judgement.REFUSED
    assert shopify("") is Judgement.REFUSED


@pytest.mark.parametrize("away", [-300, -299, 0, 299, 300])
def test_a_delivery_is_good_for_300_seconds_by_either_clock(away):
    assert standard(seconds=STANDARD_TIME + away) is Judgement.GOOD
    assert stripe(f"t={STRIPE_TIME},v1={STRIPE_SIGNATURE}", seconds=STRIPE_TIME + away) is Judgement.GOOD


@pytest.mark.parametrize("away", [-86_400, -301, 301, 86_400, 86_400 * 365])
def test_a_delivery_from_further_away_is_told_so_only_if_its_signature_is_good(away):
    assert standard(seconds=STANDARD_TIME + away) is Judgement.TIME_OFF
    assert stripe(f"t={STRIPE_TIME},v1={STRIPE_SIGNATURE}", seconds=STRIPE_TIME + away) is Judgement.TIME_OFF
    assert standard(seconds=STANDARD_TIME + away, keys=(b"x" * 24,)) is Judgement.REFUSED
    assert stripe(f"t={STRIPE_TIME},v1={STRIPE_SIGNATURE}", seconds=STRIPE_TIME + away, keys=()) is Judgement.REFUSED


def test_of_several_signatures_and_of_two_keys_one_that_fits_is_enough():
    wrong = base64.b64encode(bytes(32)).decode()
    listed = f"v1,{wrong} v1a,{wrong} v2,{wrong} {STANDARD_HEADERS['webhook-signature']}"
    assert standard({"webhook-signature": listed}) is Judgement.GOOD
    assert standard(keys=(b"x" * 24, STANDARD_KEY)) is Judgement.GOOD
    header = f"t={STRIPE_TIME},v0={'0' * 64},v1={'0' * 64},v1={STRIPE_SIGNATURE}"
    assert stripe(header, keys=(b"new", STRIPE_KEY)) is Judgement.GOOD
    assert stripe(header, keys=(b"new", b"other")) is Judgement.REFUSED, "the control"
    assert stripe(f"t={STRIPE_TIME},v0={STRIPE_SIGNATURE}") is Judgement.REFUSED, "another scheme is none"
    versioned = STANDARD_HEADERS["webhook-signature"].replace("v1,", "v2,")
    assert standard({"webhook-signature": versioned}) is Judgement.REFUSED


@pytest.mark.parametrize("kind", [each for each in SourceKind if each is not SourceKind.SEGMENT])
def test_the_key_that_nobody_has_opens_nothing(kind):
    def sign(before):
        return hmac.digest(bytes(32), before + BODY, "sha256")

    seconds = int(NOW.timestamp())
    headers = {
        "x-shopify-hmac-sha256": base64.b64encode(sign(b"")).decode(),
        "stripe-signature": f"t={seconds},v1={sign(b'%d.' % seconds).hex()}",
        "webhook-id": "m",
        "webhook-timestamp": str(seconds),
        "webhook-signature": "v1," + base64.b64encode(sign(b"m.%d." % seconds)).decode(),
    }
    assert judged(kind, headers, BODY, (), NOW) is Judgement.REFUSED
    assert judged(kind, headers, BODY, (b"another" * 4,), NOW) is Judgement.REFUSED
    assert judged(kind, headers, BODY, (bytes(32),), NOW) is Judgement.GOOD, "the control: these signatures are right"


def test_an_empty_signature_is_none():
    assert shopify("", keys=()) is Judgement.REFUSED
    assert standard({"webhook-signature": "v1,"}) is Judgement.REFUSED
    assert stripe(f"t={STRIPE_TIME},v1=") is Judgement.REFUSED


def test_two_headers_of_one_name_are_refused():
    header = f"t={STRIPE_TIME},v1={STRIPE_SIGNATURE}"
    assert stripe(f"{header},{header}") is Judgement.REFUSED
    assert shopify(f"{SHOPIFY_SIGNATURE},{SHOPIFY_SIGNATURE}") is Judgement.REFUSED


def test_a_body_that_begins_with_a_time_does_not_move_the_border_of_what_is_signed():
    signed = hmac.digest(STANDARD_KEY, b"m.1.2.{}", "sha256")
    headers = {"webhook-signature": "v1," + base64.b64encode(signed).decode(), "webhook-timestamp": "1.2"}
    assert standard({**headers, "webhook-id": "m"}, body=b"{}", seconds=1) is Judgement.REFUSED
    assert (
        standard({**headers, "webhook-id": "m", "webhook-timestamp": "1"}, body=b"2.{}", seconds=1) is Judgement.GOOD
    )


NAMES = ("x-shopify-hmac-sha256", "stripe-signature", "webhook-id", "webhook-timestamp", "webhook-signature")
VALUES = st.text(st.characters(max_codepoint=255), max_size=200) | st.sampled_from(
    [*STANDARD_HEADERS.values(), f"t={STRIPE_TIME},v1={STRIPE_SIGNATURE}", "t=1,t=2,v1=", "v1,=", "t", "=", "٣"]
)


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from([each for each in SourceKind if each is not SourceKind.SEGMENT]),
    headers=st.dictionaries(st.sampled_from(NAMES), VALUES),
    body=st.binary(max_size=200),
)
def test_whatever_the_headers_hold_there_is_an_answer_and_it_is_no(kind, headers, body):
    assert judged(kind, headers, body, (b"k" * 32, b"l" * 32), NOW) is Judgement.REFUSED
    assert kind_of(headers) in SourceKind


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        (SourceKind.SEGMENT, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (SourceKind.SHOPIFY, "short"),
        (SourceKind.SHOPIFY, "with a space in the middle"),
        (SourceKind.SHOPIFY, "ünicode-is-not-a-secret"),
        (SourceKind.STRIPE, "x" * 257),
        (SourceKind.STANDARD_WEBHOOKS, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        (SourceKind.STANDARD_WEBHOOKS, "whsec_" + base64.b64encode(b"x" * 23).decode()),
        (SourceKind.STANDARD_WEBHOOKS, "whsec_" + base64.b64encode(b"x" * 65).decode()),
        (SourceKind.CLOUDEVENTS, "whsec_!!!"),
    ],
)
def test_what_cannot_be_a_secret_is_refused_and_not_repeated(kind, secret):
    with pytest.raises(InputInvalidError) as caught:
        signing_key(kind, secret)
    assert secret not in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("stripe") is None, reason="the sender's library is not installed")
def test_what_the_library_of_stripe_signs_is_good():
    from stripe import WebhookSignature  # noqa: PLC0415 - 17 MB, and only here

    header = WebhookSignature.generate_signature_header(STRIPE_BODY.decode(), STRIPE_SECRET, STRIPE_TIME)
    assert stripe(header) is Judgement.GOOD
    other = WebhookSignature.generate_signature_header(STRIPE_BODY.decode(), "whsec_other", STRIPE_TIME)
    assert stripe(other) is Judgement.REFUSED, "the control"


@pytest.mark.skipif(importlib.util.find_spec("standardwebhooks") is None, reason="the library is not installed")
def test_what_the_library_of_standard_webhooks_signs_is_good():
    from standardwebhooks import Webhook  # noqa: PLC0415 - only here

    stated = moment(STANDARD_TIME) + timedelta(seconds=7)
    signature = Webhook(STANDARD_SECRET).sign("msg_1", stated, STANDARD_BODY.decode())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(STANDARD_TIME + 7),
        "webhook-signature": signature,
    }
    assert standard(headers) is Judgement.GOOD
    assert standard({**headers, "webhook-id": "msg_2"}) is Judgement.REFUSED, "the control"
