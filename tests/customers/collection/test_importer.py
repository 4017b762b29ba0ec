"""An import writes whole rows, reports every refused one without its values, and can be taken up again."""

import csv
import resource
import tracemalloc
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from customers.collection import (
    Fault,
    ProfileRow,
    Progress,
    Result,
    RowOutcome,
    errors_file_for,
    import_rows,
    open_table,
    parse_mapping,
)
from customers.errors import HeaderInvalidError, ImportFileError, ImportStoppedError

MAPPING = parse_mapping(
    {"columns": {"email": "email", "first": "given_name", "born": "birth_date"}}, consent_purposes=frozenset()
)


def now():
    return datetime(2026, 3, 1, tzinfo=UTC)


class Shelf:
    """A working store in memory: one profile an e-mail address; may fail at some call."""

    def __init__(self, fail_at: int = -1, taken: frozenset[str] = frozenset()) -> None:
        self.profiles: dict[str, dict] = {}
        self.sizes: list[int] = []
        self.fail_at = fail_at
        self.taken = taken

    async def write(self, rows: Sequence[ProfileRow]) -> Sequence[RowOutcome]:
        if len(self.sizes) == self.fail_at:
            self.fail_at = -1
            raise ConnectionError
        self.sizes.append(len(rows))
        return [self._one(row) for row in rows]

    def _one(self, row: ProfileRow) -> RowOutcome:
        email = row.identifiers[0].value
        if email in self.taken:
            return RowOutcome(Result.REJECTED, Fault.IDENTIFIER_TAKEN, "email")
        known = email in self.profiles
        self.profiles.setdefault(email, {}).update(row.values)
        return RowOutcome(Result.UPDATED if known else Result.CREATED)


def people(path: Path, count: int, bad: dict[int, str] | None = None) -> Path:
    """A file of `count` rows; `bad` replaces rows by number."""
    lines = ["email,first,born\n"]
    lines += [(bad or {}).get(n, f"p{n}@example.org,Person {n},1980-01-01") + "\n" for n in range(2, count + 2)]
    path.write_text("".join(lines))
    return path


def reported(source: Path) -> list[list[str]]:
    with errors_file_for(source).open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def source(tmp_path) -> Path:
    return people(
        tmp_path / "people.csv",
        250,
        {5: "SECRET,Ada,1980-01-01", 120: "x@example.org,SECRET", 121: "a@b.de,x,SECRET"},
    )


async def test_good_rows_are_written_and_bad_ones_reported_by_number_column_and_reason(source):
    shelf = Shelf()
    report = await import_rows(source, MAPPING, shelf, now=now)
    assert (report.rows, report.accepted, report.created, report.updated, report.rejected) == (250, 247, 247, 0, 3)
    assert report.by_reason == {Fault.INVALID_EMAIL: 1, Fault.COLUMN_COUNT: 1, Fault.INVALID_DATE: 1}
    assert shelf.sizes == [99, 98, 50]
    rows = reported(source)
    assert rows[0] == ["row", "line", "column", "reason", "help"]
    assert [row[:4] for row in rows[1:]] == [
        ["5", "5", "email", "INVALID_EMAIL"],
        ["120", "120", "", "COLUMN_COUNT"],
        ["121", "121", "born", "INVALID_DATE"],
    ]
    assert report.errors_file == errors_file_for(source)


async def test_no_value_of_a_refused_row_reaches_the_errors_file_or_the_store(source):
    shelf = Shelf()
    await import_rows(source, MAPPING, shelf, now=now)
    assert "SECRET" in source.read_text()
    assert "SECRET" not in errors_file_for(source).read_text()
    assert "SECRET" not in repr(shelf.profiles)
    assert "a@b.de" not in shelf.profiles


async def test_only_the_owner_may_read_the_errors_file(source):
    await import_rows(source, MAPPING, Shelf(), now=now)
    assert errors_file_for(source).stat().st_mode & 0o777 == 0o600


