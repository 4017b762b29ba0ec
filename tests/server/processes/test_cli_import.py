"""`confide import` as a process: previewed, checked, written, cut off and gone on with."""

import asyncio
import csv
import re
import shlex
import signal

import pytest

from tests.server.processes.deployment import FIND, READER

MAPPING = """
date_format = "%d.%m.%Y"

[columns]
"Customer no" = { to = "external_id", type = "crm" }
"E-mail" = "email"
"First name" = "given_name"
"Born" = "birth_date"
"Shoe size" = { to = "traits.shoe_size", type = "decimal" }
"Newsletter" = "consents.email_marketing"
"""
HEADER = ["Customer no", "E-mail", "First name", "Born", "Shoe size", "Newsletter"]
PEOPLE = 150
MANY = 450  # several batches
BAD = {3: "grace@example", 5: "@example.org"}


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def row(number, *, email=None):
    return [number, email or f"person{number}@example.org", f"Name {number}", "10.12.1915", "38.5", "yes"]


@pytest.fixture
def files(tmp_path):
    """A file with two bad rows, and its mapping."""
    mapping = tmp_path / "people.toml"
    mapping.write_text(MAPPING)
    return write(tmp_path / "people.csv", [row(each, email=BAD.get(each)) for each in range(1, 9)]), mapping


async def imported(site):
    """The e-mail addresses' customers, as the databases have them."""
    return await site.main["profiles"].find({}, {"_id": 1}).to_list(None)


@pytest.mark.timeout(60)
async def test_a_file_is_previewed_checked_imported_without_its_bad_rows_and_imported_again(shared, files):
    source, mapping = files
    preview = await shared.confide("import", source, "--preview")
    assert preview.code == 0, preview.err
    assert '"E-mail" = "email"' in preview.out
    assert "person1@example.org" not in preview.out

    nothing = {"CONFIDE_MONGO_URI": "mongodb://127.0.0.1:1/"}
    checked = await shared.confide("import", source, "--mapping", mapping, "--dry-run", **nothing)
    assert checked.code == 3, checked.err
    assert "8 rows: 6 would be written, 2 rejected" in checked.out

    written = await shared.confide("import", source, "--mapping", mapping, "--json")
    assert written.code == 3, written.err
    assert {name: written.json[name] for name in ("rows", "created", "updated", "rejected")} == {
        "rows": 8, "created": 6, "updated": 0, "rejected": 2,
    }  # fmt: skip
    errors = source.with_name("people.csv.errors.csv")
    assert [each["reason"] for each in csv.DictReader(errors.read_text().splitlines())] == ["INVALID_EMAIL"] * 2
    assert errors.stat().st_mode & 0o777 == 0o600
    for value in BAD.values():
        assert value not in written.out + written.err + errors.read_text()
    assert len(await imported(shared)) == 6

    write(source, [row(each) for each in range(1, 9)])
    mended = await shared.confide("import", source, "--mapping", mapping, "--json")
    assert mended.code == 0, mended.err
    assert (mended.json["created"], mended.json["updated"]) == (2, 6)
    assert len(await imported(shared)) == 8, "nobody was made twice"

    server = await shared.served()
    found = await shared.ask(server, READER, FIND, value="Person3@Example.org")
    assert found.data["profileByIdentifier"]["email"] == "person3@example.org"
    await server.stop()


@pytest.mark.timeout(60)
async def test_an_import_that_was_killed_goes_on_and_makes_nobody_twice(site, tmp_path):
    mapping = tmp_path / "people.toml"
    mapping.write_text(MAPPING)
    source = write(tmp_path / "people.csv", [row(each) for each in range(1, PEOPLE + 1)])
    command = ("import", source, "--mapping", mapping, "--json")
    importing = await site.start(*command)
    while len(await imported(site)) < 25:
        assert importing.code is None, importing.err
        await asyncio.sleep(0.05)
    importing.signal(signal.SIGKILL)
    assert await importing.wait() == -signal.SIGKILL
    half = len(await imported(site))
    assert 25 <= half < PEOPLE, "the control: it was cut off"
    rest = await site.confide(*command, "--resume-from", str(PEOPLE + 1))
    assert rest.code == 0, rest.err
    assert (rest.json["created"], rest.json["updated"]) == (1, 0), "only the last row"
    whole = await site.confide(*command)
    assert whole.code == 0, whole.err
    assert len(await imported(site)) == PEOPLE
    identifiers = await site.main["blind_index"].find({}, {"customer_id": 1}).to_list(None)
    assert len(identifiers) == 2 * PEOPLE


