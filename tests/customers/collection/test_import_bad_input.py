"""Files of orders, tickets and events with anything wrong in them: each row gets a clear answer, and none is misread."""

import json
from datetime import UTC, datetime

import pytest

from customers.collection import ImportKind, guess, import_rows, open_table, parse_mapping
from customers.collection.cells import CellError, moment
from customers.collection.money import minor_units
from customers.collection.order_units import order_units
from customers.collection.records import MAX_LINES, Record
from customers.errors import HeaderInvalidError, MappingInvalidError
from tests.customers.collection.importing import ORDERS, TICKETS, faults, written

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HEADER = "mail,no,placed,total,currency,status,back,sku,qty,price"
EVENTS = {
    "user": "user_id",
    "event": "name",
    "type": "type",
    "id": "message_id",
    "at": "timestamp",
    "cost": {"to": "properties.cost", "type": "decimal"},
    "more": "properties",
}


def now():
    return NOW


class Kept:
    """A working store in memory."""

    def __init__(self):
        self.rows = []

    async def write(self, rows):
        from customers.collection import Result, RowOutcome  # noqa: PLC0415 - only here

        self.rows += rows
        return [RowOutcome(Result.CREATED)] * len(rows)


async def read(path, of, columns, **settings):
    """The report of an import, and the rows that would be written."""
    mapping = parse_mapping({"columns": columns, **settings}, consent_purposes=frozenset(), of=of)
    kept = Kept()
    report = await import_rows(path, mapping, kept, now=now)
    return report, kept.rows


def line(**given):
    cells = {
        "mail": "ada@example.org",
        "no": "A-1",
        "placed": "2025-03-01",
        "total": "10",
        "currency": "EUR",
        "status": "",
        "back": "",
        "sku": "",
        "qty": "",
        "price": "",
        **given,
    }
    return ",".join(f'"{cell}"' for cell in cells.values())


@pytest.mark.parametrize(
    ("given", "column", "reason"),
    [
        ({"total": "NaN"}, "total", "INVALID_AMOUNT"),
        ({"total": "inf"}, "total", "INVALID_AMOUNT"),
        ({"total": "1e3"}, "total", "INVALID_AMOUNT"),
        ({"total": "1.234,56"}, "total", "INVALID_AMOUNT"),
        ({"total": "1,234.56"}, "total", "INVALID_AMOUNT"),
        ({"total": "€10"}, "total", "INVALID_AMOUNT"),
        ({"total": "٣"}, "total", "INVALID_AMOUNT"),
        ({"total": "1000000000000"}, "total", "INVALID_AMOUNT"),
        ({"total": "-1"}, "total", "NEGATIVE_AMOUNT"),
        ({"total": "10.005"}, "total", "TOO_MANY_DECIMALS"),
        ({"total": "0.0000000000000000000000000001"}, "total", "TOO_MANY_DECIMALS"),
        ({"total": "10.50", "currency": "JPY"}, "total", "TOO_MANY_DECIMALS"),
        ({"total": "10.005", "currency": "KWD"}, "total", "TOO_MANY_DECIMALS"),
        ({"back": "10.01"}, "back", "INVALID_AMOUNT"),
        ({"currency": "Euro"}, "currency", "INVALID_CURRENCY"),
        ({"currency": ""}, "currency", "MISSING_VALUE"),
        ({"total": ""}, "total", "MISSING_VALUE"),
        ({"total": "", "sku": "A"}, "total", "MISSING_VALUE"),
        ({"no": "x" * 201}, "no", "INVALID_VALUE"),
        ({"placed": ""}, "placed", "MISSING_VALUE"),
        ({"placed": "30000-01-01"}, "placed", "INVALID_DATE"),
        ({"placed": "9999-12-31"}, "placed", "INVALID_DATE"),
        ({"placed": "2026-03-03"}, "placed", "INVALID_DATE"),
        ({"placed": "1969-12-31"}, "placed", "INVALID_DATE"),
        ({"placed": "2025-02-30"}, "placed", "INVALID_DATE"),
        ({"placed": "01.03.2025"}, "placed", "INVALID_DATE"),
        ({"qty": "-2"}, "qty", "INVALID_QUANTITY"),
        ({"qty": "0"}, "qty", "INVALID_QUANTITY"),
        ({"qty": "1.5"}, "qty", "INVALID_QUANTITY"),
        ({"qty": "2000000"}, "qty", "INVALID_QUANTITY"),
        ({"price": "0.001"}, "price", "TOO_MANY_DECIMALS"),
        ({"sku": "x" * 201}, "sku", "FIELD_TOO_LONG"),
        ({"status": "x" * 30_000}, "status", "INVALID_VALUE"),
        ({"status": "ada@example.org"}, "status", "PERSONAL_DATA"),
        ({"mail": ""}, "", "NO_IDENTIFIER"),
        ({"mail": "ada"}, "mail", "INVALID_EMAIL"),
    ],
)
async def test_an_order_that_cannot_be_is_refused_with_its_column_and_the_others_are_not(
    tmp_path, given, column, reason
):
    good = line(no="A-0"), line(no="A-2")
    path = written(tmp_path / "orders.csv", HEADER, good[0], line(**given), good[1])
    report, rows = await read(path, ImportKind.ORDERS, ORDERS)
    assert faults(path) == [(3, column, reason)]
    assert (report.accepted, [row.number_of for row in rows]) == (2, ["A-0", "A-2"])
    assert str(given) not in (tmp_path / "orders.csv.errors.csv").read_text()


