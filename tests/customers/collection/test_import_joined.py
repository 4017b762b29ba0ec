"""Imports meet people who were merged, resumed files, and orders that an event counts after their import died."""

import pytest

from customers.collection import ImportKind, import_rows, parse_mapping
from customers.errors import ImportStoppedError
from tests.customers.collection.importing import ORDERS, imported, sums, writer_of, written
from tests.schema.world import person, utc_now

HEADER = "mail,no,placed,total,currency,status,back,sku,qty,price"
ADA, BOB = person(1)["email"], person(2)["email"]


def line(mail, number, total="2.00", placed="2025-03-01"):
    return f"{mail},{number},{placed},{total},EUR,,,TEA,,"


async def test_what_is_imported_after_a_merge_is_the_survivors_and_what_was_before_stays(world, tmp_path):
    ada, bob = await world.create(world.draft(person(1)), world.draft(person(2)))
    path = written(tmp_path / "orders.csv", HEADER, line(ADA, "A-1"), line(BOB, "B-1", "3.00"))
    await imported(world, path, ImportKind.ORDERS, ORDERS, file="one")
    async with world.vault.reading():
        await world.reviewer.merge(world.access("privacy_officer", "identity_resolution"), ada, bob)
    again = await imported(world, path, ImportKind.ORDERS, ORDERS, file="one")
    assert (again.unchanged, again.rejected) == (2, 0)
    written(path, HEADER, line(ADA, "A-1", placed="2026-01-01"), line(BOB, "B-2", "5.00", "2025-06-01"))
    report = await imported(world, path, ImportKind.ORDERS, ORDERS, file="two")
    assert (report.created, report.updated, report.rejected) == (1, 1, 0)
    profile = await world.main["profiles"].find_one({"_id": ada})
    assert (profile["order_count"], profile["total_spent"]) == (3, 1000)
    assert (profile["own"]["order_count"], profile["own"]["total_spent"]) == (2, 700)
    assert (profile["first_order_at"].month, profile["own"]["first_order_at"].month) == (3, 6)
    assert profile["last_order_at"] == profile["own"]["last_order_at"]
    assert profile["last_order_at"].year == 2026


async def test_a_file_that_is_resumed_in_the_middle_of_an_order_begins_with_the_whole_of_it(world, tmp_path):
    (ada,) = await world.create(world.draft(person(1)))
    rows = [line(ADA, "A-1", "") + "2.00", line(ADA, "A-1", "") + "3.00", line(ADA, "A-2", "") + "4.00"]
    path = written(tmp_path / "orders.csv", HEADER, *rows)
    mapping = parse_mapping({"columns": ORDERS}, consent_purposes=frozenset(), of=ImportKind.ORDERS)
    writer = writer_of(world, ImportKind.ORDERS)
    report = await import_rows(path, mapping, writer, now=utc_now, resume_from=3)
    assert (report.rows, report.created) == (3, 2)
    assert (await sums(world, ada))[0]["total_spent"] == 900
    last = await import_rows(path, mapping, writer, now=utc_now, resume_from=4)
    assert (last.rows, last.unchanged) == (1, 1), "the control"


async def test_an_import_that_is_told_to_stop_stops_between_orders(world, tmp_path):
    (ada,) = await world.create(world.draft(person(1)))
    rows = [line(ADA, f"A-{number // 2}", "") + "1.00" for number in range(6)]
    path = written(tmp_path / "orders.csv", HEADER, *rows)
    mapping = parse_mapping({"columns": ORDERS}, consent_purposes=frozenset(), of=ImportKind.ORDERS)
    writer = writer_of(world, ImportKind.ORDERS)
    with pytest.raises(ImportStoppedError) as caught:
        await import_rows(path, mapping, writer, now=utc_now, batch=1, stop=lambda: True)
    assert caught.value.resume_from == 4, "the first row of the second order"
    rest = await import_rows(path, mapping, writer, now=utc_now, resume_from=caught.value.resume_from)
    assert (rest.rows, rest.created) == (4, 2)
    found, anew = await sums(world, ada)
    assert found == anew
    assert found["total_spent"] == 600
