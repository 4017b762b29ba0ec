"""`confide import` as a process: previewed, checked, written, cut off and gone on with."""

import asyncio
import csv
import re
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
    source = write(tmp_path / "people.csv", [row(each) for each in range(1, PEOPLE + 1)])
    command = ("import", source, "--mapping", mapping, "--json")
    importing = await site.start(*command)
    while len(await imported(site)) < 25:
        assert importing.code is None, importing.err
        await asyncio.sleep(0.05)
    importing.signal(signal.SIGTERM)
    assert await importing.wait() == 130
    assert "Traceback" not in importing.err
    row_to_go_on = re.search(r"--resume-from ([0-9]+) --json", importing.err)[1]
    half = len(await imported(site))
    assert int(row_to_go_on) == half + 2, "row 1 is the header"
    rest = await site.confide(*command, "--resume-from", row_to_go_on)
    assert rest.code == 0, rest.err
    assert rest.json["created"] == rest.json["written"] == PEOPLE - half
    beyond = await site.confide(*command, "--resume-from", str(PEOPLE + 2))
    assert beyond.code == 1
    assert beyond.err.strip().endswith(f"no row {PEOPLE + 2} or later to resume from")


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