@pytest.mark.parametrize(
    ("given", "column", "reason"),
    [
        ({"no": " "}, "no", "MISSING_VALUE"),
        ({"sku": "x" * 1_000_000}, "", "ROW_TOO_LONG"),
        ({"status": "x" * 40_000}, "status", "FIELD_TOO_LONG"),
    ],
)
async def test_where_nobody_can_tell_whose_a_row_is_its_neighbours_are_not_written_either(
    tmp_path, given, column, reason
):
    """It might be a part of either."""
    path = written(tmp_path / "orders.csv", HEADER, *(line(**each) for each in ({"no": "A-0"}, given, {"no": "A-2"})))
    _, rows = await read(path, ImportKind.ORDERS, ORDERS)
    assert faults(path) == [(2, "", "LINE_REFUSED"), (3, column, reason), (4, "", "LINE_REFUSED")]
    assert not rows
    columns = {name: target for name, target in ORDERS.items() if not target.startswith("item.")}
    _, rows = await read(path, ImportKind.ORDERS, columns, unknown_columns="drop")
    assert [row.number_of for row in rows] == ["A-0", "A-2"], "the control: where each order is one row"


def test_an_amount_is_kept_to_the_digit_or_refused():
    assert minor_units("0.1", "EUR") + minor_units("0.2", "EUR") == 30
    assert minor_units("999999999999.99", "EUR") == 99_999_999_999_999
    assert minor_units("10.500", "EUR") == 1050
    assert (minor_units("10.00", "JPY"), minor_units("10.50", "KWD")) == (1000, 1050)
    assert minor_units(7, "EUR") == 700
    for amount in ("123.000000000000000000000000000001", "0.001"):
        with pytest.raises(CellError):
            minor_units(amount, "EUR")


def test_a_moment_is_that_of_its_zone_and_a_day_is_its_beginning():
    assert moment("2025-07-01", None, None, NOW) == datetime(2025, 7, 1, tzinfo=UTC)
    assert moment("2025-07-01 00:30", None, "Europe/Berlin", NOW) == datetime(2025, 6, 30, 22, 30, tzinfo=UTC)
    assert moment("2025-07-01T00:30:00.123456+02:00", None, "America/New_York", NOW) == datetime(
        2025, 6, 30, 22, 30, 0, 123000, tzinfo=UTC
    )
    assert moment("01.07.2025 08:15", "%d.%m.%Y %H:%M", None, NOW) == datetime(2025, 7, 1, 8, 15, tzinfo=UTC)
    for wrong in ("2025-07-01T25:00", "20250701", "2025-W01-1", "1751328000", "0001-01-01T00:00+01:00"):
        with pytest.raises(CellError):
            moment(wrong, None, "Europe/Berlin", NOW)


