"""The report over the base: what it counts, what it records, what it keeps of anybody (nothing)."""

import asyncio
import gc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from audit import AuditUnavailableError, Kind
from customers.errors import ReadNotAllowedError
from customers.profiles.provenance import Origin, OriginKind
from customers.quality import ReportRunningError, service
from customers.quality.days import DayStore, FieldCount, coarse, told
from customers.quality.report import AT_ONCE
from tests.customers.quality.people import KEEPER, good, people, report, stored
from tests.schema.canaries import everything_stored, leaks


def counts(found):
    return {(each.field, each.kind): each.profiles for each in found}


async def test_the_report_counts_what_is_wrong_by_field_and_reason(world):
    await people(world, 12)
    await people(world, 15, 100, given_name="ANNA LENA")
    await people(world, 11, 200, email=None, postal_code="28")
    found = await report(world)
    assert found.profiles == 38
    assert counts(found.issues) == {("email", "missing"): 11, ("postal_code", "not_of_country"): 11}
    assert counts(found.corrections) == {("given_name", "case"): 15}
    assert found.means.completeness == round((27 * 100 + 11 * 100 * 9 / 13) / 38)
    assert found.means.staleness == 0
    assert found.policy == world.policies.version


async def test_a_value_is_as_old_as_the_last_word_about_it_and_not_as_the_profile(world):
    now = datetime.now(UTC)
    old = Origin(OriginKind.IMPORT, "crm", now - timedelta(days=1200))
    drafts = [replace(stored(world, good(number)), origin=old) for number in range(1, 12)]
    ids = await world.create(*drafts)
    stale = {(name, "stale"): 11 for name in ("email", "phone", "street", "postal_code", "city")}
    assert counts((await report(world)).issues) == stale, "although the profiles were made just now"
    for each in ids:
        async with world.vault.reading():
            await world.writer.update(world.access(), each, {"city": "Bremen"})
    found = await report(world)
    assert counts(found.issues) == {place: number for place, number in stale.items() if place[0] != "city"}
    assert found.means.staleness > 0
    query = "query ($id: ID!) { profile(id: $id) { quality { issues { field kind } } } }"
    judged = (await world.told(query, *KEEPER, {"id": ids[0]}))["profile"]["quality"]["issues"]
    assert {each["field"] for each in judged if each["kind"] == "STALE"} == {
        "email",
        "phone",
        "street",
        "postal_code",
    }


async def test_few_are_told_as_few_and_means_of_few_are_not_told(world):
    await people(world, 3, country="UK")
    found = await report(world)
    assert found.profiles is None
    assert told(found.profiles) == "fewer than 11"
    assert found.issues == (FieldCount("country", "unknown_country", None),)
    assert (found.means.score, found.means.validity) == (None, None)
    day = await world.main["quality_days"].find_one({})
    assert day["result"]["profiles"] is None, "the number is not even stored"


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (1, None), (10, None), (11, 11)])
def test_a_count_below_eleven_is_coarse(count, kept):
    assert coarse(count) == kept


async def test_an_empty_base_has_an_empty_report(world):
    found = await report(world)
    assert (found.profiles, found.issues, found.duplicates.pairs) == (0, (), 0)


async def test_every_page_is_a_record_of_its_own_with_everybody_in_it_before_it_counts(world):
    ids = await people(world, AT_ONCE + 20)
    seen = []
    await report(world, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(AT_ONCE, AT_ONCE + 20), (AT_ONCE + 20, AT_ONCE + 20)]
    records = [each for each in await world.records(purpose="data_quality") if each.kind is Kind.READ]
    assert len(records[0].subjects) == AT_ONCE
    subjects = {each for record in records for each in record.subjects}
    assert subjects == {await world.reference(each) for each in ids}
    read = {path for record in records for decision in record.decisions for path in decision.fields}
    assert "profile.email" in read
    assert not read & {"profile.national_id", "profile.notes", "profile.traits"}, "what is not judged is not opened"


