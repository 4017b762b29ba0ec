"""Profiles of one person that share no identifier are found over the base, and nothing else is: tokens to decisions."""

import re

import pytest

from customers.errors import ReadNotAllowedError
from customers.identity.finding import MatchingRunningError
from customers.identity.review import CaseState
from tests.customers.identity.finding_people import KEEPER, STEWARD, cases, joined, matching_of, run, values
from vault.candidate_index import MOST

CANARIES = ("Analiese", "Przybylski", "1980-05-17", "19800517", "Hafenweg", "28195", "analiese")


@pytest.fixture
async def matching(world):
    return await matching_of(world)


async def create(world, *people, **given):
    return await world.create(*(world.draft(each, **given) for each in people))


async def test_a_person_with_two_records_is_found_and_waits_for_somebody_with_the_evidence(world, matching):
    one, other, _ = await create(
        world, values(), values(family_name="Przybilski", street="Hafenweg 12a"), values(given_name="Oscar")
    )
    report = await run(world, matching)
    assert (report.indexed, report.compared, report.opened, report.merged) == (3, 3, report.sure + report.grey, 0)
    found = {case.customers: case for case in await cases(world)}
    case = found[tuple(sorted((one, other)))]
    assert case.evidence["given_name"] == "same"
    assert case.evidence["family_name"] == "typo"
    assert await joined(world) == {}


async def test_where_the_policy_says_so_sure_pairs_are_joined_through_the_journal_and_can_be_taken_apart(
    world, matching
):
    one, other = await create(world, values(), values(street="Hafenweg 12a"))
    waiting = await run(world, matching)
    assert (waiting.sure, waiting.merged) == (1, 0)  # negative control: without the policy nobody is joined
    assert await joined(world) == {}
    report = await run(world, matching, merge=True)  # what waited is decided now
    assert (report.merged, await joined(world)) == (1, {other: one})
    assert [case.state for case in await world.reviewer.cases.about([one])] == [CaseState.MERGED]
    (entry,) = await world.main["merges"].find({}).to_list(None)
    assert (entry["purpose"], entry["state"]) == ("identity_resolution", "merged")
    async with world.vault.reading():
        await world.reviewer.unmerge(world.access(*STEWARD), other)
    again = await run(world, matching, merge=True)
    assert (again.merged, await joined(world), await cases(world)) == (0, {}, [])


async def test_who_was_said_to_be_two_is_never_proposed_again_even_as_part_of_somebody_else(world, matching):
    one, other = await create(world, values(), values(street="Hafenweg 12a"))
    await run(world, matching)
    (case,) = await cases(world)
    async with world.vault.reading():
        await world.reviewer.decide(world.access(*STEWARD), case.id, None)
    # A third record of the first: what it is joined with is still not the second.
    (third,) = await create(world, values(city="Bremen Mitte"))
    report = await run(world, matching, merge=True)
    into = await joined(world)
    assert len(into) == 1
    assert {one, other} - into.keys()
    assert not ({one, other} <= {*into.keys(), *into.values()})
    assert third in {*into, *into.values()}
    await world.main["match_records"].delete_many({})
    report = await run(world, matching, merge=True)
    assert (report.merged, report.opened, report.told_apart) == (0, 0, 1)


async def test_no_value_is_in_the_tokens_the_cases_the_parameters_or_the_log(world):
    matching = await matching_of(world, fewest=2, pairs=2_000)
    others = [f"{chr(97 + each // 10)}o{chr(97 + each % 10)}" for each in range(100)]
    await create(
        world,
        values(),
        values(street="Hafenweg 12a"),
        *(
            values(given_name="Analiese" if each % 9 == 0 else f"{other}a", family_name=f"{other}son", street=None)
            for each, other in enumerate(others)
        ),
    )
    report = await run(world, matching)
    assert (report.learnt, report.parameters) == (True, 1)
    held = await matching.parameters.newest()
    common = str(held.parameters.as_document())
    assert "analiese" in common.lower()  # negative control: what many share is in the parameters, under seal
    seen = ""
    for name in ("match_tokens", "match_records", "match_parameters", "match_runs", "identity_cases"):
        documents = await world.main[name].find({}).to_list(None)
        assert documents
        seen += "".join(
            repr({key: bytes(held).hex() if isinstance(held, bytes) else held for key, held in each.items()})
            + b"".join(held for held in each.values() if isinstance(held, bytes)).decode("latin-1")
            for each in documents
        )
    seen += "".join(repr(record) for record in await world.records())
    assert not re.search("|".join(CANARIES), seen, re.IGNORECASE)


async def test_every_look_is_recorded_with_its_purpose_before_anybody_is_compared(world, matching):
    people = await create(world, values(), values(street="Hafenweg 12a"))
    await run(world, matching)
    records = [each for each in await world.records() if each.roles == KEEPER[:1]]
    references = {await world.reference(each) for each in people}
    assert all(each.purpose == "identity_resolution" for each in records)
    assert references <= {subject for each in records for subject in each.subjects}
    before = len(records)
    await run(world, matching)  # nobody changed: nobody is opened
    assert len([each for each in await world.records() if each.roles == KEEPER[:1]]) == before
    with pytest.raises(ReadNotAllowedError):
        await matching.run(world.access("support_agent", "identity_resolution"))