async def test_the_rows_of_an_order_agree_or_all_of_them_are_refused(tmp_path):
    path = written(
        tmp_path / "orders.csv",
        HEADER,
        line(no="A-1", sku="TEA", price="1", total=""),
        line(no="A-1", sku="CUP", price="2", total="", placed="", currency="", mail=""),  # as shops leave them out
        line(no="A-2", sku="TEA"),
        line(no="A-2", sku="CUP", total="11"),
        line(no="A-3", sku="TEA"),
        line(no="A-3", sku="CUP", qty="-1"),
        line(no="A-4"),
    )
    report, rows = await read(path, ImportKind.ORDERS, ORDERS)
    assert [(row.number_of, row.values["total"], row.lines) for row in rows] == [
        ("A-1", 300, ((2, 2), (3, 3))),
        ("A-4", 1000, ((8, 8),)),
    ]
    assert faults(path) == [
        (4, "", "LINE_REFUSED"),
        (5, "total", "LINES_DISAGREE"),
        (6, "", "LINE_REFUSED"),
        (7, "qty", "INVALID_QUANTITY"),
    ]
    assert (report.rows, report.accepted, report.rejected) == (7, 3, 4)


def record(number, its, fault=None):
    return Record(number, number, {} if fault else {"no": its}, fault)


def units(records, *, several=True):
    found = order_units(records, lambda each: each.cells.get("no"), several=several)
    return [[(each.number, each.fault) for each in unit] for unit in found]


def test_however_many_rows_say_they_are_one_order_a_bounded_number_is_held():
    records = [record(number, "A") for number in range(1, MAX_LINES + 4)] + [record(9_000, "B")]
    found = units(records)
    assert [len(each) for each in found] == [MAX_LINES + 1, 1, 1, 1]
    assert {fault for unit in found[:-1] for _, fault in unit} == {"TOO_MANY_LINES"}
    assert found[-1] == [(9_000, None)], "the control"
    within = [record(number, "A") for number in range(MAX_LINES)]
    assert [fault for unit in units(within) for _, fault in unit] == [None] * MAX_LINES


def test_a_row_nobody_can_read_spoils_its_neighbours_only_where_orders_have_several_rows():
    records = [record(1, "A"), record(2, None, "BAD_QUOTING"), record(3, "B"), record(4, "B"), record(5, "C")]
    assert units(records) == [
        [(1, None), (2, "BAD_QUOTING")],
        [(3, "LINE_REFUSED"), (4, "LINE_REFUSED")],
        [(5, None)],
    ]
    assert units(records, several=False) == [
        [(1, None)],
        [(2, "BAD_QUOTING")],
        [(3, None), (4, None)],
        [(5, None)],
    ]


async def test_items_may_be_a_list_in_one_cell(tmp_path):
    items = [{"sku": "A", "quantity": 2, "price": 1.25}, {"name": "Tea"}]
    orders = [
        {"mail": "ada@example.org", "no": 1, "placed": "2025-01-01", "total": 2.5, "items": items},
        {"mail": "ada@example.org", "no": 2, "placed": "2025-01-01", "total": 1, "items": json.dumps(items)},
        {"mail": "ada@example.org", "no": 3, "placed": "2025-01-01", "total": 1, "items": [{"quantity": -1}]},
        {"mail": "ada@example.org", "no": 4, "placed": "2025-01-01", "total": 1, "items": "{"},
        {"mail": "ada@example.org", "no": 5, "placed": "2025-01-01", "total": 1, "items": [{}] * 501},
    ]
    path = written(tmp_path / "orders.jsonl", *map(json.dumps, orders), '{"no": 6, "total": NaN}')
    columns = {name: ORDERS[name] for name in ("mail", "no", "placed", "total")} | {"items": "items"}
    _, rows = await read(path, ImportKind.ORDERS, columns, currency="EUR")
    kept = [{"sku": "A", "quantity": 2, "price": "1.25"}, {"title": "Tea", "quantity": 1}]
    assert [(row.values["total"], row.values["items"], row.values["units"]) for row in rows] == [
        (250, kept, 3),
        (100, kept, 3),
    ]
    assert faults(path) == [
        (3, "items", "INVALID_QUANTITY"),
        (4, "items", "INVALID_ITEMS"),
        (5, "items", "INVALID_ITEMS"),
        (6, "", "NOT_JSON"),
    ]