async def test_without_a_record_there_is_no_report(faulty):
    world, _ = faulty
    await people(world, 3)

    class Refusing:
        async def append(self, _record):
            raise AuditUnavailableError

    broken = replace(world.services.quality, _parts=replace(world.services.quality._parts, log=Refusing()))
    with pytest.raises(AuditUnavailableError):
        await broken.run(world.access(*KEEPER))
    assert await world.services.quality.latest(world.access(*KEEPER)) is None
    assert await world.main["quality_corrections"].count_documents({}) == 0
    assert (await report(world)).profiles is None, "the failed one keeps nobody from making it"


async def test_whoever_has_restricted_the_use_of_their_data_is_not_looked_at(world):
    await people(world, 2)
    await world.create(*[stored(world, good(50 + n, country="UK"), restricted=True) for n in range(11)])
    found = await report(world)
    assert found.not_allowed == 11
    assert found.issues == ()
    assert await world.main["quality_corrections"].count_documents({}) == 0


async def test_nobody_whose_role_sees_no_values_makes_a_report(world):
    await people(world, 1)
    for who in (("administrator", "data_management"), ("auditor", "audit"), ("record_keeper", "marketing")):
        with pytest.raises(ReadNotAllowedError):
            await report(world, access=world.access(*who))
    assert await world.records(purpose="data_quality") == []


async def test_fields_that_are_masked_for_the_caller_are_not_judged(world):
    """A steward of identities sees only masks of names; the report knows no more than they do."""
    await people(world, 11, given_name="xxx", country="UK")
    found = await report(world, access=world.access("data_steward", "identity_resolution"))
    assert counts(found.issues) == {("country", "unknown_country"): 11}
    assert ("given_name", "placeholder") in counts((await report(world)).issues)


async def test_nothing_that_is_stored_of_it_holds_a_value(world):
    values = {
        "given_name": "CANARYELLA",
        "family_name": "KANARIENVOGEL",
        "street": "  Canary Wharf 4711",
        "city": "CANARYTOWN",
        "postal_code": "28195x-canary",
        "email": "canary.bird@aviary-canary.example",
    }
    await world.create(stored(world, good(1, **values)))
    await world.create(stored(world, good(2, **{**values, "email": "canary2.bird@aviary-canary.example"})))
    await report(world)
    assert await world.main["quality_corrections"].count_documents({}) == 6
    suggested = ("Canaryella", "Kanarienvogel", "Canarytown")
    kept = await everything_stored(world.main, world.keys, world.audit)
    assert leaks((*values.values(), *suggested), kept) == set()
    await world.main["quality_days"].insert_one({"_id": "planted", "day": "planted", "note": "Canarytown"})
    planted = await everything_stored(world.main)
    assert leaks(suggested, planted), "control: one that is there is found"


async def test_an_erased_customer_leaves_the_queue_with_everything_else(world):
    (ada,) = await people(world, 1, city="BREMEN")
    (bob,) = await people(world, 1, 2, city="BREMEN")
    await report(world)
    assert await world.main["quality_corrections"].count_documents({"customer_id": ada}) == 1
    await world.erase(ada)
    assert [each["customer_id"] for each in await world.main["quality_corrections"].find({}).to_list(None)] == [bob]


async def test_two_profiles_that_look_like_one_person_are_counted_and_go_to_review(world):
    twice = good(7)
    await people(world, 12, 20)
    one, two = await world.create(
        world.draft(twice), world.draft({**twice, "email": "other@post7.example", "phone": "+4915112999999"})
    )
    found = await report(world)
    assert found.duplicates.share == 1
    assert found.duplicates.compared >= 1
    assert (found.duplicates.sure, found.duplicates.review).count(None) == 1, "one pair, so fewer than eleven"
    cases = await world.main["identity_cases"].find({}).to_list(None)
    assert [sorted(each["customers"]) for each in cases] == [sorted((one, two))]
    assert leaks(("Dorf", twice["street"]), await everything_stored(world.main)) == set()


