"""Consent over GraphQL: expiry and channels are felt, proofs are sealed, the ledger is seen by whom it concerns."""

import asyncio
import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from customers.consent.model import Channel, ConsentDecision, ConsentState, Rights
from customers.consent.unsubscribe import Unsubscriber
from customers.errors import UnsubscribeInvalidError
from policies import load_policies
from tests.schema.canaries import everything_stored, leaks
from tests.schema.world import AUDITOR, CUSTOMER, OFFICER, SUPPORT, new_databases, new_world, open_world, person

PURPOSES = load_policies().purposes
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARKETER = ("marketer", "email_marketing")
PROOF = "canary-proof-7f3a91 signed by hand"
NAME = "query ($id: ID!) { profile(id: $id) { givenName } }"
LISTED = '{ profiles(filter: {loyaltyTier: {equals: "gold"}}) { nodes { givenName } } }'
SORTED = "{ profiles(sort: {by: TOTAL_SPENT, descending: true}) { nodes { givenName } } }"
RECORD = """mutation ($id: ID!, $choice: ConsentChoice!, $consent: ConsentInput!) {
  recordConsent(id: $id, choice: $choice, consent: $consent) {
    profile { consents { purpose state channel expiresAt notice } }
  }
}"""
LEDGER = """query ($id: ID!, $first: Int! = 25, $after: String) {
  consentLedger(customer: $id, first: $first, after: $after) {
    nodes { id purpose state channel at recordedAt expiresAt source notice proof } pageInfo { hasNextPage endCursor }
  }
}"""
RECEIPT = "query ($id: ID!, $entry: ID!) { consentReceipt(customer: $id, entry: $entry) }"
PUBLISH = """mutation ($input: PublishNoticeInput!) {
  publishNotice(input: $input) { notice { reference sha256 text publishedAt } }
}"""
COUNTS = "{ consentCounts { counts { purpose channel state customers told } } }"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.time = START

    def __call__(self):
        return self.time


async def record(world, customer_id, choice="GRANTED", who=SUPPORT, options=None, **consent):
    consent = {"purpose": "email_marketing", "source": "form", **consent}
    variables = {"id": customer_id, "choice": choice, "consent": consent}
    return await world.ask(RECORD, *who, variables, **(options or {}))


async def answers(world, customer_id):
    """Everything the marketer is answered that a consent decides over."""
    found = [
        await world.ask(NAME, *MARKETER, {"id": customer_id}),
        await world.ask(LISTED, *MARKETER),
        await world.ask(SORTED, *MARKETER),
        await world.ask("{ profiles { nodes { givenName } } }", *MARKETER),
    ]
    assert [each.errors for each in found] == [None] * 4
    return [
        (each.data, each.errors, {k: v for k, v in each.extensions["privacy"].items() if k != "entry"})
        for each in found
    ]


async def test_a_consent_that_expires_is_felt_by_the_next_read_without_anything_running(mongo_client, tmp_path):
    clock = Clock()
    async with new_databases(mongo_client) as parts, open_world(*parts, tmp_path, now=clock) as world:
        one = await world.one(1)
        end = START + timedelta(days=30)
        answer = await record(world, one, expiresAt=end.isoformat())
        assert answer.errors is None
        seen = await answers(world, one)
        assert seen[0][0] == {"profile": {"givenName": "Given1"}}
        assert [len(each[0]["profiles"]["nodes"]) for each in seen[1:]] == [1, 1, 1]
        written = await world.main["profiles"].find_one({"_id": one})
        clock.time = end - timedelta(seconds=1)
        assert await answers(world, one) == seen
        clock.time = end
        gone = await answers(world, one)
        assert gone[0][0] == {"profile": {"givenName": None}}
        assert [each["reason"] for each in gone[0][2]["withheld"] if each["reason"] != "POLICY"] == ["CONSENT"]
        assert [len(each[0]["profiles"]["nodes"]) for each in gone[1:]] == [0, 0, 1]
        assert await world.main["profiles"].find_one({"_id": one}) == written
        # Given again, it holds again.
        await record(world, one)
        assert (await answers(world, one))[0][0] == {"profile": {"givenName": "Given1"}}