async def test_tickets_that_cannot_be_are_refused(tmp_path):
    head = "mail,no,opened,closed,status,subject,body"
    path = written(
        tmp_path / "tickets.csv",
        head,
        "a@b.example,T-1,2025-01-02,2025-01-01,open,S,B",
        "a@b.example,T-2,,,open,S,B",
        f"a@b.example,T-3,2025-01-02,,open,{'x' * 10_001},B",
        "a@b.example,T-4,2025-01-02,,+4915112345678,S,B",
        "a@b.example,T-5,2025-01-02,,open,S,B",
    )
    _, rows = await read(path, ImportKind.TICKETS, TICKETS)
    assert [row.number_of for row in rows] == ["T-5"]
    assert faults(path) == [
        (2, "closed", "INVALID_DATE"),
        (3, "opened", "MISSING_VALUE"),
        (4, "subject", "FIELD_TOO_LONG"),
        (5, "status", "PERSONAL_DATA"),
    ]


async def test_events_are_what_a_sender_would_have_sent_or_refused(tmp_path):
    deep = '{""a"":' * 20 + "1" + "}" * 20
    large = '{""a"": ""' + "x" * 32_700 + '""}'
    rows = [
        'u1,Bought,track,m1,2025-01-01T10:00:00Z,1.5,"{""a"": {""b"": [1, 2.5]}}"',
        "u1,Bought,track,,2025-01-01T10:00:00Z,,",
        "u1,Bought,track,,2025-01-01T10:00:00Z,,",
        ",Bought,track,m2,2025-01-01,,",
        "null,Bought,track,m3,2025-01-01,,",
        "u1,,track,m4,2025-01-01,,",
        "u1,Bought,sing,m5,2025-01-01,,",
        "u1,Bought,track,m6,30000-01-01,,",
        "u1,Bought,track,m7,1985-01-01,,",
        "u1,Bought,track,m8,,,",
        f"u1,Bought,track,{'m' * 101},2025-01-01,,",
        'u1,Bought,track,m9,2025-01-01,,"[1]"',
        'u1,Bought,track,m10,2025-01-01,,"{""a"": NaN}"',
        f'u1,Bought,track,m11,2025-01-01,,"{deep}"',
        f'u1,Bought,track,m12,2025-01-01,,"{large}"',
        "u1,Bought,track,m13,2025-01-01,much,",
    ]
    path = written(tmp_path / "events.csv", "user,event,type,id,at,cost,more", *rows)
    _, kept = await read(path, ImportKind.EVENTS, EVENTS)
    first, second, third = (row.event for row in kept)
    assert first == {
        "type": "track",
        "userId": "u1",
        "messageId": "m1",
        "timestamp": "2025-01-01T10:00:00+00:00",
        "event": "Bought",
        "properties": {"a": {"b": [1, 2.5]}, "cost": 1.5},
    }
    assert second["messageId"] == third["messageId"], "the same row is the same event"
    assert second["messageId"].startswith("row-")
    assert [(row, reason) for row, _, reason in faults(path)] == [
        (5, "NO_IDENTIFIER"),
        (6, "NO_IDENTIFIER"),
        (7, "MISSING_VALUE"),
        (8, "INVALID_VALUE"),
        (9, "INVALID_DATE"),
        (10, "INVALID_DATE"),
        (11, "MISSING_VALUE"),
        (12, "FIELD_TOO_LONG"),
        (13, "NOT_AN_OBJECT"),
        (14, "NOT_JSON"),
        (15, "EVENT_TOO_LARGE"),
        (16, "EVENT_TOO_LARGE"),
        (17, "INVALID_NUMBER"),
    ]


@pytest.mark.parametrize("of", list(ImportKind))
async def test_a_header_with_a_name_twice_is_refused_whatever_the_file_is_full_of(tmp_path, of):
    path = written(tmp_path / "file.csv", "mail,no,MAIL", "a@b.example,1,c@d.example")
    with pytest.raises(HeaderInvalidError, match="columns 1 and 3 have the same name"), open_table(path, of=of):
        pass