async def test_profiles_that_were_merged_are_looked_at_as_one(world):
    one, two = await people(world, 2, country="UK")
    async with world.vault.reading():
        await world.reviewer.merger.merge(world.access("data_steward", "identity_resolution"), one, two)
    await report(world)
    queue = await world.main["quality_corrections"].find({}).to_list(None)
    assert [each["customer_id"] for each in queue] == [one]


async def test_one_report_a_day_is_made_by_one_process_and_anew_when_asked(world):
    await people(world, 1)
    made = await asyncio.gather(*[report(world, again=False) for _ in range(4)], return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == ["Report", *["ReportRunningError"] * 3]
    with pytest.raises(ReportRunningError):
        await report(world, again=False)
    assert await report(world, again=True)


async def test_a_report_whose_maker_died_can_be_taken_over_and_the_dead_one_writes_nothing(world):
    clock = [datetime(2026, 3, 1, 4, tzinfo=UTC)]
    days = DayStore(world.main, now=lambda: clock[0], random=bytes)
    await days.prepare()
    day = clock[0].date()
    first = await days.claim(day, again=False)
    assert await days.claim(day, again=True) is None
    clock[0] += timedelta(minutes=6)
    other = DayStore(world.main, now=lambda: clock[0], random=lambda size: b"\1" * size)
    second = await other.claim(day, again=False)
    assert second is not None
    with pytest.raises(ReportRunningError):
        await days.extend(day, first)
    await other.extend(day, second)


async def test_the_worker_makes_it_from_its_hour_on_and_once(world, monkeypatch):
    await people(world, 1)
    quality = world.services.quality
    clock = [datetime(2026, 3, 1, 2, 59, tzinfo=UTC)]

    def at(standards=quality.standards):
        parts = replace(quality._parts, now=lambda: clock[0])
        parts.days._now = lambda: clock[0]
        return service.QualityService(standards, quality.corrections, parts)

    access = world.access(*KEEPER)
    try:
        assert await at().run_if_due(access) is None, "too early"
        clock[0] = clock[0].replace(hour=3)
        assert await at(replace(quality.standards, daily_at=None)).run_if_due(access) is None, "not wanted"
        assert (await at().run_if_due(access)).day == clock[0].date()
        assert await at().run_if_due(access) is None, "made already"
        clock[0] += timedelta(days=1)
        assert await at().run_if_due(access)
        trend = await at().trend(access, 30)
        assert [each.day.day for each in trend] == [2, 1]
        assert [each.day.day for each in await at().trend(access, 1)] == [2]
    finally:
        quality._parts.days._now = world.services.now


async def test_memory_does_not_hold_anybody_between_pages(world, monkeypatch):
    """What a page revealed is gone when the next one is read, but for digests and counts."""
    for start in (1, 101, 201):
        await people(world, 100, start)
    alive = []
    gateway = world.services.quality._parts.gateway
    original = gateway.page

    class Watched(dict):
        pass

    async def page(access, names, query):
        alive.append(sum(isinstance(each, Watched) for each in gc.get_objects()))
        found = await original(access, names, query)
        return replace(found, items=tuple(Watched(each) for each in found.items))

    monkeypatch.setattr(gateway, "page", page)
    await report(world)
    # The page before may still be held by the variable it stood in; the ones before that not.
    assert len(alive) == 3
    assert alive[0] == 0
    assert alive[2] <= AT_ONCE
    kept = []
    alive.clear()
    keeping = world.services.quality._parts.gateway.page

    async def hoard(*args):
        kept.append(await keeping(*args))
        return kept[-1]

    monkeypatch.setattr(gateway, "page", hoard)
    await report(world)
    assert alive[2] == 2 * AT_ONCE, "control: pages that are kept are seen"
