"""Parquet files give the rows that the same data would give in a file of text."""

import datetime as dt
import os
import tracemalloc
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from customers.collection import open_table
from customers.collection.model import Fault
from customers.errors import ImportFileError


def written(path, rows, **options):
    parquet.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def rows_of(path):
    with open_table(path) as table:
        return list(table.rows)


def test_rows_are_read_with_their_types(tmp_path):
    row = {
        "email": "ana@example.org",
        "birth": dt.date(1980, 2, 29),
        "seen": dt.datetime(2026, 5, 14, 9, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "spent": Decimal("10.50"),
        "rate": 0.1,
        "count": 3,
        "member": True,
        "phone": None,
        "tags": ["a", "b"],
        "address": {"city": "Porto"},
    }
    (record,) = rows_of(written(tmp_path / "people.parquet", [row]))
    assert record.number == 1
    assert record.fault is None
    assert record.cells == {
        "email": "ana@example.org",
        "birth": "1980-02-29",
        "seen": "2026-05-14T07:30:00+00:00",
        "spent": Decimal("10.50"),
        "rate": Decimal("0.1"),
        "count": 3,
        "member": True,
        "phone": None,
        "tags": ["a", "b"],
        "address.city": "Porto",
    }


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (float("nan"), Fault.INVALID_NUMBER),
        (float("inf"), Fault.INVALID_NUMBER),
        (b"bytes", Fault.INVALID_VALUE),
        ("a\0b", Fault.NUL_CHARACTER),
        ("x" * 40_000, Fault.FIELD_TOO_LONG),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, Fault.NOT_AN_OBJECT),
    ],
)
def test_a_row_that_cannot_be_one_says_why_and_the_others_are_read(tmp_path, value, fault):
    path = written(tmp_path / "people.parquet", [{"id": 1, "value": value}])
    assert [record.fault for record in rows_of(path)] == [fault]
    assert [record.fault for record in rows_of(written(tmp_path / "good.parquet", [{"id": 1}]))] == [None]


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", os.urandom(400), b"PAR1" + os.urandom(400) + b"PAR1", b"a,b\n1,2\n"]
)
def test_what_is_no_parquet_file_is_refused(tmp_path, content):
    path = tmp_path / "people.parquet"
    path.write_bytes(content)
    with pytest.raises(ImportFileError):
        rows_of(path)


def test_a_file_damaged_further_on_says_behind_which_row(tmp_path):
    rows = [{"n": os.urandom(20).hex()} for _ in range(5000)]
    path = written(tmp_path / "people.parquet", rows, row_group_size=1000, compression="zstd")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4096] = bytes(4096)
    path.write_bytes(data)
    with pytest.raises(ImportFileError, match=r"damaged behind row [1-4]000"):
        rows_of(path)


def test_a_group_of_rows_that_is_too_large_is_refused_before_it_is_unpacked(tmp_path):
    table = pa.table({"text": pa.array(["x" * 1000] * 600_000)})
    path = tmp_path / "bomb.parquet"
    parquet.write_table(table, path, row_group_size=600_000, use_dictionary=False, compression="zstd")
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ImportFileError, match="512 MiB"):
        rows_of(path)


def test_a_large_file_is_read_in_bounded_memory(tmp_path):
    def peak(count):
        path = written(
            tmp_path / f"{count}.parquet",
            [{"n": at, "text": f"row {at}"} for at in range(count)],
            row_group_size=5000,
        )
        tracemalloc.start()
        with open_table(path) as table:
            assert sum(1 for _ in table.rows) == count
            assert table.bytes_read == table.bytes_total
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    small, large = peak(10_000), peak(100_000)
    assert large < small + 4_000_000, "the rows alone are more than twice that"
