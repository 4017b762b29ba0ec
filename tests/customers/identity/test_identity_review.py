"""Who decides sees both profiles side by side, masked by their role; a decision that is cut off is brought to its end."""

from dataclasses import fields
from datetime import timedelta

import pytest

from customers.errors import ProfileNotFoundError, WriteNotAllowedError
from customers.identity.review import CaseState, Finding
from customers.identity.rules import CaseKind
from policies import Verdict
from tests.customers.faults import Failing
from tests.schema.world import SUPPORT, person

STEWARD = ("data_steward", "identity_resolution")
EVIDENCE = {"given_name": "same", "address": "same_street", "birth_date": "typo"}


async def opened(world, finding=EVIDENCE):
    """A case about two people."""
    people = await world.create(*(world.draft(person(number)) for number in range(2)))
    await world.reviewer.cases.add([Finding(CaseKind.SIMILAR, tuple(people), finding, 0.8)])
    ((case,), _) = await world.reviewer.list_cases(world.access(*STEWARD))
    return people, case


async def test_a_case_opens_with_its_profiles_side_by_side_masked_and_the_look_is_recorded(world):
    people, case = await opened(world)
    shown = await world.reviewer.open_case(world.access(*STEWARD), case.id)
    assert sorted(each.customer_id for each in shown.profiles.sides) == sorted(people)
    rows = {each.name: each for each in shown.profiles.rows}
    assert {each.verdict for each in rows["given_name"].cells} == {Verdict.MASKED}
    real = {person(0)["given_name"], person(1)["given_name"]}
    assert real.isdisjoint(each.value for each in rows["given_name"].cells)
    assert {(each.verdict, each.value) for each in rows["national_id"].cells} == {(Verdict.WITHHELD, None)}
    assert {each.verdict for each in rows["region"].cells} == {Verdict.CLEAR}
    assert [rows[name].level for name in ("given_name", "street", "city", "phone")] == [
        *("same", "same_street", "same_street"),
        None,
    ]
    record = (await world.records())[-1]
    assert {await world.reference(each) for each in people} == set(record.subjects)
    assert shown.entry is not None


async def test_a_list_holds_nothing_of_the_profiles_and_records_nothing(world):
    people, case = await opened(world)
    before = await world.records()
    (listed,), _ = await world.reviewer.list_cases(world.access(*STEWARD))
    assert {each.name for each in fields(listed)} == {
        *("id", "seq", "kind", "state", "opened_at", "decided_at", "decided_by")
    }
    assert not any(told in repr(listed) for told in (*people, *EVIDENCE, "0.8"))
    assert await world.records() == before
    # The negative control: the opened case holds it, and is recorded.
    shown = await world.reviewer.open_case(world.access(*STEWARD), case.id)
    assert (dict(shown.case.evidence), shown.case.score) == (EVIDENCE, 0.8)
    assert len(await world.records()) == len(before) + 1


async def test_who_may_not_join_profiles_is_shown_no_case(world):
    _, case = await opened(world)
    for who in (SUPPORT, ("record_keeper", "data_quality"), ("data_steward", "data_quality")):
        with pytest.raises(WriteNotAllowedError):
            await world.reviewer.list_cases(world.access(*who))
        with pytest.raises(WriteNotAllowedError):
            await world.reviewer.open_case(world.access(*who), case.id)


async def test_decided_cases_are_listed_apart_from_open_ones_and_go_with_who_is_erased(world):
    people, case = await opened(world)
    async with world.vault.reading():
        await world.reviewer.decide(world.access(*STEWARD), case.id, None)
    assert (await world.reviewer.list_cases(world.access(*STEWARD)))[0] == []
    ((apart,), more) = await world.reviewer.list_cases(world.access(*STEWARD), CaseState.APART)
    assert (apart.id, apart.state, apart.decided_by, more) == (case.id, CaseState.APART, "test-data_steward", False)
    await world.erase(people[0])
    with pytest.raises(ProfileNotFoundError):
        await world.reviewer.open_case(world.access(*STEWARD), case.id)


async def test_a_merge_cut_off_at_any_write_leaves_its_case_open_or_has_it_closed_by_the_worker(faulty, monkeypatch):
    world, faults = faulty
    monkeypatch.setattr("customers.identity.review._ABANDONED", timedelta(0))
    monkeypatch.setattr("customers.identity.merge_steps._ABANDONED", timedelta(0))
    left_open, states = 0, set()
    for number in range(20):
        people = await world.create(*(world.draft(person(2 * number + each)) for each in range(2)))
        await world.reviewer.cases.add([Finding(CaseKind.SIMILAR, tuple(people), EVIDENCE, 0.8)])
        (case,) = await world.reviewer.cases.about(people)
        faults.arm(number, Failing.GONE)
        failed = False
        try:
            async with world.vault.reading():
                await world.reviewer.merge(world.access(*STEWARD), *people)
        except Exception:  # noqa: BLE001 - whatever it is, it is mended
            failed = True
        faults.disarm()
        joined = any("merged_into" in each for each in await world.store.find(people))
        left_open += joined and (await world.reviewer.cases.get(case.id)).state is CaseState.OPEN
        await world.reviewer.resume()
        joined = any("merged_into" in each for each in await world.store.find(people))
        states.add(state := (await world.reviewer.cases.get(case.id)).state)
        assert state is (CaseState.MERGED if joined else CaseState.OPEN)
        assert not await world.main["identity_cases"].find({"merging": {"$ne": None}}).to_list(None)
        if not failed:
            break
    assert not failed
    assert left_open  # negative control: without the worker some cases would have stayed open
    assert states == {CaseState.OPEN, CaseState.MERGED}
