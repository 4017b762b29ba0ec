"""Violations are counted, listed, and can neither tell anything of a person nor fill the database."""

from datetime import UTC, date, datetime, timedelta

import pytest

from customers.collection import violations
from customers.collection.events import Rejection
from customers.collection.violations import Violation, ViolationKind, ViolationStore
from customers.errors import CursorInvalidError

NOW = datetime(2026, 5, 14, 12, tzinfo=UTC)
TODAY = NOW.date()
UNPLANNED = Violation(ViolationKind.UNPLANNED_EVENT)
INVALID = Violation(ViolationKind.INVALID_PROPERTY, "Order Completed", "total")
THIRD = Violation(ViolationKind.UNPLANNED_PROPERTY, "Order Completed", place=3)


@pytest.fixture
async def store(databases):
    found = ViolationStore(databases.main)
    await found.prepare()
    return found


async def listed(store, **options):
    found, _ = await store.page(TODAY, limit=500, **options)
    return {(each.source, each.event, each.subject, each.kind): each.count for each in found}


async def test_violations_are_counted_with_their_first_and_last_time(store):
    store.note("web", [INVALID, INVALID, UNPLANNED], NOW)
    await store.flush()
    store.note("web", [INVALID, THIRD], NOW + timedelta(minutes=5))
    store.note("web", [INVALID], NOW - timedelta(minutes=5))
    store.note("till", [Violation(Rejection.NO_ID, "track")], NOW)
    assert await store.flush() == 3
    assert await listed(store) == {
        ("web", "Order Completed", "total", "invalid_property"): 4,
        ("web", "unplanned", "", "unplanned_event"): 1,
        ("web", "Order Completed", "property 3", "unplanned_property"): 1,
        ("till", "track", "", "no_id"): 1,
    }
    found = next(each for each in (await store.page(TODAY))[0] if each.count == 4)
    assert (found.first_at, found.last_at) == tuple(
        (NOW + timedelta(minutes=minutes)).replace(tzinfo=found.first_at.tzinfo) for minutes in (-5, 5)
    )
    assert (found.day, found.source) == (TODAY, "web")
    assert await store.flush() == 0


async def test_counts_are_by_day_in_utc_and_by_source(store):
    store.note("web", [UNPLANNED], NOW)
    store.note("web", [UNPLANNED], NOW - timedelta(days=1))
    store.note("till", [UNPLANNED], NOW)
    await store.flush()
    found, _ = await store.page(TODAY, source="web")
    assert [each.day for each in found] == [TODAY, TODAY - timedelta(days=1)]
    assert len(await listed(store)) == 2
    assert await listed(store, source="nobody") == {}


async def test_places_beyond_the_twentieth_are_told_apart_no_more(store):
    store.note(
        "web", [Violation(ViolationKind.UNPLANNED_PROPERTY, "Seen", place=place) for place in range(1, 1001)], NOW
    )
    await store.flush()
    found = await listed(store)
    assert len(found) == 21
    assert found["web", "Seen", "a property after 20", "unplanned_property"] == 980


async def test_pages_give_every_count_once_from_the_newest_day_on(store):
    expected = set()
    for back in (0, 1, 2, 9, 40, 41, 300):
        for number in range(7):
            store.note("web", [Violation(ViolationKind.BAD_NAME, f"Event {number}")], NOW - timedelta(days=back))
            expected.add((TODAY - timedelta(days=back), f"Event {number}"))
    await store.flush()
    for limit in (1, 5, 7, 48, 49, 50):
        found, cursor = [], None
        while True:
            page, cursor = await store.page(TODAY, after=cursor, limit=limit)
            assert 0 < len(page) <= limit
            found += page
            if cursor is None:
                break
        assert len(found) == len(expected)
        assert {(each.day, each.event) for each in found} == expected
        assert [each.day for each in found] == sorted((each.day for each in found), reverse=True)


@pytest.mark.parametrize("cursor", ["x", "2026-99-01/ab", "/", "1/2/3"])
async def test_a_cursor_that_is_none_is_refused(store, cursor):
    with pytest.raises(CursorInvalidError):
        await store.page(TODAY, after=cursor)


async def test_a_sender_of_made_up_events_adds_nothing_but_to_one_count(store):
    """What names could be made up never gets here; were it to, the limit of a source and day would hold."""
    for number in range(500):
        store.note("web", [Violation(ViolationKind.UNPLANNED_EVENT)], NOW + timedelta(seconds=number))
    await store.flush()
    assert await listed(store) == {("web", "unplanned", "", "unplanned_event"): 500}


async def test_beyond_the_limit_of_a_source_and_day_the_rest_is_counted_together(databases, monkeypatch):
    monkeypatch.setattr(violations, "MOST_A_DAY", 30)
    stores = [ViolationStore(databases.main) for _ in range(2)]
    for number in range(100):
        stores[number % 2].note("web", [Violation(ViolationKind.BAD_NAME, f"Event {number}")], NOW)
    for store in stores:
        await store.flush()
    again = ViolationStore(databases.main)  # as after a restart
    again.note("web", [Violation(ViolationKind.BAD_NAME, f"Later {number}") for number in range(50)], NOW)
    again.note("till", [UNPLANNED], NOW)
    await again.flush()
    found = await listed(again)
    assert len([key for key in found if key[0] == "web"]) <= 2 * 30 + 1
    assert sum(found.values()) == 151
    assert found["web", "other", "", "other"] >= 50
    assert found["till", "unplanned", "", "unplanned_event"] == 1


async def test_what_waits_to_be_written_is_bounded(databases, monkeypatch):
    monkeypatch.setattr(violations, "_MOST_WAITING", 10)
    store = ViolationStore(databases.main)
    store.note("web", [Violation(ViolationKind.BAD_NAME, f"Event {number}") for number in range(1000)], NOW)
    assert len(store._waiting) == 11
    await store.flush()
    assert sum((await listed(store)).values()) == 1000


async def test_counts_that_could_not_be_written_are_kept_for_the_next_time(store, monkeypatch):
    store.note("web", [INVALID, UNPLANNED], NOW)
    update = store._counts.update_one
    failing = [True]

    class Failing:
        def __getattr__(self, name):
            return getattr(store_counts, name)

        async def update_one(self, *arguments, **options):
            if failing[0]:
                raise ConnectionError
            return await update(*arguments, **options)

    store_counts = store._counts
    monkeypatch.setattr(store, "_counts", Failing())
    with pytest.raises(ConnectionError):
        await store.flush()
    store.note("web", [INVALID], NOW)
    failing[0] = False
    await store.flush()
    assert (await listed(store))["web", "Order Completed", "total", "invalid_property"] == 2


async def test_old_counts_are_forgotten_a_few_at_a_time(store):
    for back in (0, 10, 400, 401):
        store.note("web", [INVALID, UNPLANNED], NOW - timedelta(days=back))
    await store.flush()
    before = date(2026, 1, 1)
    assert await store.forget(before, most=3) == 3
    assert await store.forget(before, most=3) == 1
    assert await store.forget(before) == 0
    assert len((await store.page(TODAY))[0]) == 4