async def test_a_dry_run_writes_nothing_and_finds_the_same_faults(source):
    shelf = Shelf()
    report = await import_rows(source, MAPPING, shelf, now=now, dry_run=True)
    assert (shelf.sizes, report.created, report.accepted, report.rejected) == ([], 0, 247, 3)
    assert report.dry_run
    dry = reported(source)
    await import_rows(source, MAPPING, shelf, now=now)
    assert reported(source) == dry


async def test_a_second_import_updates_and_a_clean_one_leaves_no_errors_file(tmp_path):
    source, shelf = people(tmp_path / "people.csv", 5), Shelf()
    errors_file_for(source).write_text("left by an earlier run")
    await import_rows(source, MAPPING, shelf, now=now)
    report = await import_rows(source, MAPPING, shelf, now=now)
    assert (report.created, report.updated, report.errors_file) == (0, 5, None)
    assert not errors_file_for(source).exists()


async def test_a_row_the_writer_refuses_is_reported_like_any_other(tmp_path):
    source = people(tmp_path / "people.csv", 3)
    report = await import_rows(source, MAPPING, Shelf(taken=frozenset({"p3@example.org"})), now=now)
    assert (report.created, report.rejected, report.by_reason) == (2, 1, {Fault.IDENTIFIER_TAKEN: 1})
    assert reported(source)[1][:4] == ["3", "3", "email", "IDENTIFIER_TAKEN"]


async def test_an_import_that_was_cut_off_is_resumed_without_loss_or_repetition(source):
    shelf = Shelf(fail_at=1)
    with pytest.raises(ImportStoppedError) as caught:
        await import_rows(source, MAPPING, shelf, now=now)
    assert caught.value.resume_from == 102
    assert isinstance(caught.value.__cause__, ConnectionError)
    assert "(ConnectionError)" in str(caught.value), "why, without another's words: they may hold what was sent"
    # Of the batch that was not written the errors file says nothing yet.
    assert [row[0] for row in reported(source)[1:]] == ["5"]
    report = await import_rows(source, MAPPING, shelf, now=now, resume_from=caught.value.resume_from)
    assert (report.rows, report.created, report.updated, report.rejected) == (150, 148, 0, 2)
    assert len(shelf.profiles) == 247
    assert [row[0] for row in reported(source)] == ["row", "5", "120", "121"]


async def test_resuming_from_the_wrong_row_is_what_would_lose_rows(source):
    # The negative control of the test above.
    shelf = Shelf(fail_at=1)
    with pytest.raises(ImportStoppedError) as caught:
        await import_rows(source, MAPPING, shelf, now=now)
    await import_rows(source, MAPPING, shelf, now=now, resume_from=caught.value.resume_from + 1)
    assert len(shelf.profiles) == 246


async def test_rows_before_quotes_that_are_never_closed_are_written_and_the_end_is_said(tmp_path):
    source = tmp_path / "people.csv"
    good = "".join(f"p{n}@example.org,P,1980-01-01\n" for n in range(40))
    source.write_text("email,first,born\n" + good + 'x,"y\n' * 500)
    shelf = Shelf()
    with pytest.raises(ImportStoppedError, match="never closed"):
        await import_rows(source, MAPPING, shelf, now=now)
    assert len(shelf.profiles) == 40
    assert reported(source)[1][3] == "BAD_QUOTING"


async def test_progress_is_told_after_each_batch(source):
    seen: list[Progress] = []
    await import_rows(source, MAPPING, Shelf(), now=now, on_progress=seen.append)
    assert [each.rows for each in seen] == [100, 200, 250]
    assert seen[-1].bytes_read == seen[-1].bytes_total == source.stat().st_size
    assert seen[-1].created == 247


