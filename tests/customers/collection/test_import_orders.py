"""Orders and tickets out of files: each whole or refused, once, with the profile's sums exactly right."""

from datetime import UTC, datetime

import pytest

from customers.collection import ImportKind
from customers.errors import ImportStoppedError
from tests.customers.collection.gathering import bought, gathering
from tests.customers.collection.importing import ORDERS, TICKETS, faults, imported, sums, written
from tests.customers.faults import Failing
from tests.schema.world import OFFICER, SUPPORT, person

HEADER = "mail,no,placed,total,currency,status,back,sku,qty,price,shop"
ADA, BOB = person(1)["email"], person(2)["email"]
TOLD = """query ($id: ID!) { profile(id: $id) { orderCount totalSpent currency firstOrderAt lastOrderAt ticketCount
  orders { nodes { total currency units status items placedAt extra } }
  tickets { nodes { openedAt closedAt status subject body extra } } } }"""


@pytest.fixture
async def people(world):
    return await world.create(world.draft(person(1)), world.draft(person(2)))


async def told(world, customer_id, role=OFFICER):
    return (await world.told(TOLD, *role, {"id": customer_id}))["profile"]


def order(number, *, mail=ADA, placed="2025-03-01T10:00:00Z", total="10.00", **given):
    cells = {"currency": "EUR", "status": "shipped", "back": "", "sku": "", "qty": "", "price": "", "shop": ""}
    return ",".join([mail, number, placed, total, *({**cells, **given}).values()])


async def test_rows_of_one_number_are_one_order_and_the_rest_of_its_columns_is_sealed(world, people, tmp_path):
    path = written(
        tmp_path / "orders.csv",
        HEADER,
        order("A-1", total="", sku="TEA", qty="2", price="3.10", shop="north"),
        order("A-1", total="", sku="CUP", price="10", shop="north"),
        order("A-2", placed="2025-04-01", total="5", currency="eur", sku=BOB),
        order("B-1", mail=BOB, total="1000", currency="JPY", status=""),
    )
    report = await imported(world, path, ImportKind.ORDERS, ORDERS)
    assert (report.rows, report.accepted, report.created, report.rejected) == (4, 4, 3, 0)
    ada, bob = people
    found = await told(world, ada)
    assert (found["orderCount"], found["totalSpent"], found["currency"]) == (2, "21.20", "EUR")
    assert (found["firstOrderAt"], found["lastOrderAt"]) == ("2025-03-01T10:00:00Z", "2025-04-01T00:00:00Z")
    second, first = found["orders"]["nodes"]
    assert first["items"] == [
        {"sku": "TEA", "quantity": 2, "price": "3.10"},
        {"sku": "CUP", "quantity": 1, "price": "10.00"},
    ]
    assert (first["total"], first["units"], first["extra"]) == ("16.20", 3, {"shop": "north"})
    assert second["items"] == [{"quantity": 1}], "somebody's address does not stand in clear"
    assert second["extra"] == {"item_1_sku": BOB}
    assert (await told(world, bob))["totalSpent"] == "1000.00"
    assert (await told(world, ada, SUPPORT))["orders"]["nodes"][0]["extra"] is None, "the control: few may see it"
    stored = str(await world.main["orders"].find({}).to_list(None))
    assert not any(value in stored for value in ("north", BOB, "A-1"))
    (record,) = [each for each in await world.records() if each.kind == "write" and each.purpose == "data_import"][
        -1:
    ]
    paths = {path for decision in record.decisions for path in decision.fields}
    assert {"order.total", "order.extra", "profile.order_count"} <= paths
    assert len(record.subjects) == 2


