"""The states and the clocks of privacy requests, against the law's own words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.rights.requests import model
from customers.rights.requests.clocks import add_business_days, add_months, clock, kept_until, reminders
from customers.rights.requests.errors import RequestHeldError, RequestStateError, SecondPersonNeededError
from customers.rights.requests.model import (
    OPEN,
    Denial,
    Extension,
    Kind,
    PrivacyRequest,
    Regime,
    State,
    Verification,
    law_of,
)

RECEIVED = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)
NOW = RECEIVED + timedelta(days=3)
KEPT = kept_until(NOW)


def asked(kind=Kind.ERASURE, state=State.RECEIVED, regime=Regime.GDPR, **values):
    terms = clock(regime, kind, RECEIVED)
    return PrivacyRequest(
        "req_1",
        kind,
        regime,
        "cus_1",
        "portal",
        state,
        RECEIVED,
        terms.due_at,
        terms.longest,
        terms.confirm_by,
        **values,
    )


def day(month, date, year=2026):
    return datetime(year, month, date, 9, 0, tzinfo=UTC)


def test_the_months_of_the_gdpr_are_of_the_calendar_and_end_with_a_short_month():
    terms = clock(Regime.GDPR, Kind.ACCESS, RECEIVED)
    assert (terms.due_at, terms.longest, terms.confirm_by) == (day(2, 28), day(4, 30), None)
    assert clock(Regime.GDPR, Kind.ACCESS, day(1, 31, 2028)).due_at == day(2, 29, 2028)
    assert clock(Regime.GDPR, Kind.ACCESS, day(12, 15)).longest == day(3, 15, 2027)


def test_california_has_ten_business_days_to_confirm_and_forty_five_days_twice():
    terms = clock(Regime.CPRA, Kind.ACCESS, day(11, 23))  # a Monday
    assert terms.confirm_by == day(12, 7)
    assert (terms.due_at, terms.longest) == (day(1, 7, 2027), day(2, 21, 2027))


@pytest.mark.parametrize("kind", [Kind.OPT_OUT, Kind.RESTRICTION, Kind.OBJECTION])
def test_opting_out_in_california_takes_fifteen_business_days_and_no_longer(kind):
    terms = clock(Regime.CPRA, kind, day(11, 23))
    assert (terms.due_at, terms.longest, terms.confirm_by) == (day(12, 14), None, None)


def test_a_weekend_is_no_business_day():
    assert add_business_days(day(11, 27), 1) == day(11, 30)  # Friday to Monday
    assert add_business_days(day(11, 28), 1) == day(11, 30)  # Saturday to Monday


@settings(max_examples=100, deadline=None)
@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), st.integers(0, 60))  # noqa: DTZ001 - made aware
def test_months_later_is_in_the_month_that_many_later_and_never_a_later_day(moment, months):
    moment = moment.replace(tzinfo=UTC)
    later = add_months(moment, months)
    assert later.year * 12 + later.month == moment.year * 12 + moment.month + months
    assert later.day <= moment.day
    assert later.timetz() == moment.timetz()


def test_reminders_come_before_what_they_remind_of():
    terms = clock(Regime.CPRA, Kind.ACCESS, RECEIVED)
    first, *rest = reminders(terms)
    assert RECEIVED < first < terms.confirm_by
    assert all(terms.confirm_by < each < terms.due_at for each in rest)
    assert len(reminders(clock(Regime.GDPR, Kind.ACCESS, RECEIVED))) == 2


def test_a_request_goes_from_state_to_state_and_ends():
    request = asked()
    request = model.confirm(request, Verification.SIGNED_IN)
    assert (request.state, request.verification) == (State.CONFIRMED, Verification.SIGNED_IN)
    request = model.begin(request)
    assert model.may_complete(request, "ana", four_eyes=False)
    request = model.complete(request, "cert", NOW, KEPT)
    assert (request.state, request.result, request.closed_at, request.open) == (State.COMPLETED, "cert", NOW, False)
    assert request.keep_until == day(2, 3, 2028)


STEPS = {
    "confirm": (lambda request: model.confirm(request, Verification.SIGNED_IN), {State.RECEIVED}),
    "begin": (model.begin, {State.CONFIRMED}),
    "complete": (lambda request: model.may_complete(request, "ana", four_eyes=False), {State.IN_PROGRESS}),
    "extend": (lambda request: model.extend(request, Extension.COMPLEXITY, NOW), OPEN),
    "hold": (lambda request: model.hold(request, held=True), OPEN),
    "deny": (lambda request: model.deny(request, Denial.UNFOUNDED, NOW, KEPT), OPEN),
    "cancel": (lambda request: model.cancel(request, NOW, KEPT), OPEN),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", State)
def test_each_step_is_possible_in_its_states_and_in_no_other(step, state):
    made, possible = STEPS[step]
    request = asked(state=state)
    if state in possible:
        assert made(request)
    else:
        with pytest.raises(RequestStateError):
            made(request)


def test_what_an_agent_asks_for_needs_an_authority_and_nobody_else_has_one():
    with pytest.raises(RequestStateError):
        model.confirm(asked(agent=True), Verification.DOCUMENT)
    with pytest.raises(RequestStateError):
        model.confirm(asked(), Verification.AUTHORITY)
    assert model.confirm(asked(agent=True), Verification.AUTHORITY).state is State.CONFIRMED


def test_who_asks_need_not_be_known_for_opting_out_alone():
    assert model.confirm(asked(Kind.OPT_OUT), Verification.NOT_NEEDED).state is State.CONFIRMED
    for kind in set(Kind) - {Kind.OPT_OUT}:
        with pytest.raises(RequestStateError):
            model.confirm(asked(kind), Verification.NOT_NEEDED)


def test_an_extension_is_possible_once_and_only_before_the_term_ends():
    request = model.extend(asked(), Extension.NUMBER, NOW)
    assert (request.due_at, request.extension) == (day(4, 30), Extension.NUMBER)
    with pytest.raises(RequestStateError):
        model.extend(request, Extension.NUMBER, NOW)
    with pytest.raises(RequestStateError):
        model.extend(asked(), Extension.NUMBER, asked().due_at + timedelta(seconds=1))
    with pytest.raises(RequestStateError):
        model.extend(asked(Kind.OPT_OUT, regime=Regime.CPRA), Extension.NUMBER, NOW)


def test_a_refusal_names_the_law_and_there_is_none_without():
    denied = model.deny(asked(), Denial.LEGAL_OBLIGATION, NOW, KEPT)
    assert (denied.denial, denied.law) == (Denial.LEGAL_OBLIGATION, "GDPR Art. 17(3)(b)")
    with pytest.raises(RequestStateError):
        model.deny(asked(Kind.ACCESS), Denial.LEGAL_OBLIGATION, NOW, KEPT)
    with pytest.raises(RequestStateError):  # California knows no such reason
        model.deny(asked(Kind.OBJECTION, regime=Regime.CPRA), Denial.OVERRIDING_GROUNDS, NOW, KEPT)
    assert all(any(law_of(reason, kind, Regime.GDPR) for kind in Kind) for reason in Denial)


def test_a_legal_hold_stops_an_erasure_and_nothing_else():
    held = asked(state=State.IN_PROGRESS, hold=True)
    with pytest.raises(RequestHeldError):
        model.may_complete(held, "ana", four_eyes=False)
    assert model.may_complete(model.hold(held, held=False), "ana", four_eyes=False)
    assert model.may_complete(asked(Kind.ACCESS, State.IN_PROGRESS, hold=True), "ana", four_eyes=False)
    with pytest.raises(RequestStateError):
        model.hold(held, held=True)


def test_four_eyes_are_of_two_persons():
    request = asked(state=State.IN_PROGRESS)
    assert not model.may_complete(request, "ana", four_eyes=True)
    request = model.agree(request, "ana")
    with pytest.raises(SecondPersonNeededError):
        model.may_complete(request, "ana", four_eyes=True)
    assert model.may_complete(request, "ben", four_eyes=True)
    assert not model.may_complete(request, "ben", four_eyes=True, whole=["another"]), "to whom nobody agreed"


@pytest.mark.parametrize("agreed", [True, False])
def test_a_program_is_neither_of_two_persons(agreed):
    request = asked(Kind.ERASURE, State.IN_PROGRESS)
    request = model.agree(request, "ana") if agreed else request
    with pytest.raises(SecondPersonNeededError):
        model.may_complete(request, "service:svc_1", four_eyes=True)
    assert model.may_complete(request, "service:svc_1", four_eyes=False)  # the control: where one is enough


def test_of_an_erased_person_the_proof_is_left_and_not_the_person():
    met = model.settle(asked(state=State.IN_PROGRESS), NOW, KEPT)
    assert (met.customer_id, met.state, met.keep_until) == (None, State.COMPLETED, KEPT)
    assert model.settle(asked(Kind.ACCESS), NOW, KEPT).state is State.CANCELLED
    ended = model.deny(asked(), Denial.EXCESSIVE, NOW, KEPT)
    later = model.settle(ended, NOW + timedelta(days=5), KEPT + timedelta(days=5))
    assert (later.state, later.keep_until, later.customer_id) == (State.DENIED, KEPT, None)