async def test_json_lines_are_imported_by_the_same_mapping(tmp_path):
    source = tmp_path / "people.jsonl"
    source.write_text('{"email": "a@example.org", "first": "Ada"}\n{"email": 5}\n[]\n')
    shelf = Shelf()
    report = await import_rows(source, MAPPING, shelf, now=now)
    assert shelf.profiles == {"a@example.org": {"given_name": "Ada"}}
    assert report.by_reason == {Fault.INVALID_EMAIL: 1, Fault.NOT_AN_OBJECT: 1}
    assert [row[0] for row in reported(source)[1:]] == ["2", "3"]


async def test_a_file_whose_columns_do_not_fit_is_refused_before_anything_is_written(tmp_path):
    source = tmp_path / "people.csv"
    source.write_text("email,first,born,illness\na@example.org,A,1980-01-01,x\n")
    shelf = Shelf()
    with pytest.raises(HeaderInvalidError):
        await import_rows(source, MAPPING, shelf, now=now)
    assert shelf.sizes == []
    assert not errors_file_for(source).exists()


async def test_an_errors_file_that_cannot_be_made_is_refused_before_anything_is_written(source, tmp_path):
    shelf = Shelf()
    for place in (tmp_path / "nowhere" / "errors.csv", tmp_path, source):
        with pytest.raises(ImportFileError, match="errors file"):
            await import_rows(source, MAPPING, shelf, now=now, errors_to=place)
    other = tmp_path / "other.txt"
    other.write_text("kept")
    (tmp_path / "link.csv").symlink_to(other)
    with pytest.raises(ImportFileError, match="errors file"):
        await import_rows(source, MAPPING, shelf, now=now, errors_to=tmp_path / "link.csv")
    assert shelf.sizes == []
    assert other.read_text() == "kept"
    assert source.read_text().startswith("email,first")


@pytest.mark.parametrize(
    ("name", "cell"),
    [("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t'=1"), ("a;=1", "a;'=1")],
)
async def test_the_errors_file_runs_nothing_in_a_spreadsheet(tmp_path, name, cell):
    source = tmp_path / "people.csv"
    mapping = parse_mapping({"columns": {"email": "email", name: "birth_date"}}, consent_purposes=frozenset())
    with source.open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["email", name], ["a@example.org", "never"]])
    await import_rows(source, mapping, Shelf(), now=now)
    assert reported(source)[1][2] == cell


def many(path: Path, count: int) -> Path:
    """A file of `count` rows, a tenth of them bad."""
    with path.open("w") as file:
        file.write("number,first\n")
        for n in range(count):
            file.write(f"{n}\n" if n % 10 == 0 else f"{n},Person {n}\n")
    return path


# The cheapest rows there are, for the tests of memory.
PLAIN = parse_mapping(
    {"columns": {"number": {"to": "external_id", "type": "crm"}, "first": "given_name"}}, consent_purposes=frozenset()
)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def test_what_an_import_holds_is_a_batch_and_nothing_that_grows(tmp_path):
    source = many(tmp_path / "people.csv", 10_000)
    tracemalloc.start()
    try:
        await import_rows(source, PLAIN, Shelf(), now=now, dry_run=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of the process as Linux tells it")
async def test_two_hundred_thousand_rows_take_no_more_memory_than_twenty_thousand(tmp_path):
    # Tracing every allocation of so many rows takes most of a minute; the memory of the process tells as much.
    source = many(tmp_path / "people.csv", 200_000)
    sizes: list[int] = []

    def measure(progress: Progress) -> None:
        if progress.rows % 20_000 == 0:
            sizes.append(resident_bytes())

    report = await import_rows(source, PLAIN, Shelf(), now=now, dry_run=True, on_progress=measure)
    assert (report.rows, report.accepted, report.rejected) == (200_000, 180_000, 20_000)
    assert len(sizes) == 10
    assert max(sizes) - sizes[0] < 4_000_000
    # The negative control: an import that held its rows would be found out by this measure.
    before = resident_bytes()
    with open_table(source) as table:
        held = list(table.rows)
    assert len(held) == 200_000
    assert resident_bytes() - before > 20_000_000