async def test_databases_that_differ_only_in_an_expired_consent_answer_the_same(mongo_client, tmp_path):
    told = []
    for case in ("none", "expired", "withdrawn", "standing"):
        clock = Clock()
        (tmp_path / case).mkdir()
        async with new_world(mongo_client, tmp_path / case, now=clock, seed="twin") as world:
            given = ConsentDecision(
                "marketing", ConsentState.GRANTED, START, "form", expires_at=START + timedelta(days=1)
            )
            consents = {
                "none": (),
                "expired": (given,),
                "withdrawn": (given, ConsentDecision("marketing", ConsentState.WITHDRAWN, START, "form")),
                "standing": (replace(given, expires_at=START + timedelta(days=9)),),
            }[case]
            one = await world.one(1, consents=consents)
            await world.one(2, consents=(replace(given, expires_at=None),))
            clock.time = START + timedelta(days=2)
            told.append((one, await answers(world, one)))
    assert told[0] == told[1] == told[2]
    assert told[3][0] == told[0][0]
    assert told[3] != told[0]  # the comparison can tell


async def test_a_consent_for_one_channel_allows_that_channel(world):
    one = await world.one(1)
    marketing = PURPOSES["email_marketing"]

    async def allowed():
        held = Rights.of_document((await world.main["profiles"].find_one({"_id": one}))["rights"])
        return {each.value for each in Channel if held.allows(marketing, each, datetime.now(UTC))}

    assert await allowed() == set()
    answer = await record(world, one, channel="EMAIL")
    assert [each["channel"] for each in answer.data["recordConsent"]["profile"]["consents"]] == ["email"]
    assert await allowed() == {"email"}
    assert (await world.told(NAME, *MARKETER, {"id": one}))["profile"]["givenName"] == "Given1"
    await record(world, one, channel="SMS")
    assert await allowed() == {"email", "sms"}
    await record(world, one, "WITHDRAWN", channel="EMAIL")
    assert await allowed() == {"sms"}
    await record(world, one)
    assert await allowed() == {each.value for each in Channel}
    await record(world, one, "WITHDRAWN", channel="POST")
    assert await allowed() == {"email", "sms", "phone", "push"}
    await record(world, one, "OBJECTED", channel="PUSH")
    assert await allowed() == {"email", "sms", "phone"}
    for channel in ("EMAIL", "SMS", "PHONE"):
        await record(world, one, "WITHDRAWN", channel=channel)
    assert await allowed() == set()
    assert (await world.told(NAME, *MARKETER, {"id": one}))["profile"]["givenName"] is None


async def test_a_proof_is_in_clear_nowhere_and_the_person_and_the_officer_see_it(world):
    one = await world.one(1)
    answer = await record(world, one, proof=PROOF)
    assert answer.errors is None
    created = await world.ask(
        'mutation ($c: [ConsentInput!]!) { createProfile(input: {values: {givenName: "New"}, consents: $c}) '
        "{ profile { id } } }",
        "client_app",
        "data_import",
        {"c": [{"purpose": "marketing", "source": "form", "proof": PROOF}]},
    )
    assert created.errors is None
    stored = await everything_stored(world.main, world.keys, world.audit)
    assert not leaks([PROOF], stored)
    assert leaks([PROOF], stored + base64.b64encode(PROOF.encode()))  # the scan can tell
    for who, options in ((OFFICER, {}), (CUSTOMER, {"customer": one})):
        page = (await world.told(LEDGER, *who, {"id": one}, **options))["consentLedger"]
        assert [each["proof"] for each in page["nodes"]] == [PROOF]
    entry = await world.main["consent_ledger"].find_one({"customer_id": one})
    # Moved to another entry it does not open.
    await world.main["consent_ledger"].insert_one({**entry, "_id": "another", "at": entry["at"] + timedelta(1)})
    damaged = await world.ask(LEDGER, *OFFICER, {"id": one})
    assert damaged.errors[0]["extensions"]["code"] == "DATA_DAMAGED"
    assert PROOF not in str(damaged)


