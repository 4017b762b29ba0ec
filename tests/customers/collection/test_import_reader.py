"""Files are read exactly, in any encoding, and a broken row breaks nothing but itself."""

import csv
import io
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.collection.csv_rows import DELIMITERS, Feed
from customers.collection.encoding import detect_encoding
from customers.collection.model import Fault
from customers.collection.reader import Format, file_format, open_table
from customers.collection.records import MAX_CELL, MAX_COLUMNS, MAX_ROW
from customers.errors import HeaderInvalidError, ImportFileError, ImportStoppedError

COLUMNS = ("alpha", "beta", "gamma")


def read(path: Path, **options):
    with open_table(path, **options) as table:
        return list(table.rows)


def read_bytes(tmp_path: Path, content: bytes, name: str = "people.csv", **options):
    path = tmp_path / name
    path.write_bytes(content)
    return read(path, **options)


def faults(records):
    return [(record.number, record.fault) for record in records if record.fault]


def cells(alphabet):
    return st.text(alphabet, max_size=12)


ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufffd")
LATIN = st.characters(min_codepoint=1, max_codepoint=255)


@given(
    rows=st.lists(st.tuples(cells(ANY), cells(ANY), cells(ANY)), max_size=8),
    delimiter=st.sampled_from(DELIMITERS),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    end=st.sampled_from(["\r\n", "\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_is_written_as_csv_is_read_again(tmp_path_factory, rows, delimiter, encoding, end, quoting):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(COLUMNS)
    # The csv module leaves a lone carriage return without quotes when lines end in \n, which no reader can undo.
    rows = [row for row in rows if quoting == csv.QUOTE_ALL or not any("\r" in cell or "\n" in cell for cell in row)]
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("round") / "people.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    records = read(path, encoding=encoding, delimiter=delimiter)
    assert [tuple(record.cells.values()) for record in records] == rows
    assert [record.number for record in records] == list(range(2, len(rows) + 2))


@given(rows=st.lists(st.tuples(cells(LATIN), cells(LATIN), cells(LATIN)), max_size=8))
def test_latin_1_is_read_when_it_is_declared(tmp_path_factory, rows):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("round") / "people.csv"
    path.write_bytes(text.getvalue().encode("latin-1"))
    assert [tuple(record.cells.values()) for record in read(path, encoding="latin-1", delimiter=",")] == rows


JSON_VALUE = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | cells(ANY)


@given(
    rows=st.lists(st.dictionaries(st.text("abcdefgh", min_size=1), JSON_VALUE, max_size=5), max_size=6),
    ascii_only=st.booleans(),
)
def test_what_is_written_as_json_lines_is_read_again(tmp_path_factory, rows, ascii_only):
    path = tmp_path_factory.mktemp("round") / "people.jsonl"
    lines = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    path.write_text(lines or "\n ", encoding="utf-8")
    if not rows:
        with pytest.raises(ImportFileError, match="empty"):
            read(path)
        return
    records = read(path)
    assert [dict(record.cells) for record in records] == rows
    assert faults(records) == []


@settings(max_examples=200)
@given(content=st.binary(min_size=1, max_size=400), suffix=st.sampled_from([".csv", ".jsonl"]))
def test_any_bytes_give_rows_faults_or_a_refusal_and_nothing_else(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("fuzz") / f"people{suffix}"
    path.write_bytes(content)
    try:
        with open_table(path) as table:
            numbers = []
            for record in table.rows:
                numbers.append(record.number)
                if table.columns and record.fault is None:
                    assert tuple(record.cells) == table.columns
    except (ImportFileError, ImportStoppedError):
        return
    assert numbers == sorted(set(numbers))


BROKEN = {
    b'x,"never closed,y\n': Fault.BAD_QUOTING,
    b'x,5" disk,y\n': Fault.BAD_QUOTING,
    b'"x"y,1,2\n': Fault.BAD_QUOTING,
    b"only,two\n": Fault.COLUMN_COUNT,
    b"one,two,three,four\n": Fault.COLUMN_COUNT,
    b"x,\0,y\n": Fault.NUL_CHARACTER,
    b"x,\xff\xfe,y\n": Fault.BAD_ENCODING,
    b"x," + b"y" * (MAX_CELL + 1) + b",z\n": Fault.FIELD_TOO_LONG,
    b"x," + b"y" * (MAX_ROW + 1) + b",z\n": Fault.ROW_TOO_LONG,
}


@pytest.mark.parametrize(("broken", "fault"), BROKEN.items(), ids=[f"{each}" for each in range(len(BROKEN))])
def test_a_broken_row_is_found_and_every_other_row_is_read(tmp_path, broken, fault):
    good = [f"a{n},b{n},ü{n}\n".encode() for n in range(30)]
    records = read_bytes(tmp_path, b"alpha,beta,gamma\n" + b"".join([*good[:20], broken, *good[20:]]))
    assert faults(records) == [(22, fault)]
    assert [record.cells["alpha"] for record in records if not record.fault] == [f"a{n}" for n in range(30)]


def test_without_the_strict_check_a_broken_row_would_pass_for_a_row():
    # The negative control of the check for stray quotes: the csv module alone accepts the row, and changes it.
    assert list(csv.reader(['x,5" disk,y\n'], strict=True)) == [["x", '5" disk', "y"]]
    assert list(csv.reader(Feed(iter(())), strict=True)) == []


def test_an_unclosed_quote_at_the_end_of_the_file_is_a_fault_of_its_row(tmp_path):
    records = read_bytes(tmp_path, b'alpha,beta\n1,2\n3,"4\n')
    assert faults(records) == [(3, Fault.BAD_QUOTING)]


def test_a_quoted_line_break_counts_as_one_row_and_two_lines(tmp_path):
    records = read_bytes(tmp_path, b'alpha,beta\n1,"two\nlines"\n3,4\n')
    assert [(record.number, record.line) for record in records] == [(2, 2), (3, 4)]
    assert records[0].cells["beta"] == "two\nlines"


def test_blank_lines_are_passed_over_and_counted(tmp_path):
    records = read_bytes(tmp_path, b"alpha,beta\n\n1,2\n\n\n3,4\n\n")
    assert [record.number for record in records] == [3, 6]


def test_hundreds_of_unclosed_quotes_end_the_reading(tmp_path):
    path = tmp_path / "people.csv"
    # Each opening quote is closed in the next line by one that a letter follows, which is an error there.
    path.write_text("alpha,beta\n" + 'x,"y\n' * 500)
    with pytest.raises(ImportStoppedError, match="never closed"):
        read(path)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("name,email,Name", "columns 1 and 3 have the same name"),
        ("name,,email,", "no name for column 2, 4"),
        ("ada@example.org,Ada", "looks like data"),
        ("Ada,1815-12-10", "looks like data"),
        ("Ada,+44 20 7946 0000", "looks like data"),
        ("na\0me,email", "cannot be read"),
        ('name,"email', "cannot be read"),
        ('na"me,email', "cannot be read"),
        (",".join(f"c{n}" for n in range(MAX_COLUMNS + 1)), "more than 500 columns"),
    ],
)
def test_a_header_that_cannot_be_one_is_refused_without_repeating_it(tmp_path, header, complaint):
    with pytest.raises(HeaderInvalidError, match=complaint) as caught:
        read_bytes(tmp_path, f"{header}\n1,2,3\n".encode(), delimiter=",")
    assert not any(word in str(caught.value) for word in ("ada", "Ada", "1815", "7946"))


@pytest.mark.parametrize("content", [b"", b"  \n\n \n"])
def test_an_empty_file_is_refused(tmp_path, content):
    with pytest.raises(ImportFileError, match="empty"):
        read_bytes(tmp_path, content)


def test_a_file_that_is_not_there_is_refused_without_its_name(tmp_path):
    with pytest.raises(ImportFileError, match="cannot be opened: No such file") as caught:
        read(tmp_path / "ada-lovelace.csv")
    assert "ada" not in str(caught.value)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(ImportFileError, match="cannot be opened"):
        read(tmp_path, as_format="csv")


@pytest.mark.parametrize(
    ("encoded", "encoding"),
    [
        ("name\nÄnne", "utf-8"),
        ("name\nÄnne", "utf-8-sig"),
        ("name\nÄnne", "utf-16"),
        ("name\nÄnne and others", "utf-16-le"),
        ("name\nÄnne and others", "utf-16-be"),
        ("name\nÄnne", "latin-1"),
        ("name\nÄnne “quoted”", "cp1252"),
        ("name\nplain", "utf-8"),
    ],
)
def test_the_encoding_is_detected(encoded, encoding):
    assert detect_encoding(encoded.encode(encoding)) == encoding


def test_a_sample_that_ends_within_a_character_is_still_utf_8():
    assert detect_encoding("name\nÄ".encode()[:-1]) == "utf-8"


def test_a_damaged_utf_8_file_is_not_taken_for_latin_1(tmp_path):
    # Taken for Latin-1, every row would be accepted, and every name but the plain ones misspelt for good.
    content = "name,city\nÄnne,Köln\n".encode() + b"J\xfcrgen,Bonn\n" + "Zoë,Genève\n".encode()
    assert detect_encoding(content) == "utf-8"
    assert faults(read_bytes(tmp_path, content)) == [(3, Fault.BAD_ENCODING)]


def test_a_wrongly_declared_encoding_is_found_and_an_unknown_one_refused(tmp_path):
    records = read_bytes(tmp_path, "name,city\nÄnne,Bonn\n".encode("latin-1"), encoding="utf-8")
    assert faults(records) == [(2, Fault.BAD_ENCODING)]
    with pytest.raises(ImportFileError, match="declared encoding"):
        read_bytes(tmp_path, b"name\nx\n", encoding="utf-7")


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_found(tmp_path, delimiter):
    rows = "".join(delimiter.join([f"a{n}", f'"b,;|\t{n}"', f"c{n}"]) + "\n" for n in range(5))
    records = read_bytes(tmp_path, (delimiter.join(COLUMNS) + "\n" + rows).encode())
    assert [record.cells["gamma"] for record in records] == [f"c{n}" for n in range(5)]


def test_a_delimiter_nobody_uses_is_refused(tmp_path):
    with pytest.raises(ImportFileError, match="delimiter"):
        read_bytes(tmp_path, b"a,b\n", delimiter='"')


BAD_JSON = {
    "not json": Fault.NOT_JSON,
    '{"a": NaN}': Fault.NOT_JSON,
    '{"a": 1': Fault.NOT_JSON,
    "[" * 100_000: Fault.NOT_JSON,
    '{"a": ' + "9" * 5000 + "}": Fault.NOT_JSON,
    "[1, 2]": Fault.NOT_AN_OBJECT,
    '"text"': Fault.NOT_AN_OBJECT,
    '{"a": {"b": {"c": {"d": {"e": 1}}}}}': Fault.NOT_AN_OBJECT,
    '{"a": 1, "a": 2}': Fault.DUPLICATE_KEY,
    '{"a.b": 1, "a": {"b": 2}}': Fault.DUPLICATE_KEY,
    '{"a": "\\u0000"}': Fault.NUL_CHARACTER,
    '{"a": ["\\u0000"]}': Fault.NUL_CHARACTER,
    '{"a": "\\ud800"}': Fault.BAD_ENCODING,
    '{"a": "' + "x" * (MAX_CELL + 1) + '"}': Fault.FIELD_TOO_LONG,
    '{"a": "' + "x" * MAX_ROW + '"}': Fault.ROW_TOO_LONG,
    json.dumps({f"k{n}": n for n in range(MAX_COLUMNS + 1)}): Fault.COLUMN_COUNT,
}


@pytest.mark.parametrize(("line", "fault"), BAD_JSON.items(), ids=[f"{each}" for each in range(len(BAD_JSON))])
def test_a_broken_line_is_found_and_every_other_line_is_read(tmp_path, line, fault):
    content = f'{{"a": 1}}\n{line}\n{{"a": 2}}\n'.encode()
    records = read_bytes(tmp_path, content, "people.jsonl")
    assert faults(records) == [(2, fault)]
    assert [record.cells["a"] for record in records if not record.fault] == [1, 2]


def test_objects_inside_are_flattened_and_numbers_keep_their_digits(tmp_path):
    record = read_bytes(tmp_path, b'{"address": {"city": "Bonn"}, "x": 0.10}\n', "people.ndjson")[0]
    assert record.cells["address.city"] == "Bonn"
    assert str(record.cells["x"]) == "0.10"


def test_the_format_comes_from_the_name_or_is_declared():
    assert file_format(Path("people.CSV")) is Format.CSV
    assert file_format(Path("people.ndjson")) is Format.JSON_LINES
    assert file_format(Path("export"), "jsonl") is Format.JSON_LINES
    assert file_format(Path("people.parquet")) is Format.PARQUET
    with pytest.raises(ImportFileError, match="csv, jsonl or parquet"):
        file_format(Path("people.xlsx"))


def test_a_line_without_end_is_read_in_bounded_memory(tmp_path):
    path = tmp_path / "people.csv"
    path.write_bytes(b"a,b\n" + b"x" * 30_000_000 + b"\n1,2\n")
    tracemalloc.start()
    try:
        records = read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert faults(records) == [(2, Fault.ROW_TOO_LONG)]
    assert [record.number for record in records] == [2, 3]
    assert peak < 5_000_000
