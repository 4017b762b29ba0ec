"""What a customer's choices amount to, from any sequence of them; and the same said as a database query."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.consent.model import (
    RESTRICTIONS,
    Channel,
    ConsentDecision,
    ConsentState,
    Rights,
    allowed_documents,
    both,
    either,
    outdated,
    refusal,
)
from customers.consent.store import ConsentStore, shown
from policies import LawfulBasis, Purpose, Reason, load_policies

PURPOSES = load_policies().purposes
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def decision(purpose, state):
    return ConsentDecision(purpose, ConsentState(state), WHEN, "form")


def after(*decisions, start=None):
    rights = start or Rights()
    for each in decisions:
        rights = rights.after(decision(*each), PURPOSES)
    return rights


def why(rights, purpose, now=WHEN):
    found = refusal(rights, PURPOSES[purpose], now)
    return None if found is None else found.value


STATES = [each for each in ConsentState if each not in RESTRICTIONS]
DECISIONS = st.lists(st.tuples(st.sampled_from(sorted(PURPOSES)), st.sampled_from(STATES)), max_size=8)


def naive(decisions, purpose, *, restricted):
    """Read from the back: the latest word about this purpose or one above it decides."""
    of = PURPOSES[purpose]
    if restricted and not of.survives_restriction:
        return "RESTRICTED"
    if of.basis in (LawfulBasis.CONSENT, LawfulBasis.LEGITIMATE_INTERESTS):
        for above in of.lineage:
            # An objection stands until it is withdrawn, by itself or together with one above it.
            for about, state in reversed(decisions):
                if about in PURPOSES[above].lineage and state is ConsentState.OBJECTION_WITHDRAWN:
                    break
                if about == above and state is ConsentState.OBJECTED:
                    return "OBJECTION"
    if of.basis is LawfulBasis.CONSENT:
        for about, state in reversed(decisions):
            if about in of.lineage and state is not ConsentState.OBJECTION_WITHDRAWN:
                return None if state is ConsentState.GRANTED else "CONSENT"
        return "CONSENT"
    return None


@given(DECISIONS, st.booleans())
def test_any_sequence_of_decisions_amounts_to_what_a_person_reads_out_of_it(decisions, restricted):
    rights = after(*decisions, start=Rights(restricted=restricted))
    for purpose in PURPOSES:
        assert why(rights, purpose) == naive(decisions, purpose, restricted=restricted), purpose


@given(DECISIONS, st.booleans())
def test_rights_are_the_same_after_they_were_stored(decisions, restricted):
    rights = after(*decisions, start=Rights(restricted=restricted))
    assert Rights.of_document(rights.document()) == rights


def matches(document, query):
    """The few operators that `allowed_documents` uses, as the database means them."""
    for path, wanted in query.items():
        held = document
        for name in path.split(".")[1:]:
            held = held.get(name) if held is not None else None
        if isinstance(wanted, dict) and "$not" in wanted:
            if held is not None and held <= wanted["$not"]["$lte"]:
                return False
        elif isinstance(wanted, dict):
            if set(wanted["$nin"]) & set(held):
                return False
        elif not (wanted in held if isinstance(held, list) else wanted == held):
            return False
    return True


@given(DECISIONS, st.booleans())
def test_the_query_finds_exactly_those_whose_rights_allow(decisions, restricted):
    rights = after(*decisions, start=Rights(restricted=restricted))
    for purpose in PURPOSES.values():
        assert matches(rights.document(), allowed_documents(purpose, WHEN)) is (
            refusal(rights, purpose, WHEN) is None
        )


async def test_the_database_means_the_query_as_it_is_meant(databases):
    """The same over the engine, for every purpose and every kind of customer."""
    consents = ([], ["marketing", "email_marketing", "personalisation"], ["email_marketing"])
    objections = ([], ["marketing"], ["sales"], ["analytics", "email_marketing"])
    documents = [
        {"_id": number, "rights": {"consented": consented, "objected": objected, "restricted": restricted}}
        for number, (consented, objected, restricted) in enumerate(product(consents, objections, (False, True)))
    ]
    documents.append({"_id": len(documents)})  # rights that are missing count against reading
    await databases.main["profiles"].insert_many(documents)
    for purpose in PURPOSES.values():
        found = await databases.main["profiles"].find(allowed_documents(purpose, WHEN), {"_id": 1}).to_list(None)
        allowed = {
            each["_id"]
            for each in documents
            if refusal(Rights.of_document(each.get("rights", {})), purpose, WHEN) is None
        }
        if purpose.survives_restriction:
            allowed |= {len(documents) - 1}
        assert {each["_id"] for each in found} == allowed, purpose.name


@pytest.mark.parametrize("missing", ["consented", "objected", "restricted"])
def test_rights_that_are_missing_from_a_document_count_against_reading(missing):
    stored = Rights(frozenset({"marketing"}), frozenset(), restricted=False).document()
    del stored[missing]
    expected = {"consented": "CONSENT", "objected": None, "restricted": "RESTRICTED"}[missing]
    assert why(Rights.of_document(stored), "marketing") == expected


def test_a_purpose_that_is_added_later_is_consented_to_by_nobody():
    rights = after(("marketing", "granted"))
    new = Purpose(
        name="postal_marketing",
        parent="marketing",
        basis=LawfulBasis.CONSENT,
        label="By post",
        description="Letters.",
        survives_restriction=False,
        lineage=("postal_marketing", "marketing"),
    )
    assert refusal(rights, new, WHEN) is Reason.CONSENT
    assert refusal(rights.after(decision("marketing", "granted"), {**PURPOSES, new.name: new}), new, WHEN) is None


@pytest.mark.parametrize(
    ("about", "hours", "late"),
    [
        ("marketing", -1, True),
        ("marketing", 0, False),
        ("marketing", 1, False),
        ("email_marketing", -1, True),  # below what was decided about
        ("personalisation", -1, True),
        ("sales", -1, False),  # beside it
    ],
)
def test_a_decision_older_than_one_that_stands_is_told_late(about, hours, late):
    standing = [{"purpose": "marketing", "at": WHEN, "state": "granted"}]
    told = ConsentDecision(about, ConsentState.GRANTED, WHEN + timedelta(hours=hours), "form")
    assert outdated(told, standing, PURPOSES) is late
    above = ConsentDecision("marketing", ConsentState.GRANTED, WHEN - timedelta(hours=1), "form")
    assert outdated(above, [{"purpose": "email_marketing", "at": WHEN}], PURPOSES)
    assert not outdated(above, [], PURPOSES)


def test_the_latest_decision_for_each_purpose_is_shown_the_last_one_last():
    entries = []
    for purpose, state in (("marketing", "granted"), ("sales", "objected"), ("marketing", "withdrawn")):
        entries = shown(entries, decision(purpose, state))
    assert [(each["purpose"], each["state"]) for each in entries] == [
        ("sales", "objected"),
        ("marketing", "withdrawn"),
    ]


async def test_the_ledger_keeps_every_decision_and_removes_a_customers_alone(databases):
    store = ConsentStore(databases.main)
    await store.prepare()
    await store.append((f"cus_{number % 2}", decision("marketing", "granted")) for number in range(250))
    assert await databases.main["consent_ledger"].count_documents({"customer_id": "cus_1"}) == 125
    await store.remove(["cus_1"])
    assert await databases.main["consent_ledger"].count_documents({}) == 125
    await store.append([])
    assert await databases.main["consent_ledger"].count_documents({}) == 125


# ---- channels, expiry, restriction

ENDS = st.one_of(st.none(), st.integers(1, 5).map(lambda days: WHEN + timedelta(days=days)))
CHANNELS = st.one_of(st.none(), st.sampled_from(list(Channel)))
SAID = st.lists(
    st.tuples(
        st.sampled_from(["marketing", "email_marketing"]),
        st.sampled_from([ConsentState.GRANTED, ConsentState.WITHDRAWN]),
        CHANNELS,
        ENDS,
    ),
    max_size=8,
)


def told_in_order(said):
    rights = Rights()
    for purpose, state, channel, end in said:
        end = end if state is ConsentState.GRANTED else None  # noqa: PLW2901 - only a consent ends
        rights = rights.after(ConsentDecision(purpose, state, WHEN, "form", channel, None, end), PURPOSES)
    return rights


def naive_channel(said, purpose, channel, now):
    """The last word about the purpose, or one above it, for that channel or every one."""
    for about, state, where, end in reversed(said):
        if about in PURPOSES[purpose].lineage and where in (None, channel):
            return state is ConsentState.GRANTED and (end is None or end > now)
    return False


@given(SAID, st.integers(0, 6))
def test_each_channel_is_what_was_last_said_of_it_until_it_ends(said, days):
    rights, now = told_in_order(said), WHEN + timedelta(days=days)
    assert Rights.of_document(rights.document()) == rights
    for name in ("marketing", "email_marketing", "personalisation"):
        allowed = [channel for channel in Channel if naive_channel(said, name, channel, now)]
        assert [each for each in Channel if rights.allows(PURPOSES[name], each, now)] == allowed
        # Whoever may be reached in some way may be read for it.
        assert (refusal(rights, PURPOSES[name], now) is None) is bool(allowed)
        assert matches(rights.document(), allowed_documents(PURPOSES[name], now)) is bool(allowed)


@given(SAID, SAID)
def test_of_two_consents_both_allow_what_each_does_and_either_what_one_does(said, other):
    mine, theirs = (told_in_order(each).channels("email_marketing") for each in (said, other))
    for days in range(7):
        now = WHEN + timedelta(days=days)

        def live(channels, now=now):
            return {each for each, end in channels.items() if end is None or end > now}

        assert live(both(mine, theirs)) == live(mine) & live(theirs)
        assert live(either(mine, theirs)) == live(mine) | live(theirs)


async def test_the_database_means_an_expiry_as_it_is_meant(databases):
    ends = [None, WHEN - timedelta(seconds=1), WHEN, WHEN + timedelta(seconds=1)]
    given_until = [
        Rights().after(ConsentDecision("marketing", ConsentState.GRANTED, WHEN, "form", None, None, end), PURPOSES)
        for end in ends
    ]
    await databases.main["profiles"].insert_many(
        [{"_id": number, "rights": rights.document()} for number, rights in enumerate(given_until)]
    )
    found = await databases.main["profiles"].find(allowed_documents(PURPOSES["marketing"], WHEN)).to_list(None)
    assert [each["_id"] for each in found] == [0, 3]
    assert [refusal(each, PURPOSES["marketing"], WHEN) for each in given_until] == [
        None,
        Reason.CONSENT,
        Reason.CONSENT,
        None,
    ]


@pytest.mark.parametrize("basis", list(LawfulBasis))
def test_an_objection_to_marketing_is_absolute_whatever_it_rests_on(basis):
    """Article 21(3): and a contract's purpose that is no marketing goes on."""
    rights = after(("marketing", "objected"), ("marketing", "granted"))
    marketing = replace(PURPOSES["marketing"], basis=basis)
    assert refusal(rights, marketing, WHEN) is Reason.OBJECTION
    assert not any(rights.allows(marketing, each, WHEN) for each in Channel)
    other = replace(marketing, direct_marketing=False)
    stopped = basis in (LawfulBasis.CONSENT, LawfulBasis.LEGITIMATE_INTERESTS)
    assert (refusal(rights, other, WHEN) is Reason.OBJECTION) is stopped