@pytest.mark.timeout(60)
async def test_an_import_that_is_told_to_stop_ends_after_a_batch_and_says_where_to_go_on(site, tmp_path):
    mapping = tmp_path / "people.toml"
    mapping.write_text(MAPPING)
    source = write(tmp_path / "people.csv", [row(each) for each in range(1, MANY + 1)])
    command = ("import", source, "--mapping", mapping, "--json")
    importing = await site.start(*command)
    while len(await imported(site)) < 25:
        assert importing.code is None, importing.err
        await asyncio.sleep(0.05)
    importing.signal(signal.SIGTERM)
    assert await importing.wait() == 130
    assert "Traceback" not in importing.err
    told = re.search(r"^ *(confide import .*)$", importing.err, re.MULTILINE)[1]
    half = len(await imported(site))
    assert int(re.search(r"--resume-from ([0-9]+)", told)[1]) == half + 2, "row 1 is the header"
    rest = await site.confide(*shlex.split(told)[1:])  # as it is printed
    assert rest.code == 0, rest.err
    assert rest.json["created"] == rest.json["written"] == MANY - half
    beyond = await site.confide(*command, "--resume-from", str(MANY + 2))
    assert beyond.code == 1
    assert beyond.err.strip().endswith(f"no row {MANY + 2} or later to resume from")


async def test_a_file_or_mapping_that_cannot_be_used_is_refused_in_one_line(shared, files, tmp_path):
    source, mapping = files
    mapping.write_text('[columns]\n"E-mail" = "no_such_field"\n')
    wrong_mapping = await shared.confide("import", source, "--mapping", mapping)
    assert wrong_mapping.code == 1
    assert "Traceback" not in wrong_mapping.err
    assert (await shared.confide("import", tmp_path / "none.csv")).code == 2
    unknown = await shared.confide("import", source)
    assert unknown.code == 1, "it has a column that nobody named"
    assert "10.12.1915" not in unknown.err


ORDERS = """
unknown_columns = "extra"
unknown_customers = "create"

[columns]
"no" = "order_number"
"mail" = "email"
"placed" = "placed_at"
"price" = "item.price"
"currency" = "currency"
"""
TICKETS = '[columns]\nno = "ticket_number"\nmail = "email"\nopened = "opened_at"\n'
EVENTS = '[columns]\nuser = "user_id"\nevent = "name"\nat = "timestamp"\n'


@pytest.mark.timeout(90)
async def test_orders_tickets_and_events_are_checked_imported_killed_and_imported_again(site, tmp_path):
    for name, text in (("orders", ORDERS), ("tickets", TICKETS), ("events", EVENTS)):
        (tmp_path / f"{name}.toml").write_text(text)
    orders, tickets, events = (tmp_path / f"{name}.csv" for name in ("orders", "tickets", "events"))
    rows = [f"A-{n // 2},p{n // 2 % 7}@example.org,2025-01-{n % 28 // 2 + 1:02},1.05,EUR,north" for n in range(1200)]
    orders.write_text("\n".join(["no,mail,placed,price,currency,shop", *rows]))
    tickets.write_text("no,mail,opened\nT-1,p1@example.org,2025-01-01\nT-2,nobody@example.org,2025-01-01\n")
    events.write_text("user,event,at\n7,Seen,2024-01-01\n7,Seen,2024-01-02\n")
    command = ("import", orders, "--of", "orders", "--mapping", tmp_path / "orders.toml", "--json")
    nothing = {"CONFIDE_MONGO_URI": "mongodb://127.0.0.1:1/"}
    checked = await site.confide(*command, "--dry-run", **nothing)
    assert (checked.code, checked.json["accepted"]) == (0, 1200), checked.err

    importing = await site.start(*command)
    while len(await site.main["orders"].find({}, {"_id": 1}).to_list(None)) < 100:
        assert importing.code is None, importing.err
        await asyncio.sleep(0.02)
    importing.signal(signal.SIGKILL)
    await importing.wait()
    half = len(await site.main["orders"].find({}, {"_id": 1}).to_list(None))
    assert 100 <= half < 600, "the control: it was cut off"
    whole = await site.confide(*command)
    assert (whole.code, whole.json["rejected"]) == (0, 0), whole.err
    assert whole.json["created"] + whole.json["unchanged"] == 600
    profiles = await site.main["profiles"].find({}).to_list(None)
    assert sum(each["order_count"] for each in profiles) == 600
    assert sum(each["total_spent"] for each in profiles) == 1200 * 105

    counted = await site.confide(
        "import", tickets, "--of", "tickets", "--mapping", tmp_path / "tickets.toml", "--json"
    )
    assert (counted.code, counted.json["created"], counted.json["rejected"]) == (3, 1, 1), counted.err
    assert counted.json["by_reason"] == {"UNKNOWN_CUSTOMER": 1}

    happened = ("import", events, "--of", "events", "--mapping", tmp_path / "events.toml", "--json")
    assert "--source" in (await site.confide(*happened)).err
    assert "no source" in (await site.confide(*happened, "--source", "shop")).err
    assert (await site.confide("sources", "create", "shop")).code == 0
    taken = await site.confide(*happened, "--source", "shop")
    assert (taken.code, taken.json["created"]) == (0, 2), taken.err
    again = await site.confide(*happened, "--source", "shop")
    assert (again.json["created"], again.json["unchanged"]) == (0, 2), again.err
    (visitor,) = await site.main["profiles"].find({"event_count": {"$gt": 0}}).to_list(None)
    assert visitor["event_count"] == 2
