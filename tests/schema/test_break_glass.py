"""Breaking the glass: what it opens, for whom, for how long, what is recorded, and who reviews it."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta

import pytest
from bson import encode

from audit import AuditUnavailableError, Outcome
from customers.errors import BreakGlassNotPossibleError
from customers.oversight.break_glass import LONGEST_MINUTES, PURPOSE, ROLE, BreakGlass, Judgement, Opening
from server.alarms import ALARM, alarm_of, letter_about
from tests.schema.world import AUDITOR, OFFICER, caller, utc_now

REASON = "The caller on line two is hurt and we must tell the ambulance where they live."
OPEN = """mutation Break($reason: String!, $minutes: Int!) {
  openBreakGlass(reason: $reason, minutes: $minutes) { id until isOpen entry case }
}"""
END = "mutation End($id: ID!) { endBreakGlass(id: $id) { id isOpen } }"
REVIEW = """mutation Judge($id: ID!, $judgement: BreakGlassJudgement!, $note: String!) {
  reviewBreakGlass(id: $id, judgement: $judgement, note: $note) { id review { actor judgement note } }
}"""
QUEUE = "query Queue { breakGlassOpenings { id actor roles case reason isOpen review { judgement } } }"
LOOK = "query Look($id: ID!) { profile(id: $id) { givenName email birthDate notes nationalId } }"
EVERYBODY = "query Everybody { profiles(first: 10) { nodes { email } } }"
STAFF = ("support_agent", PURPOSE)


async def opened(world, actor="ana", minutes=30, case="T-77"):
    variables = {"reason": REASON, "minutes": minutes}
    return (await world.told(OPEN, *STAFF, variables, actor=actor, case=case))["openBreakGlass"]


async def look(world, customer_id, case, actor="ana", role="support_agent", purpose=PURPOSE):
    answer = await world.ask(LOOK, role, purpose, {"id": customer_id}, actor=actor, case=case)
    return (answer.data or {}).get("profile")


def codes(answer):
    return [each["extensions"]["code"] for each in answer.errors or ()]


async def test_what_is_open_while_the_glass_is_broken_is_closed_before_and_after(world):
    ada = await world.one(1)
    before = await look(world, ada, "T-77")
    assert before is None or set(before.values()) == {None}
    glass = await opened(world)
    assert (glass["isOpen"], glass["case"]) == (True, "T-77")
    seen = await look(world, ada, glass["id"])
    assert all(seen[name] for name in ("givenName", "email", "birthDate"))
    assert seen["nationalId"] is None, "it opens much, not everything"
    await world.told(END, *STAFF, {"id": glass["id"]}, actor="ana")
    after = await look(world, ada, glass["id"])
    assert after is None or set(after.values()) == {None}


async def test_it_opens_for_its_own_person_purpose_and_number_alone(world):
    ada = await world.one(1)
    glass = await opened(world)
    assert (await look(world, ada, glass["id"]))["email"]  # control
    closed = [
        {"actor": "eve"},
        {"purpose": "marketing"},
        {"purpose": "analytics"},
    ]
    for each in closed:
        found = await look(world, ada, glass["id"], **each)
        assert found is None or found["email"] is None, each
    for case in ("T-77", None, "bgl_aaaaaaaaaaaaaaaa", glass["id"].upper()):
        found = await look(world, ada, case)
        assert found is None or found["email"] is None, case


async def test_a_role_that_somebody_brings_along_opens_nothing(world):
    ada = await world.one(1)
    for case in (None, "bgl_aaaaaaaaaaaaaaaa"):
        found = await look(world, ada, case, role=("support_agent", ROLE))
        assert found is None or found["email"] is None
    glass = await opened(world)
    assert (await look(world, ada, glass["id"], role=("support_agent", ROLE)))["email"]  # control


async def test_every_read_is_recorded_with_the_number_of_the_opening(world):
    ada = await world.one(1)
    glass = await opened(world)
    await look(world, ada, glass["id"])
    first, read = (await world.records(case=glass["id"]))[:2]
    assert (first.operation, first.actor, first.purpose) == ("break-glass open", "ana", PURPOSE)
    assert (read.operation, read.roles) == ("Look", (ROLE, "support_agent"))


@pytest.mark.parametrize("role", ["marketer", "auditor", "administrator", "client_app", ROLE])
async def test_whom_the_policy_does_not_let_breaks_no_glass_and_that_is_recorded(world, role):
    answer = await world.ask(OPEN, role, PURPOSE, {"reason": REASON, "minutes": 5}, actor="mia")
    assert codes(answer) == ["FORBIDDEN"]
    assert Outcome.REFUSED in {each.outcome for each in await world.records() if each.actor == "mia"}
    assert await world.main["break_glass"].find({}).to_list(None) == []


async def test_a_customer_breaks_no_glass(world):
    ada = await world.one(1)
    asking = replace(caller("support_agent"), customer_id=ada)
    assert not world.services.break_glass.may_open(asking)
    assert world.services.break_glass.may_open(caller("support_agent"))
    assert not world.services.break_glass.may_open(caller("support_agent", purposes=["marketing"]))


@pytest.mark.parametrize("minutes", [0, -5, LONGEST_MINUTES + 1])
async def test_nobody_opens_it_for_longer_than_an_hour(world, minutes):
    answer = await world.ask(OPEN, *STAFF, {"reason": REASON, "minutes": minutes})
    assert codes(answer) == ["INPUT_INVALID"]


@pytest.mark.parametrize("reason", ["", "because", "  x  " * 6, "long " * 300])
async def test_nobody_opens_it_without_a_reason_in_words(world, reason):
    assert codes(await world.ask(OPEN, *STAFF, {"reason": reason, "minutes": 5})) == ["INPUT_INVALID"]


async def test_it_closes_by_itself_when_its_time_is_over(world):
    now = [utc_now()]
    glass = BreakGlass(
        world.main, world.vault, world.log, lambda: world.policies, now=lambda: now[0], random=lambda n: b"x" * n
    )
    ana = caller("support_agent", actor="ana")
    opening = await glass.open(ana, REASON, 10)
    now[0] += timedelta(minutes=9, seconds=59)
    assert ROLE in (await glass.widened(ana, PURPOSE, opening.id)).roles
    now[0] += timedelta(seconds=1)
    assert ROLE not in (await glass.widened(ana, PURPOSE, opening.id)).roles


async def test_another_role_is_felt_by_the_next_request(world):
    ana = caller("support_agent", actor="ana")
    opening = await opened(world)
    widened = world.services.break_glass.widened
    assert ROLE in (await widened(ana, PURPOSE, opening["id"])).roles
    assert ROLE not in (await widened(replace(ana, roles=("marketer",)), PURPOSE, opening["id"])).roles


async def test_it_is_told_before_it_opens_and_where_it_cannot_be_told_it_stays_closed(world):
    told = []

    async def alarm(opening):
        told.append((opening, await world.main["break_glass"].find_one({"_id": opening.id})))
        if len(told) > 1:
            raise ConnectionError

    glass = BreakGlass(
        world.main, world.vault, world.log, lambda: world.policies, now=utc_now, random=_bytes(), alarm=alarm
    )
    ana = caller("support_agent", actor="ana")
    await glass.open(ana, REASON, 5)
    assert told[0][1] is None
    with pytest.raises(ConnectionError):
        await glass.open(ana, REASON, 5)
    assert len(await world.main["break_glass"].find({}).to_list(None)) == 1


async def test_no_more_than_three_wait_for_review_also_where_many_are_opened_at_once(world):
    glass = BreakGlass(world.main, world.vault, world.log, lambda: world.policies, now=utc_now, random=os.urandom)
    for actor, at_once in (("ana", 12), ("ben", 1)):
        somebody = caller("support_agent", actor=actor)
        tried = await asyncio.gather(
            *(glass.open(somebody, REASON, 5) for _ in range(at_once)), return_exceptions=True
        )
        assert all(isinstance(each, Opening | BreakGlassNotPossibleError) for each in tried)
        mine = {each.id for each in await glass.mine(somebody) if each.is_open(utc_now())}
        assert mine == {each.id for each in tried if isinstance(each, Opening)}
        assert len(mine) <= 3
    assert len(mine) == 1, "the control: one alone opens"


async def test_one_opening_shows_no_more_customers_than_it_is_for(world, monkeypatch):
    monkeypatch.setattr(world.services.break_glass, "_most_people", 2)
    people = [await world.one(number) for number in (1, 2, 3)]
    glass = await opened(world)
    everybody = await world.ask(EVERYBODY, *STAFF, {}, actor="ana", case=glass["id"])
    assert (everybody.data, codes(everybody)) == (None, ["BREAK_GLASS_SPENT"])
    assert everybody.errors[0]["extensions"]["maximum"] == 2
    for each in (*people[:2], *people[:2]):  # each counts once
        assert (await look(world, each, glass["id"]))["email"]
    refused = await world.ask(LOOK, *STAFF, {"id": people[2]}, actor="ana", case=glass["id"])
    assert (refused.data, codes(refused)) == (None, ["BREAK_GLASS_SPENT"])
    outcomes = [
        each.outcome for each in await world.records(case=glass["id"]) if each.operation in ("Look", "Everybody")
    ]
    assert outcomes == [Outcome.REFUSED, *[Outcome.ALLOWED] * 4, Outcome.REFUSED], (
        "what was refused is recorded as that"
    )
    (kept,) = await world.main["break_glass"].find({}).to_list(None)
    assert kept["people"] == 2
    assert not [
        each for each in (*people, *[await world.reference(one) for one in people]) if each.encode() in encode(kept)
    ]
    another = await opened(world)
    assert (await look(world, people[2], another["id"]))["email"], "the control: a new opening has its own"


async def test_a_person_of_merged_profiles_is_one_customer(world, monkeypatch):
    monkeypatch.setattr(world.services.break_glass, "_most_people", 1)
    ada, part, other = [await world.one(number) for number in (1, 2, 3)]
    merge = "mutation ($s: ID!, $a: ID!) { mergeProfiles(survivor: $s, absorbed: $a) { profile { id } } }"
    await world.told(merge, "data_steward", "identity_resolution", {"s": ada, "a": part})
    glass = await opened(world)
    assert (await look(world, ada, glass["id"]))["email"]
    assert await look(world, other, glass["id"]) is None, "the control"


async def test_those_who_are_seen_at_once_are_counted_together(world, monkeypatch):
    monkeypatch.setattr(world.services.break_glass, "_most_people", 3)
    people = [await world.one(number) for number in range(1, 7)]
    glass = await opened(world)
    seen = await asyncio.gather(*(look(world, each, glass["id"]) for each in people))
    assert sum(each is not None and each["email"] is not None for each in seen) == 3


async def test_what_cannot_be_recorded_is_not_opened(world):
    class Away:
        async def append(self, _):
            raise AuditUnavailableError("the log is away")

    glass = BreakGlass(world.main, world.vault, Away(), lambda: world.policies, now=utc_now, random=_bytes())
    with pytest.raises(AuditUnavailableError):
        await glass.open(caller("support_agent"), REASON, 5)
    assert await world.main["break_glass"].find({}).to_list(None) == []


async def test_the_alarm_is_a_letter_to_everybody_who_is_to_know_and_says_nothing_of_why(world):
    addresses = ("dpo@example.org", "cso@example.org")
    glass = BreakGlass(
        world.main, world.vault, world.log, lambda: world.policies, now=utc_now, random=_bytes(),
        alarm=alarm_of(world.main, addresses, utc_now),
    )  # fmt: skip
    opening = await glass.open(caller("support_agent", actor="ana<b>"), REASON, 5)
    jobs = await world.main["jobs"].find({"kind": ALARM}).to_list(None)
    assert sorted(each["payload"]["to"] for each in jobs) == [0, 1]
    letter = await letter_about(glass, opening.id, addresses[0], "https://confide.example")
    assert "ana<b> broke the glass" in letter.text
    assert "ana&lt;b&gt;" in letter.html
    assert f"Number {opening.id}" in letter.text
    assert "https://confide.example/console/break-glass" in letter.text
    assert "ambulance" not in letter.text + letter.html
    assert b"ambulance" not in b"".join(map(encode, jobs))
    assert "tried to open" in (await letter_about(glass, "bgl_" + "z" * 16, addresses[0], None)).text


async def test_the_reason_is_not_in_clear_anywhere(world):
    glass = await opened(world)
    (kept,) = await world.main["break_glass"].find({}).to_list(None)
    assert b"ambulance" not in encode(kept)
    assert glass["id"].encode() in encode(kept)  # control


async def test_somebody_else_who_oversees_reviews_it_once_and_when_it_is_over(world):
    glass = await opened(world)
    judged = {"id": glass["id"], "judgement": "JUSTIFIED", "note": "The call is on tape."}
    assert codes(await world.ask(REVIEW, *AUDITOR, judged, actor="hugo")) == ["INPUT_INVALID"]  # still open
    await world.told(END, *STAFF, {"id": glass["id"]}, actor="ana")
    assert codes(await world.ask(REVIEW, "support_agent", "customer_service", judged, actor="bob")) == ["FORBIDDEN"]
    both = ("auditor", "support_agent")
    assert codes(await world.ask(REVIEW, both, "audit", judged, actor="ana")) == ["INPUT_INVALID"]  # their own
    (waiting,) = (await world.told(QUEUE, *AUDITOR, actor="hugo"))["breakGlassOpenings"]
    assert (waiting["actor"], waiting["reason"], waiting["review"]) == ("ana", REASON, None)
    found = (await world.told(REVIEW, *AUDITOR, judged, actor="hugo"))["reviewBreakGlass"]
    assert found["review"] == {"actor": "hugo", "judgement": "JUSTIFIED", "note": "The call is on tape."}
    assert codes(await world.ask(REVIEW, *AUDITOR, judged, actor="ivo")) == ["INPUT_INVALID"]  # once
    unknown = {**judged, "id": "bgl_aaaaaaaaaaaaaaaa"}
    assert codes(await world.ask(REVIEW, *AUDITOR, unknown, actor="hugo")) == ["NOT_FOUND"]
    operations = [each.operation for each in await world.records(case=glass["id"])]
    assert operations == ["break-glass open", "break-glass end", "break-glass review justified"]


async def test_two_reviews_at_once_are_one(world):
    glass, service = await opened(world), world.services.break_glass
    await world.told(END, *STAFF, {"id": glass["id"]}, actor="ana")
    judging = [
        service.review(world.access(*AUDITOR, actor=f"hugo-{number}"), glass["id"], Judgement.NOT_JUSTIFIED, "no")
        for number in range(4)
    ]
    found = await asyncio.gather(*judging, return_exceptions=True)
    assert [isinstance(each, BreakGlassNotPossibleError) for each in found].count(False) == 1


async def test_only_who_oversees_sees_the_queue_and_that_they_looked_is_recorded(world):
    await opened(world)
    for role, purpose in (
        ("support_agent", PURPOSE),
        ("support_agent", "customer_service"),
        ("marketer", "marketing"),
    ):
        assert codes(await world.ask(QUEUE, role, purpose, actor="bob")) == ["FORBIDDEN"]
    for reader in (AUDITOR, (OFFICER[0], "audit")):
        assert len((await world.told(QUEUE, *reader, actor="hugo"))["breakGlassOpenings"]) == 1
    looked = [each for each in await world.records() if each.operation == "break-glass queue"]
    assert [each.outcome for each in looked] == [Outcome.REFUSED] * 3 + [Outcome.ALLOWED] * 2


async def test_whose_openings_nobody_has_reviewed_opens_no_more(world):
    for _ in range(3):
        last = await opened(world)
    answer = await world.ask(OPEN, *STAFF, {"reason": REASON, "minutes": 5}, actor="ana")
    assert codes(answer) == ["INPUT_INVALID"]
    assert (await opened(world, actor="eve"))["isOpen"]  # control: another's do not count
    await world.told(END, *STAFF, {"id": last["id"]}, actor="ana")
    judged = {"id": last["id"], "judgement": "NOT_JUSTIFIED", "note": "No such call."}
    await world.told(REVIEW, *AUDITOR, judged, actor="hugo")
    assert (await opened(world))["isOpen"]


def _bytes():
    """Other bytes each time."""
    counted = iter(range(1000))
    return lambda count: next(counted).to_bytes(count, "big")
