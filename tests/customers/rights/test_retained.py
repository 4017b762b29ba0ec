"""What the law demands outlives the person: under a key of its own, for its own time, and nothing besides."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from audit import Kind
from customers.rights.keeping import Keeper
from customers.rights.retained import RetainedStore
from policies import load_policies
from policies.retention import earlier, later
from tests.schema.world import granted, new_databases, open_world, order, person, ticket
from vault import DataKey, ErasureStep, KeyState

UNTIL = datetime(2035, 12, 31, 23, 59, 59, tzinfo=UTC)


def bought(number, *orders, **overrides):
    return {"orders": orders or (order(1), order(2, status="cancelled")), "tickets": (ticket(1),), **overrides}


async def kept(world):
    return await world.main["retained"].find({}).to_list(None)


async def opened(world, record):
    async with world.vault.reading():
        key = (await world.vault.keys([record["key"]]))[record["key"]]
        assert isinstance(key, DataKey)
        return key.open(record["sealed"]["record"], "retained", record["_id"], "record", 1)


async def test_what_the_law_demands_is_kept_and_nothing_else(world):
    gone = await world.one(1, **bought(1))
    certificate = await world.erase(gone)
    (record,) = await kept(world)
    assert (record["rule"], record["state"], record["until"].replace(tzinfo=UTC)) == ("invoices", "kept", UNTIL)
    values = await opened(world, record)
    assert values == {
        "order.id": values["order.id"],
        "order.placed_at": "2025-03-02T09:30:00.000000Z",
        "order.total": 2874,
        "order.currency": "EUR",
        "order.units": 3,
        "order.status": "delivered",
        "order.items": [{"sku": "sku-1", "quantity": 3}],
        "order.shipping_address": "Hafenweg 1, Bremen",
        "profile.given_name": "Given1",
        "profile.family_name": "Family1",
        "profile.street": "Street 1",
        "profile.postal_code": "20001",
        "profile.city": "City1",
        "profile.country": "DE",
    }
    assert gone not in str(record)
    assert "leaf" not in record
    (told,) = certificate.kept
    assert (told.rule, told.object, told.records, told.until[:10]) == ("invoices", "order", 1, "2035-12-31")
    assert set(values) <= set(told.fields)


async def test_a_person_of_two_profiles_has_each_invoice_kept_once_with_the_name(world):
    one, other = await world.create(
        world.draft(person(1), orders=(order(1),)), world.draft({"region": "emea"}, orders=(order(2), order(3)))
    )
    async with world.vault.reading():
        await world.reviewer.merge(world.access("data_steward", "identity_resolution"), one, other)
    certificate = await world.erase(other)
    found = [await opened(world, each) for each in await kept(world)]
    assert sorted(each["order.total"] for each in found) == [2874, 2875, 2876]
    assert {each["profile.family_name"] for each in found} == {"Family1"}
    assert sum(each.records for each in certificate.kept) == 3


async def test_records_of_different_years_have_keys_of_their_own(world):
    old = order(1, placed_at=datetime(2020, 5, 1, tzinfo=UTC))
    gone = await world.one(1, orders=(old, order(2), order(3)))
    await world.erase(gone)
    ends = {(each["until"].year, each["key"]) for each in await kept(world)}
    assert {year for year, _ in ends} == {2030, 2035}
    assert len({key for _, key in ends}) == 2


async def test_a_record_whose_time_is_over_already_goes_with_the_person(world):
    """Control: the other order, whose time is not over, is kept."""
    over = order(1, placed_at=datetime(2014, 5, 1, tzinfo=UTC))
    gone = await world.one(1, orders=(over, order(2)))
    certificate = await world.erase(gone)
    assert [each.records for each in certificate.kept] == [1]
    assert [each["until"].year for each in await kept(world)] == [2035]


@pytest.mark.parametrize("step", [ErasureStep.DRAINED, ErasureStep.PUNCTURED, ErasureStep.FINISHED])
async def test_nobody_is_shown_what_is_held_for_an_erasure_that_is_not_over(world, monkeypatch, step):
    gone = await world.one(1, **bought(1))
    on_step = world.eraser._on_step

    async def dies(at, erasure):
        if at is step and step is not ErasureStep.DRAINED:
            raise ConnectionError
        await on_step(at, erasure)
        if at is step:
            raise ConnectionError

    monkeypatch.setattr(world.eraser, "_on_step", dies)
    with pytest.raises(ConnectionError):
        await world.erase(gone)
    assert [each["state"] for each in await kept(world)] == ["held"]
    assert await RetainedStore(world.main).page(0, 10) == ([], False)
    assert await world.eraser.expire() == 0, "the erasure is under way"
    monkeypatch.setattr(world.eraser, "_on_step", on_step)
    assert await world.eraser.resume() == 1
    assert [each["state"] for each in await kept(world)] == ["kept"]
    assert len((await RetainedStore(world.main).page(0, 10))[0]) == 1


async def test_what_is_damaged_is_left_out_and_keeps_nobody_from_being_erased(world):
    gone = await world.one(1, **bought(1))
    document = await world.main["orders"].find_one({"customer_id": gone, "status": "delivered"})
    broken = bytes([document["sealed"]["address"][0]]) + os.urandom(len(document["sealed"]["address"]) - 1)
    await world.main["orders"].update_one({"_id": document["_id"]}, {"$set": {"sealed.address": broken}})
    await world.erase(gone)
    (record,) = await kept(world)
    values = await opened(world, record)
    assert "order.shipping_address" not in values
    assert values["order.total"] == 2874


async def test_when_the_period_is_over_the_key_is_destroyed_and_no_copy_opens(mongo_client, tmp_path):
    moment = [datetime(2026, 1, 1, tzinfo=UTC)]
    async with new_databases(mongo_client) as parts, open_world(*parts, tmp_path, now=lambda: moment[0]) as world:
        gone, other = await world.create(
            world.draft(person(1), orders=(order(1),), consents=granted("marketing")),
            world.draft(person(2), orders=(order(2, placed_at=datetime(2029, 1, 1, tzinfo=UTC)),)),
        )
        await world.erase(gone)
        await world.erase(other)
        copies = {each["until"].year: each for each in await kept(world)}
        moment[0] = UNTIL - timedelta(seconds=1)
        assert await world.eraser.expire() == 0
        moment[0] = UNTIL + timedelta(seconds=1)
        await world.eraser.expire()
        assert [each["until"].year for each in await kept(world)] == [2039]
        async with world.vault.reading():
            states = await world.vault.keys([each["key"] for each in copies.values()])
        assert states[copies[2035]["key"]] is KeyState.ERASED
        assert (await opened(world, copies[2039]))["order.total"] == 2875, "the control: the other one opens"
        ends = [each.erasure for each in await world.records(kind=Kind.ERASURE_DONE)]
        leaf = (await world.keys["data_keys"].find_one({"_id": copies[2035]["key"]}))["leaf"]
        assert ends[-1].leaf == leaf
        assert await world.eraser.expire() == 0


async def test_records_of_an_erasure_that_a_restored_key_store_does_not_know_are_settled(world):
    gone, stays = await world.create(
        world.draft(person(1), orders=(order(1),)), world.draft(person(2), orders=(order(2),))
    )
    leaves = {each["_id"]: each["leaf"] for each in await world.keys["data_keys"].find({}).to_list(None)}
    await world.erase(gone)
    # Held once more, as in a main database from the middle of that erasure; and of one that was never finished.
    await world.main["retained"].update_many({}, {"$set": {"state": "held", "leaf": leaves[gone]}})
    (record,) = await kept(world)
    async with world.vault.reading():
        await world.vault.create_keys(["ret_never"])
    await RetainedStore(world.main).hold([{**record, "_id": "rec_never", "key": "ret_never", "leaf": leaves[stays]}])
    assert await world.eraser.expire() == 1
    (left,) = await kept(world)
    assert (left["_id"], left["state"]) == (record["_id"], "kept")
    async with world.vault.reading():
        assert (await world.vault.keys(["ret_never"]))["ret_never"] is KeyState.ERASED


async def test_a_policy_that_keeps_nothing_keeps_nothing(mongo_client, tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "retention.toml").write_text("# nothing\n", "utf-8")
    policies = load_policies(tmp_path / "policies")
    async with new_databases(mongo_client) as parts, open_world(*parts, tmp_path, policies=policies) as world:
        certificate = await world.erase(await world.one(1, **bought(1)))
        assert (certificate.kept, await kept(world)) == ((), [])
        assert (
            await Keeper(world.store, RetainedStore(world.main), world.vault, lambda: policies, now=None).settle()
            == []
        )


@pytest.mark.parametrize(
    ("moment", "period", "then"),
    [
        (datetime(2026, 1, 31, tzinfo=UTC), "P1M", datetime(2026, 2, 28, tzinfo=UTC)),
        (datetime(2024, 2, 29, tzinfo=UTC), "P1Y", datetime(2025, 2, 28, tzinfo=UTC)),
        (datetime(2026, 12, 5, tzinfo=UTC), "P1Y2M3D", datetime(2028, 2, 8, tzinfo=UTC)),
    ],
)
def test_a_period_is_counted_in_the_calendar(moment, period, then):
    assert later(moment, period) == then
    assert earlier(then, period) <= moment