async def test_the_same_file_again_changes_nothing_and_a_mended_one_what_it_says(world, people, tmp_path):
    ada, _ = people
    first = [order("A-1"), order("A-2", placed="2025-05-01", total="20.50"), order("A-3", total="7", currency="USD")]
    path = written(tmp_path / "orders.csv", HEADER, *first)
    await imported(world, path, ImportKind.ORDERS, ORDERS, file="one")
    before = await world.main["orders"].find({}).to_list(None), await world.main["profiles"].find({}).to_list(None)
    report = await imported(world, path, ImportKind.ORDERS, ORDERS, file="one")
    assert (report.created, report.updated, report.unchanged) == (0, 0, 3)
    after = await world.main["orders"].find({}).to_list(None), await world.main["profiles"].find({}).to_list(None)
    assert after == before, "to the byte"

    mended = [
        order("A-1", placed="2024-01-01", total="11"),
        order("A-2", placed="2025-05-01", status="refunded"),
        first[2],
    ]
    written(path, HEADER, *mended)
    report = await imported(world, path, ImportKind.ORDERS, ORDERS, file="two")
    assert (report.created, report.updated, report.unchanged) == (0, 2, 1)
    found, anew = await sums(world, ada)
    assert found == anew
    assert found["total_spent"] == 1100, "what was refunded does not count, nor another currency"
    assert found["first_order_at"] == datetime(2024, 1, 1, tzinfo=UTC)

    written(path, HEADER, *first)  # what is imported last holds
    report = await imported(world, path, ImportKind.ORDERS, ORDERS, file="one again")
    assert report.updated == 2
    found, anew = await sums(world, ada)
    # A file that does not say what was refunded takes no refund back.
    assert found == anew
    assert found["first_order_at"] == datetime(2025, 3, 1, 10, tzinfo=UTC)


async def test_rows_that_cannot_be_written_say_why_and_leave_nothing(world, people, tmp_path):
    ada, _ = people
    await imported(world, written(tmp_path / "a.csv", HEADER, order("A-1")), ImportKind.ORDERS, ORDERS)
    await world.create(world.draft(person(3), restricted=True))
    path = written(
        tmp_path / "orders.csv",
        HEADER,
        order("N-1", mail="nobody@mail.example"),
        order("A-1", mail=BOB),
        order("R-1", mail=person(3)["email"]),
        order("A-2", total="1"),
        order("A-3", total="1"),
        order("A-2", total="2"),
    )
    report = await imported(world, path, ImportKind.ORDERS, ORDERS, file="one")
    expected = [
        (2, "", "UNKNOWN_CUSTOMER"),
        (3, "", "NUMBER_TAKEN"),
        (4, "", "REFUSED"),
        (7, "", "NUMBER_REPEATED"),
    ]
    assert (report.rejected, faults(path)) == (4, expected)
    found, anew = await sums(world, ada)
    assert found == anew
    assert found["order_count"] == 3
    assert await world.main["orders"].count_documents({}) == 3
    again = await imported(world, path, ImportKind.ORDERS, ORDERS, file="one")
    assert (again.rejected, faults(path)) == (4, expected), "and every time"


async def test_customers_nobody_knows_are_made_where_the_mapping_says_so(world, people, tmp_path):
    path = written(
        tmp_path / "orders.csv",
        HEADER,
        order("N-1", mail="new@mail.example"),
        order("N-2", mail="new@mail.example", total="2.50"),
    )
    report = await imported(world, path, ImportKind.ORDERS, ORDERS, unknown_customers="create")
    assert (report.created, report.rejected) == (2, 0)
    made = await world.vault.blind.find("email", "new@mail.example")
    found, anew = await sums(world, made)
    assert found == anew
    assert found["total_spent"] == 1250
    await imported(world, path, ImportKind.ORDERS, ORDERS, unknown_customers="create")
    assert await world.main["profiles"].count_documents({}) == 3


async def test_orders_of_a_source_are_the_same_as_its_events(world, people, tmp_path):
    async with gathering(world) as shop:
        await shop.send({**bought("S-1", "12.00"), "anonymousId": "a-1"})
        customer = await shop.customer()
        path = written(
            tmp_path / "orders.csv",
            "visitor,no,placed,total,currency,updated",
            "a-1,S-1,2026-05-14T09:30:00Z,12.00,EUR,2026-05-14T10:00:00Z",
            "a-1,S-2,2026-05-15,3,EUR,",
        )
        columns = {
            "visitor": "anonymous_id",
            "no": "order_number",
            "placed": "placed_at",
            "total": "total",
            "currency": "currency",
            "updated": "updated_at",
        }
        report = await imported(world, path, ImportKind.ORDERS, columns, source="shop")
        assert (report.created, report.rejected) == (1, 0)
        found, anew = await sums(world, customer)
        assert found == anew
        assert (found["order_count"], found["total_spent"]) == (2, 1500)
        await shop.send({**bought("S-2", "3.00"), "anonymousId": "a-1"})
        assert (await sums(world, customer))[0]["order_count"] == 2, "and the other way round"
        other = await imported(world, path, ImportKind.ORDERS, columns, source="till")
        assert other.created == 2, "the control: another source's numbers are others"