async def test_a_file_of_two_encodings_has_its_damaged_rows_refused(tmp_path):
    path = tmp_path / "orders.csv"
    rows = (line(no="A-1", status="geöffnet"), line(no="A-2", status="geöffnet"), line(no="A-3", status="zu"))
    path.write_bytes(b"\n".join([HEADER.encode(), rows[0].encode(), rows[1].encode("latin-1"), rows[2].encode()]))
    columns = {name: target for name, target in ORDERS.items() if not target.startswith("item.")}
    _, kept = await read(path, ImportKind.ORDERS, columns, unknown_columns="drop")
    assert faults(path) == [(3, "status", "BAD_ENCODING")]
    assert [row.values["status"] for row in kept] == ["geöffnet", "zu"]


@pytest.mark.parametrize(
    ("of", "data", "says"),
    [
        (ImportKind.ORDERS, {"columns": {"a": "email", "b": "order_number"}}, "placed_at"),
        (ImportKind.ORDERS, {"columns": ORDERS | {"list": "items"}}, "do not go together"),
        (ImportKind.ORDERS, {"columns": ORDERS, "currency": "euro"}, "ISO 4217"),
        (ImportKind.ORDERS, {"columns": ORDERS, "timezone": "Mars/Base"}, "IANA"),
        (ImportKind.ORDERS, {"columns": ORDERS, "timezone": "../../etc/passwd"}, "IANA"),
        (ImportKind.ORDERS, {"columns": ORDERS, "unknown_customers": "guess"}, "unknown_customers"),
        (ImportKind.ORDERS, {"columns": ORDERS, "unknown_columns": "traits"}, "unknown_columns"),
        (ImportKind.ORDERS, {"columns": ORDERS, "source": "A shop"}, "source"),
        (ImportKind.ORDERS, {"columns": ORDERS | {"x": "given_name"}}, "an order does not have"),
        (ImportKind.TICKETS, {"columns": TICKETS, "currency": "EUR"}, "not a setting of a mapping of tickets"),
        (ImportKind.EVENTS, {"columns": {"a": "user_id", "b": "name"}}, "timestamp"),
        (ImportKind.EVENTS, {"columns": {"a": "email", "b": "name"}}, "an event does not have"),
        (ImportKind.PROFILES, {"columns": {"a": "email"}, "source": ""}, "source"),
    ],
)
def test_a_mapping_that_lacks_what_its_kind_needs_says_what(of, data, says):
    with pytest.raises(MappingInvalidError, match=says):
        parse_mapping(data, consent_purposes=frozenset(), of=of)


def test_a_guess_knows_what_exports_call_things_and_says_what_is_missing(tmp_path):
    orders = written(
        tmp_path / "o.csv", "Order ID,Customer e-mail,Created at,Lineitem sku,Lineitem price,Shop", "1,a@b.c,,,,"
    )
    with open_table(orders) as table:
        found = guess(table, consent_purposes=frozenset(), of=ImportKind.ORDERS)
    assert {each.name: each.target for each in found.columns} == {
        "Order ID": "order_number",
        "Customer e-mail": "email",
        "Created at": "placed_at",
        "Lineitem sku": "item.sku",
        "Lineitem price": "item.price",
        "Shop": None,
    }
    assert "# ? no column becomes currency" in found.toml()
    with pytest.raises(MappingInvalidError, match="currency"):
        found.mapping()
    sent = {
        "type": "track",
        "event": "E",
        "userId": "1",
        "timestamp": "2025-01-01",
        "properties": {"a": {"b": 1}},
        "sentAt": 1,
    }
    events = written(tmp_path / "e.jsonl", json.dumps(sent))
    with open_table(events, of=ImportKind.EVENTS) as table:
        found = guess(table, consent_purposes=frozenset(), of=ImportKind.EVENTS)
    assert {each.name: each.target for each in found.columns} == {
        "type": "type",
        "event": "name",
        "userId": "user_id",
        "timestamp": "timestamp",
        "properties": "properties",
        "sentAt": "-",
    }
    assert "# ?" not in found.toml()
    assert found.mapping().of is ImportKind.EVENTS