def test_a_restriction_and_its_end_are_decisions_like_others():
    rights = after(("marketing", "granted"), ("*", "restricted"))
    assert why(rights, "marketing") == why(rights, "customer_service") == "RESTRICTED"
    assert why(rights, "privacy_request") is None
    rights = after(("*", "restriction_lifted"), start=rights)
    assert why(rights, "marketing") is None
    late = decision("*", "restricted")
    standing = [{"purpose": "*", "at": WHEN + timedelta(hours=1)}]
    assert outdated(late, standing, PURPOSES)
    assert not outdated(late, [{"purpose": "marketing", "at": WHEN + timedelta(hours=1)}], PURPOSES)


def test_decisions_about_different_channels_do_not_outdate_each_other():
    later = [{"purpose": "marketing", "at": WHEN + timedelta(hours=1), "channel": "sms"}]
    by_mail = ConsentDecision("marketing", ConsentState.GRANTED, WHEN, "form", Channel.EMAIL)
    assert not outdated(by_mail, later, PURPOSES)
    assert outdated(replace(by_mail, channel=Channel.SMS), later, PURPOSES)
    assert outdated(replace(by_mail, channel=None), later, PURPOSES)


async def test_a_proof_without_a_key_is_not_kept(databases):
    store = ConsentStore(databases.main)
    signed = ConsentDecision("marketing", ConsentState.GRANTED, WHEN, "form", proof="signed")
    assert "signed" not in repr(signed)
    with pytest.raises(ValueError, match="key"):
        await store.append([("cus_1", signed)])
    assert not await databases.main["consent_ledger"].find({}).to_list(None)


def test_an_objection_that_is_told_late_counts_whatever_was_agreed_to_since():
    agreed = [{"purpose": "marketing", "state": "granted", "at": WHEN + timedelta(hours=1)}]
    late = decision("marketing", "objected")
    assert not outdated(late, agreed, PURPOSES)
    assert why(after(("marketing", "granted")).after(late, PURPOSES, agreed), "marketing") == "OBJECTION"
    back = [{"purpose": "marketing", "state": "objection_withdrawn", "at": WHEN + timedelta(hours=1)}]
    assert outdated(late, back, PURPOSES)


def test_a_withdrawal_that_is_told_late_takes_all_but_what_was_agreed_to_since():
    since = [{"purpose": "email_marketing", "state": "granted", "at": WHEN + timedelta(hours=1)}]
    late = decision("marketing", "withdrawn")
    assert not outdated(late, since, PURPOSES)
    rights = after(("marketing", "granted")).after(late, PURPOSES, since)
    assert rights.purposes == {"email_marketing"}
    assert outdated(late, [{**since[0], "purpose": "marketing"}], PURPOSES)