async def test_tickets_are_counted_once_and_say_what_the_last_file_says(world, people, tmp_path):
    ada, _ = people
    rows = [
        f"{ADA},T-1,2025-05-01T08:00:00Z,,open,Where is it,It should have come,web",
        f"{ADA},T-2,2025-06-01,,open,S,B,",
    ]
    path = written(tmp_path / "tickets.csv", "mail,no,opened,closed,status,subject,body,via", *rows)
    assert (await imported(world, path, ImportKind.TICKETS, TICKETS, file="one")).created == 2
    assert (await imported(world, path, ImportKind.TICKETS, TICKETS, file="one")).unchanged == 2
    written(path, "mail,no,opened,closed,status,body", f"{ADA},T-1,2025-05-01T08:00:00Z,2025-05-02,solved,It came")
    columns = {name: target for name, target in TICKETS.items() if name != "subject"}
    assert (await imported(world, path, ImportKind.TICKETS, columns, file="two")).updated == 1
    found = await told(world, ada)
    assert found["ticketCount"] == 2
    assert found["tickets"]["nodes"][1] == {
        "openedAt": "2025-05-01T08:00:00Z",
        "closedAt": "2025-05-02T00:00:00Z",
        "status": "solved",
        "subject": "Where is it",
        "body": "It came",
        "extra": {"via": "web"},
    }
    counted, anew = await sums(world, ada)
    assert counted == anew
    bad = written(
        path,
        "mail,no,opened,closed,status,subject,body",
        f"{BOB},T-1,2025-05-01,,open,,",
        "x@y.example,T-9,2025-05-01,,,,",
    )
    await imported(world, bad, ImportKind.TICKETS, TICKETS)
    assert faults(path) == [(2, "", "NUMBER_TAKEN"), (3, "", "UNKNOWN_CUSTOMER")]


def lines_of(of, run, total):
    """Two orders or tickets of each of two customers, told one way or another."""
    if of is ImportKind.ORDERS:
        rows = [order(f"{run}-{mail}-{each}", mail=mail, total=total) for each in (1, 2) for mail in (ADA, BOB)]
        return [HEADER, *rows], ORDERS
    rows = [f"{mail},{run}-{mail}-{each},2025-05-01,,open,{total},B" for each in (1, 2) for mail in (ADA, BOB)]
    return ["mail,no,opened,closed,status,subject,body", *rows], TICKETS


@pytest.mark.parametrize("of", [ImportKind.ORDERS, ImportKind.TICKETS])
async def test_an_import_that_is_cut_off_at_any_write_counts_everything_once(faulty, tmp_path, of):
    """Also where a mended file is imported next: what was half done is counted, whoever finds it."""
    world, faults_of = faulty
    people = await world.create(world.draft(person(1)), world.draft(person(2)))
    path = tmp_path / "rows.csv"
    lines, columns = lines_of(of, "control", "1.25")
    faults_of.arm(None, None)
    await imported(world, written(path, *lines), of, columns)
    writes = list(faults_of.calls)
    assert len(writes) >= 3, writes
    runs = [(at, how, total) for at in range(len(writes)) for how in Failing for total in ("1.25", "1.75")]
    for run, (at, how, total) in enumerate(runs):
        lines, columns = lines_of(of, run, "1.25")
        faults_of.arm(at, how)
        with pytest.raises(ImportStoppedError):
            await imported(world, written(path, *lines), of, columns)
        faults_of.disarm()
        lines, columns = lines_of(of, run, total)
        report = await imported(world, written(path, *lines), of, columns)
        assert report.rejected == 0
        for each in people:
            found, anew = await sums(world, each)
            assert found == anew, (at, how, total)
    name = "order_count" if of is ImportKind.ORDERS else "ticket_count"
    assert found[name] == 2 * (len(runs) + 1)
