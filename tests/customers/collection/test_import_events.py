"""Events out of files are the source's, taken by its plan, at their own times, and once however often they are imported."""

import pytest

from customers.collection import ImportKind, import_rows, parse_mapping
from customers.collection.event_import import EventImportWriter
from customers.errors import IntakeBusyError
from tests.customers.collection.gathering import gathering, seen
from tests.customers.collection.importing import faults, written
from tests.schema.world import utc_now

COLUMNS = {
    "user": "user_id",
    "event": "name",
    "at": "timestamp",
    "order": "properties.order_id",
    "total": {"to": "properties.total", "type": "decimal"},
    "currency": "properties.currency",
}
HEAD = "user,event,at,order,total,currency,shop"


@pytest.fixture
async def shop(world):
    async with gathering(world) as found:
        yield found
        assert found.errors == []


async def imported(shop, path, *, intake=None):
    data = {"columns": COLUMNS, "unknown_columns": "properties"}
    mapping = parse_mapping(data, consent_purposes=frozenset(), of=ImportKind.EVENTS)
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    writer = EventImportWriter(
        intake or shop.intake,
        shop.source,
        shop.world.writer,
        shop.world.access("client_app", "data_import"),
        now=utc_now,
        sleep=sleep,
    )
    report = await import_rows(path, mapping, writer, now=utc_now)
    await shop.parts.applier.settle()
    return report, waits


async def test_events_are_stored_sealed_at_their_own_times_once(shop, tmp_path):
    path = written(
        tmp_path / "events.csv",
        HEAD,
        "7,Order Completed,2024-05-01T10:00:00Z,O-1,12.50,EUR,north",
        "7,Page Liked,2019-02-03,,,,north",
        ",Nobody's,2024-05-01,,,,",
    )
    report, _ = await imported(shop, path)
    assert (report.created, report.unchanged, report.rejected) == (2, 0, 1)
    assert faults(path) == [(4, "", "NO_IDENTIFIER")]
    again, _ = await imported(shop, path)
    assert (again.created, again.unchanged, again.rejected) == (0, 2, 1)
    stored = await shop.stored()
    assert [each["at"].year for each in stored] == [2019, 2024]
    assert "north" not in str(stored), "what nobody classified is sealed"
    customer = await shop.customer("external_id", "user:7")
    found = await seen(shop, customer)
    assert (found["eventCount"], found["orderCount"], found["totalSpent"]) == (2, 1, "12.50")
    assert found["firstEventAt"] == "2019-02-03T00:00:00Z"
    records = await shop.world.records()
    assert {"data_import", "data_collection"} <= {each.purpose for each in records}
    (mine, *_) = [each for each in records if each.purpose == "data_import"]
    assert "event.properties" in {path for decision in mine.decisions for path in decision.fields}


async def test_an_import_waits_while_the_collection_is_busy(shop, tmp_path):
    path = written(tmp_path / "events.csv", HEAD, "7,Seen,2024-05-01,,,,")

    class Busy:
        """The intake, with no room twice."""

        left = 2

        async def accept(self, *args, **given):
            if self.left:
                self.left -= 1
                raise IntakeBusyError(1.5)
            return await shop.intake.accept(*args, **given)

    report, waits = await imported(shop, path, intake=Busy())
    assert (report.created, waits) == (1, [1.5, 1.5])