async def test_the_ledger_is_paged_recorded_and_for_whom_it_concerns(world):
    one, other = await world.one(1), await world.one(2)
    for number, choice in enumerate(("GRANTED", "WITHDRAWN", "GRANTED")):
        at = (START - timedelta(days=9 - number)).isoformat()
        await record(world, one, choice, at=at)
    whole = (await world.told(LEDGER, *OFFICER, {"id": one}))["consentLedger"]
    assert [each["state"] for each in whole["nodes"]] == ["granted", "withdrawn", "granted"]
    assert all(each["recordedAt"] for each in whole["nodes"])
    found, after = [], None
    while True:
        page = (await world.told(LEDGER, *OFFICER, {"id": one, "first": 2, "after": after}))["consentLedger"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert found == whole["nodes"]
    records = await world.records(purpose="privacy_request")
    assert records
    about = await world.reference(one)
    assert all(about in each.subjects for each in records)
    wrong = await world.ask(LEDGER, *OFFICER, {"id": other, "after": after})
    assert wrong.errors[0]["extensions"]["code"] == "CURSOR_INVALID"
    for who in (SUPPORT, MARKETER, AUDITOR):
        refused = await world.ask(LEDGER, *who, {"id": one})
        assert refused.errors[0]["extensions"]["code"] == "FORBIDDEN"
    strange = await world.told(LEDGER, *CUSTOMER, {"id": one}, customer=other)
    assert strange == {"consentLedger": None} == await world.told(LEDGER, *OFFICER, {"id": "cus_nobody"})


async def test_a_receipt_says_what_was_decided_and_what_was_shown_word_for_word(world):
    text = "We send you a letter each week.\nYou can stop it at any time."
    notice = {"name": "newsletter", "version": "2026-11", "language": "en", "text": text}
    published = (await world.told(PUBLISH, *OFFICER, {"input": notice}))["publishNotice"]["notice"]
    assert published["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert (await world.told(PUBLISH, *OFFICER, {"input": notice}))["publishNotice"]["notice"] == published
    changed = await world.ask(PUBLISH, *OFFICER, {"input": {**notice, "text": text + " "}})
    assert changed.errors[0]["extensions"]["code"] == "CONFLICT"
    for who in (SUPPORT, AUDITOR, ("client_app", "order_support")):
        refused = await world.ask(PUBLISH, *who, {"input": {**notice, "version": "2"}})
        assert refused.errors[0]["extensions"]["code"] == "WRITE_NOT_ALLOWED"
    one = await world.one(1)
    assert (await record(world, one, notice="newsletter:none:en")).errors[0]["extensions"]["code"] == "INPUT_INVALID"
    await record(world, one, notice=published["reference"], channel="EMAIL", proof=PROOF)
    entry = (await world.told(LEDGER, *OFFICER, {"id": one}))["consentLedger"]["nodes"][0]
    asked = {"id": one, "entry": entry["id"]}
    receipt = (await world.told(RECEIPT, *CUSTOMER, asked, customer=one))["consentReceipt"]
    kept = receipt["dpv:hasRecordOfActivity"]
    assert receipt["@type"] == "dpv:ConsentReceipt"
    (event,) = kept["dpv:hasConsentStatus"]
    assert event["@type"] == "dpv:ConsentGiven"
    # What ISO/IEC TS 27560 and the DPV's profile of it want of every record, as far as it is known here.
    assert kept["dct:conformsTo"] == "https://w3id.org/dpv/schema/dpv-27560#record"
    assert receipt["dct:conformsTo"] == "https://w3id.org/dpv/schema/dpv-27560#receipt"
    assert {"dct:identifier", "dpv:hasDataSubject", "dpv:hasNotice", "dpv:hasProcess"} <= set(kept)
    assert {"dct:date", "dpv:isIndicatedBy", "dpv:hasIndicationMethod"} <= set(event)
    assert kept["dpv:hasConsentControl"] == "dpv:WithdrawConsent"
    assert kept["dpv:hasNotice"]["dct:description"] == text
    assert kept["dpv:hasNotice"]["confide:sha256"] == published["sha256"]
    assert kept["dpv:hasProcess"][0]["dpv:hasLegalBasis"] == "eu-gdpr:A6-1-a"
    assert kept["dpv:hasProcess"][0]["confide:hasChannel"] == ["email"]
    assert not any(each in json.dumps(receipt) for each in (one, PROOF))
    other = await world.one(2)
    strange = await world.ask(RECEIPT, *CUSTOMER, asked, customer=other)
    assert strange.errors[0]["extensions"]["code"] == "NOT_FOUND"
    mixed = await world.ask(RECEIPT, *CUSTOMER, {**asked, "id": other}, customer=other)
    assert mixed.errors[0]["extensions"]["code"] == "NOT_FOUND"


async def test_who_hands_on_requests_decides_nothing_for_people_and_publishes_nothing(world):
    sender = ("request_sender", "privacy_request")
    (one,) = await world.create(world.draft(person(1)))
    before = await world.main["profiles"].find_one({"_id": one})
    notice = {"name": "newsletter", "version": "2031-01", "language": "en", "text": "Nobody wrote this."}
    await record(world, one, "RESTRICTED", who=OFFICER, purpose="*")
    restricted = await world.main["profiles"].find_one({"_id": one})
    for choice, purpose in (("GRANTED", "marketing"), ("RESTRICTION_LIFTED", "*"), ("OBJECTION_WITHDRAWN", "sales")):
        answer = await record(world, one, choice, who=sender, purpose=purpose)
        assert answer.errors[0]["extensions"]["code"] == "WRITE_NOT_ALLOWED"
    answer = await world.ask(PUBLISH, *sender, {"input": notice})
    assert answer.errors[0]["extensions"]["code"] == "WRITE_NOT_ALLOWED"
    assert await world.main["notices"].find_one({"version": "2031-01"}) is None
    assert await world.main["profiles"].find_one({"_id": one}) == restricted
    assert (await record(world, one, "RESTRICTION_LIFTED", who=OFFICER, purpose="*")).errors is None, "the control"
    assert (await world.ask(PUBLISH, *OFFICER, {"input": notice})).errors is None, "the control"
    opening = "mutation ($id: ID!) { openPrivacyRequest(customer: $id, request: {kind: ACCESS}) { state } }"
    assert (await world.ask(opening, *sender, {"id": one})).errors is None, "what the role is for"
    assert before["rights"] == (await world.main["profiles"].find_one({"_id": one}))["rights"]


async def test_counts_below_eleven_are_told_only_to_who_may_see_the_choices_themselves(world):
    def yes(purpose):
        return (ConsentDecision(purpose, ConsentState.GRANTED, START, "form"),)

    await world.create(
        *(world.draft(person(each), consents=yes("marketing")) for each in range(12)),
        *(world.draft(person(20 + each), consents=yes("personalisation")) for each in range(3)),
    )
    exact = {each["purpose"]: each for each in (await world.told(COUNTS, *OFFICER))["consentCounts"]["counts"]}
    assert {name: each["customers"] for name, each in exact.items()} == {"marketing": 12, "personalisation": 3}
    counted = {
        each["purpose"]: each
        for each in (await world.told(COUNTS, "executive", "business_reporting"))["consentCounts"]["counts"]
    }
    assert counted["marketing"]["told"] == "12"
    assert (counted["personalisation"]["customers"], counted["personalisation"]["told"]) == (None, "fewer than 11")
    assert (await world.records(purpose="business_reporting"))[-1].filters == ("profile.consents",)
    refused = await world.ask(COUNTS, "inventory_planner", "inventory_planning")
    assert refused.errors[0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_restriction_is_a_decision_and_not_everybody_may_lift_it(world):
    one = await world.one(1)
    everything = {"purpose": "*"}
    assert (await record(world, one, "RESTRICTED", **everything)).errors is None
    assert (await world.told(NAME, *SUPPORT, {"id": one}))["profile"]["givenName"] is None
    refused = await record(world, one, "RESTRICTION_LIFTED", **everything)
    assert refused.errors[0]["extensions"]["code"] == "WRITE_NOT_ALLOWED"
    assert (await world.told(NAME, *SUPPORT, {"id": one}))["profile"]["givenName"] is None
    lifted = await record(world, one, "RESTRICTION_LIFTED", OFFICER, **everything)
    assert lifted.errors is None
    assert (await world.told(NAME, *SUPPORT, {"id": one}))["profile"]["givenName"] == "Given1"
    own = {"options": {"customer": one}, "who": CUSTOMER}
    assert (await record(world, one, "RESTRICTED", **own, **everything)).errors is None
    assert (await record(world, one, "RESTRICTION_LIFTED", **own, **everything)).errors is None
    states = [each["state"] for each in (await world.told(LEDGER, *OFFICER, {"id": one}))["consentLedger"]["nodes"]]
    assert sorted(states) == ["restricted", "restricted", "restriction_lifted", "restriction_lifted"]


@pytest.mark.parametrize(
    ("choice", "consent"),
    [
        ("RESTRICTED", {"purpose": "marketing"}),
        ("GRANTED", {"purpose": "*"}),
        ("RESTRICTED", {"purpose": "*", "channel": "EMAIL"}),
        ("WITHDRAWN", {"expiresAt": "2099-01-01T00:00:00Z"}),
        ("GRANTED", {"at": "2026-01-02T00:00:00Z", "expiresAt": "2026-01-01T00:00:00Z"}),
        ("GRANTED", {"proof": ""}),
        ("GRANTED", {"proof": "x" * 10_001}),
        ("GRANTED", {"notice": "no:such:notice"}),
    ],
)
async def test_a_decision_that_does_not_hold_together_is_refused(world, choice, consent):
    one = await world.one(1)
    answer = await record(world, one, choice, **consent)
    assert answer.errors[0]["extensions"]["code"] == "INPUT_INVALID"
    assert not await world.main["consent_ledger"].find({}).to_list(None)


async def test_one_click_takes_away_one_consent_on_one_channel_once(world):
    one = await world.one(1)
    marketing = PURPOSES["email_marketing"]
    out = Unsubscriber(world.writer, world.vault, lambda: world.policies, now=lambda: datetime.now(UTC))
    await record(world, one)
    token = out.token(one, "email_marketing", Channel.EMAIL)
    other = out.token(one, "email_marketing", Channel.SMS)
    assert one not in token
    assert out.purpose(token) == (marketing, Channel.EMAIL)
    await asyncio.gather(*(out.unsubscribe(token) for _ in range(5)), out.unsubscribe(other))
    await out.unsubscribe(token)
    held = Rights.of_document((await world.main["profiles"].find_one({"_id": one}))["rights"])
    assert not held.allows(marketing, Channel.EMAIL, datetime.now(UTC))
    assert held.allows(marketing, Channel.POST, datetime.now(UTC))
    said = await world.main["consent_ledger"].find({"source": "unsubscribe"}).to_list(None)
    assert len({(each["channel"]) for each in said}) == 2
    # Given again and taken away again by the same old letter, it is a decision of its own.
    await record(world, one, channel="EMAIL")
    await out.unsubscribe(token)
    assert len(await world.main["consent_ledger"].find({"source": "unsubscribe"}).to_list(None)) == len(said) + 1
    await world.erase(one)
    cursor = world.vault.seal_token("cursor", b"x", b"v1")
    for bad in (token, token[:-2], token + "A", "", "nonsense", cursor, "é"):
        with pytest.raises(UnsubscribeInvalidError):
            await out.unsubscribe(bad)


async def test_an_erasure_leaves_nothing_of_the_ledger(world):
    one = await world.one(1)
    await record(world, one, proof=PROOF)
    assert await world.main["consent_ledger"].find({"customer_id": one}).to_list(None)
    await world.erase(one)
    assert not await world.main["consent_ledger"].find({"customer_id": one}).to_list(None)
    assert (await world.told(LEDGER, *OFFICER, {"id": one}))["consentLedger"] is None


async def test_merged_profiles_allow_what_both_allow_and_apart_again_what_each_did(world):
    early, late = START + timedelta(days=400), START + timedelta(days=800)
    marketing = PURPOSES["email_marketing"]

    def given(channel, end):
        return ConsentDecision(
            "email_marketing", ConsentState.GRANTED, START, "form", channel=channel, expires_at=end
        )

    one = await world.one(1, consents=(given(None, late),))
    two = await world.one(2, consents=(given(Channel.EMAIL, early), given(Channel.SMS, None)))
    before = {each["_id"]: each for each in await world.store.find([one, two])}
    steward = world.access("data_steward", "identity_resolution")
    async with world.vault.reading():
        await world.reviewer.merge(steward, one, two)
    held = Rights.of_document((await world.store.find([one]))[0]["rights"])
    assert held.channels("email_marketing") == {Channel.EMAIL: early, Channel.SMS: late}
    assert not held.allows(marketing, Channel.POST, START)
    assert [held.allows(marketing, each, early) for each in (Channel.EMAIL, Channel.SMS)] == [False, True]
    shown = {each["channel"]: each["expires_at"] for each in (await world.store.find([one]))[0]["consents"]}
    assert shown == {"email": early, "sms": late}
    entries = (await world.told(LEDGER, *OFFICER, {"id": one}))["consentLedger"]["nodes"]
    assert len(entries) == 3
    async with world.vault.reading():
        await world.reviewer.unmerge(steward, two)
    assert {each["_id"]: each for each in await world.store.find([one, two])} == before