async def test_an_erased_customer_leaves_no_token_no_record_and_no_case(world, matching):
    one, other = await create(world, values(), values(street="Hafenweg 12a"))
    await run(world, matching)
    assert await world.main["match_tokens"].find({"customer_id": one}).to_list(None)  # negative control
    await world.erase(one)
    assert await world.main["match_tokens"].find({"customer_id": one}).to_list(None) == []
    assert await world.main["match_records"].find({"_id": one}).to_list(None) == []
    assert await cases(world) == []
    assert await world.main["match_tokens"].find({"customer_id": other}).to_list(None)
    report = await run(world, matching)
    assert report.pairs == 0


async def test_who_restricted_processing_is_not_opened_and_not_found(world, matching):
    await create(world, values())
    (other,) = await create(world, values(street="Hafenweg 12a"), restricted=True)
    report = await run(world, matching)
    assert (report.indexed, report.pairs) == (1, 0)
    assert await world.main["match_tokens"].find({"customer_id": other}).to_list(None) == []
    reference = await world.reference(other)
    assert not [each for each in await world.records() if each.roles == KEEPER[:1] and reference in each.subjects]


async def test_a_changed_profile_is_found_by_what_it_says_now_and_not_by_what_it_said(world, matching):
    one, other = await create(
        world, values(), values(given_name="Oscar", family_name="Nguyen", birth_date="1999-01-02")
    )
    await run(world, matching)
    assert await cases(world) == []
    before = {
        bytes(each["_id"]) for each in await world.main["match_tokens"].find({"customer_id": other}).to_list(None)
    }
    async with world.vault.reading():
        await world.writer.update(
            world.access("client_app", "data_import"),
            other,
            {"given_name": "Analiese", "family_name": "Przybylski", "birth_date": "1980-05-17"},
        )
    report = await run(world, matching)
    assert (report.indexed, report.compared) == (1, 1)
    assert [case.customers for case in await cases(world)] == [tuple(sorted((one, other)))]
    after = {
        bytes(each["_id"]) for each in await world.main["match_tokens"].find({"customer_id": other}).to_list(None)
    }
    assert before - after


async def test_no_two_rows_share_a_token_so_that_a_copy_does_not_tell_who_shares_what(world, matching):
    await create(world, *(values(street=f"Hafenweg {each}") for each in range(6)))
    await run(world, matching)
    rows = await world.main["match_tokens"].find({}).to_list(None)
    assert len({bytes(each["_id"]) for each in rows}) == len(rows)
    assert {frozenset(each) for each in rows} == {frozenset(("_id", "customer_id", "epoch"))}
    async with world.vault.reading():
        shared = await matching.index.blocks(["1nn\x1fA542\x1fP612"])
    assert set(shared) == {"1nn\x1fA542\x1fP612"}


async def test_a_combination_that_too_many_share_gives_no_candidates(world, matching):
    names = [f"cus_{number:04}" for number in range(MOST + 30)]
    async with world.vault.reading():
        assert await matching.index.replace({each: ["1nn\x1fx"] for each in names[:MOST]}) == 0
        assert await matching.index.blocks(["1nn\x1fx"]) == {"1nn\x1fx": frozenset(names[:MOST])}
        assert await matching.index.replace({each: ["1nn\x1fx"] for each in names[MOST:]}) == 29
        assert await matching.index.blocks(["1nn\x1fx"]) == {"1nn\x1fx": frozenset()}
    rows = await world.main["match_tokens"].find({}).to_list(None)
    assert len(rows) == MOST + 1  # however many share it, a copy shows no more than these


async def test_slots_that_are_given_up_are_taken_again(world, matching):
    names = [f"cus_{number:04}" for number in range(9)]
    async with world.vault.reading():
        await matching.index.replace({each: ["1nn\x1fx", f"1em\x1f{each}"] for each in names})
        await matching.index.replace({each: [] for each in names[1:4]})
        assert (await matching.index.blocks(["1nn\x1fx"]))["1nn\x1fx"] == {names[0], *names[4:]}
        await matching.index.replace({"cus_new": ["1nn\x1fx"]}, new=["cus_new"])
        assert (await matching.index.blocks(["1nn\x1fx"]))["1nn\x1fx"] == {names[0], *names[4:], "cus_new"}
        rows = await world.main["match_tokens"].find({}).to_list(None)
        assert len(rows) == 7 + 6


async def test_only_one_run_goes_on_at_a_time_and_one_that_died_is_followed_by_another(world, matching):
    token = await matching.records.claim()
    with pytest.raises(MatchingRunningError):
        await run(world, matching)
    await matching.records.release(token)
    await run(world, matching)


async def test_a_dry_run_decides_nothing_and_a_limit_leaves_the_rest_for_the_next(world, matching):
    await create(world, values(), values(street="Hafenweg 12a"), values(given_name="Oscar"))
    report = await run(world, matching, merge=True, dry=True)
    assert (report.dry, report.sure, report.opened, report.merged) == (True, 1, 0, 0)
    assert (await cases(world), await joined(world)) == ([], {})
    await matching.rebuild()
    assert await world.main["match_tokens"].find({}).to_list(None) == []
    reports = [await run(world, matching, limit=1) for _ in range(6)]
    assert [each.indexed for each in reports[:3]] == [1, 1, 1]
    assert sum(each.compared for each in reports) == 3
    assert sum(each.sure for each in reports) == 1
