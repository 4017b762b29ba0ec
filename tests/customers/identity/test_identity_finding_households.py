"""Households, twins and namesakes in the base: nobody is joined falsely, and what is found is what the library finds."""

from datetime import timedelta

import pytest

from benchmarks.identity_households import people as invented
from benchmarks.identity_store import by_library, create, through_store, writable
from customers.identity.matching import prepare, texts
from customers.identity.model import IdentifierType
from tests.customers.faults import Failing
from tests.customers.identity.finding_people import KEEPER, STEWARD, cases, joined, matching_of, run, values


async def test_the_search_over_the_base_finds_and_joins_just_whom_the_library_does_and_nobody_falsely(world):
    matching = await matching_of(world, fewest=2, pairs=4_000)
    every = list(invented(12, 30))
    held = writable(world.vault, [written for _, written in every])
    ids = await create(world.vault, world.writer, world.access(), held)
    expected = by_library([prepare(**each) for each in held], 4_000)
    access = {who[0]: world.access(*who) for who in (KEEPER, STEWARD)}
    figures = await through_store(matching, world.store, ids, [owner for owner, _ in every], expected, access)
    assert figures.merged > 10
    assert not figures.missed(), figures


TWINS = {
    "lena_and_lina": (values(given_name="Lena"), values(given_name="Lina")),
    "father_and_son": (values(given_name="Jörg"), values(given_name="Jörg", birth_date="2010-03-02")),
    "twins_of_other_names": (values(given_name="Oscar"), values(given_name="Felix")),
    "namesakes_of_one_day": (
        values(street=None, postal_code=None, city=None, country=None),
        values(street="Calle Mayor 1", postal_code="28013", city="Madrid", country="ES"),
    ),
}


@pytest.mark.parametrize("which", TWINS)
async def test_who_could_be_kin_or_a_namesake_is_never_joined_with_nobody_looking(world, which):
    matching = await matching_of(world)
    await world.create(*map(world.draft, TWINS[which]))
    report = await run(world, matching, merge=True)
    assert (report.merged, await joined(world)) == (0, {})


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (["crm:1"], ["crm:2"]),  # two ids of one system cannot be one person's
        (None, None),  # negative control: without ids the two are joined
    ],
)
async def test_two_identified_people_whom_the_rules_keep_apart_are_left_to_a_person(world, mine, theirs):
    matching = await matching_of(world)
    await world.create(
        world.draft(values(), external=mine or ()), world.draft(values(street="Hafenweg 12a"), external=theirs or ())
    )
    report = await run(world, matching, merge=True)
    assert (report.sure, report.merged, report.held) == ((1, 0, 1) if mine else (1, 1, 0))
    assert len(await cases(world)) == (1 if mine else 0)
    again = await run(world, matching, merge=True)
    assert (again.merged, again.held) == (0, 0)  # it is a person's to decide now


@pytest.mark.parametrize(("each", "merged"), [(3, 0), (2, 1)])  # the second is the negative control
async def test_more_numbers_than_one_person_may_have_keep_two_apart(world, each, merged):
    matching = await matching_of(world)
    people = await world.create(world.draft(values()), world.draft(values(street="Hafenweg 12a")))
    for number, who in enumerate(people * each):
        identifier = world.writer.identifier(IdentifierType.PHONE, f"+4915112{number:06d}", "phone")
        async with world.vault.reading():
            await world.writer.add_identifier(world.access("client_app", "data_import"), who, identifier)
    await world.main["profiles"].update_many({}, {"$unset": {"sealed.contact": ""}})  # so that they are still sure
    report = await run(world, matching, merge=True)
    assert (report.sure, report.merged, report.held) == (1, merged, 1 - merged)


async def test_a_run_cut_off_at_any_write_is_brought_to_its_end_by_the_next(faulty, monkeypatch):
    world, faults = faulty
    for name in ("review", "merge_steps"):
        monkeypatch.setattr(f"customers.identity.{name}._ABANDONED", timedelta(0))
    matching = await matching_of(world)
    people = await world.create(*(world.draft(each) for each in (values(), values(street="Hafenweg 12a"))))
    cut = 0
    for number in range(0, 60, 7):
        for name in ("match_tokens", "match_records", "match_runs", "identity_cases"):
            await world.main[name].delete_many({})
        faults.arm(number, Failing.GONE)
        try:
            await run(world, matching, merge=True)
        except Exception:  # noqa: BLE001 - whatever it is, the next run mends it
            cut += 1
        finally:
            faults.disarm()
        await world.main["match_runs"].delete_many({})  # its lease is over
        await world.reviewer.resume()
        await run(world, matching, merge=True)
        into = await joined(world)
        assert len(into) == 1
        assert [case.state.value for case in await world.reviewer.cases.about(people)] == ["merged"]
        ((absorbed, _),) = into.items()
        async with world.vault.reading():
            await world.reviewer.merger.unmerge(world.access(*STEWARD), absorbed)
    assert cut > 3  # negative control


async def test_when_the_index_key_is_rotated_old_tokens_match_nothing_and_the_next_run_makes_new_ones(fresh_world):
    world = fresh_world
    matching = await matching_of(world)
    one, other = await world.create(world.draft(values()), world.draft(values(street="Hafenweg 12a")))
    await run(world, matching)
    before = {bytes(each["_id"]) for each in await world.main["match_tokens"].find({}).to_list(None)}
    compared = (await run(world, matching)).compared

    async def entries():
        for each in ():
            yield each

    await world.vault.rotate_index(entries())
    (epoch,) = world.vault.contents.index_keys
    assert epoch == 2
    async with world.vault.reading():
        text = min(texts(prepare(**values())) & texts(prepare(**values(street="Hafenweg 12a"))))  # finds both
        assert await matching.index.blocks([text]) == {text: frozenset()}
    report = await run(world, matching)
    assert (report.indexed, report.compared, compared) == (2, 0, 0)  # new tokens, and nobody is compared again for it
    rows = await world.main["match_tokens"].find({}).to_list(None)
    assert {each["epoch"] for each in rows} == {2}
    assert before.isdisjoint(bytes(each["_id"]) for each in rows)
    async with world.vault.reading():
        assert await matching.index.blocks([text]) == {text: frozenset((one, other))}
