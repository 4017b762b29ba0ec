import asyncio
import json
import os
from pathlib import Path

import pytest
from pymongo.errors import AutoReconnect

from tests.vault.conftest import utc_now
from vault import (
    CustomerKeyExistsError,
    DataKey,
    EnvelopeError,
    FleetError,
    KeyRingForeignError,
    KeyState,
    KeyStoreUnavailableError,
    LeafPuncturedError,
    LeaseLostError,
)
from vault.keys import KeyStore
from vault.ring import KeyRing

IDS = [f"cus_{number:026d}" for number in range(300)]


async def fetch(vault, ids):
    async with vault.reading():
        return await vault.keys(ids)


def sealed(key):
    return key.seal("profiles", "id", "name", 1, {"given_name": "Ada"})


def opened(key, envelope):
    return key.open(envelope, "profiles", "id", "name", 1)


async def test_a_created_key_opens_in_another_process_what_it_sealed(vaults):
    one, other = await vaults(), await vaults()
    created = await one.create_keys(IDS[:3])
    envelopes = {customer_id: sealed(key) for customer_id, key in created.items()}
    found = await fetch(other, IDS[:5])
    assert set(found) == set(IDS[:3]), "unknown ones are absent"
    for customer_id, key in found.items():
        assert opened(key, envelopes[customer_id]) == {"given_name": "Ada"}
    with pytest.raises(EnvelopeError):
        opened(found[IDS[0]], envelopes[IDS[1]])


async def test_every_customer_has_a_key_and_a_leaf_of_its_own(vault):
    created = await vault.create_keys(IDS)
    assert len({key.leaf for key in created.values()}) == len(IDS)
    assert len({key.fingerprint for key in created.values()}) == len(IDS)


async def test_processes_that_create_at_once_never_share_a_leaf(vaults, databases):
    one, other = await vaults(), await vaults()
    await asyncio.gather(
        *(
            vault.create_keys(IDS[at : at + 10])
            for at, vault in zip(range(0, 300, 10), [one, other] * 15, strict=True)
        )
    )
    records = await databases.keys["data_keys"].find({}).to_list(None)
    assert len({record["leaf"] for record in records}) == 300


async def test_fetching_is_one_query_however_many_customers(vault, monkeypatch):
    await vault.create_keys(IDS)
    queries = []
    records = vault._keys.records
    find = type(records).find

    def counted(self, *args, **kwargs):
        queries.append(args)
        return find(self, *args, **kwargs)

    monkeypatch.setattr(type(records), "find", counted)
    assert len(await fetch(vault, IDS)) == 300
    assert len([query for query in queries if "$in" in str(query[:1])]) == 1


async def test_of_two_who_create_the_same_customer_at_once_one_wins_and_one_is_told(vaults):
    one, other = await vaults(), await vaults()
    for customer_id in IDS[:10]:
        answers = await asyncio.gather(
            one.create_keys([customer_id]), other.create_keys([customer_id]), return_exceptions=True
        )
        (won,) = [answer for answer in answers if not isinstance(answer, Exception)]
        (lost,) = [answer for answer in answers if isinstance(answer, Exception)]
        assert isinstance(lost, CustomerKeyExistsError)
        assert customer_id not in str(lost)
        found = await fetch(one, [customer_id])
        assert opened(found[customer_id], sealed(won[customer_id]))


async def test_a_conflict_on_one_customer_creates_none_of_the_others(vault):
    await vault.create_keys([IDS[5]])
    with pytest.raises(CustomerKeyExistsError):
        await vault.create_keys(IDS[:10])
    assert set(await fetch(vault, IDS[:10])) == {IDS[5]}
    with pytest.raises(CustomerKeyExistsError):
        await vault.create_keys([IDS[0], IDS[0]])
    assert await vault.create_keys([]) == {}
    assert len(await vault.create_keys(IDS[:5])) == 5


async def test_a_leaf_that_is_taken_in_spite_of_the_counter_is_passed_over(vaults, databases):
    first = await vaults()
    await first.create_keys(IDS[:70])
    await databases.keys["control"].update_one({"_id": "leaves"}, {"$set": {"next": 0}})
    second = await vaults()
    created = await second.create_keys(IDS[70:80])
    assert len(created) == 10
    assert len(await fetch(first, IDS[:80])) == 80


async def test_unwrapped_keys_are_kept_under_the_bytes_they_came_from(vault, databases):
    await vault.create_keys(IDS[:2])
    first = await fetch(vault, IDS[:2])
    second = await fetch(vault, IDS[:2])
    assert first[IDS[0]] is second[IDS[0]]
    records = databases.keys["data_keys"]
    other = await records.find_one({"_id": IDS[1]})
    await records.update_one({"_id": IDS[0]}, {"$set": {"wrapped": other["wrapped"]}})
    with pytest.raises(EnvelopeError):
        await fetch(vault, IDS[:1])


async def test_the_number_of_kept_keys_is_bounded_and_the_longest_unused_go_first(vaults):
    vault = await vaults(cached_keys=10)
    await vault.create_keys(IDS[:20])
    first = (await fetch(vault, [IDS[0]]))[IDS[0]]
    await fetch(vault, IDS[1:10])
    assert (await fetch(vault, [IDS[0]]))[IDS[0]] is first
    await fetch(vault, IDS[10:19])
    assert vault._keys.cached == 10
    assert (await fetch(vault, [IDS[0]]))[IDS[0]] is first
    await fetch(vault, IDS[1:11])
    assert (await fetch(vault, [IDS[0]]))[IDS[0]] is not first


@pytest.mark.parametrize(
    ("field", "value"),
    [("leaf", 77), ("generation", 2), ("_id", IDS[9]), ("wrapped", b""), ("wrapped", b"\0" * 100)],
)
async def test_a_key_record_that_was_changed_does_not_open(vault, databases, field, value):
    await vault.create_keys(IDS[:1])
    records = databases.keys["data_keys"]
    record = await records.find_one({"_id": IDS[0]})
    await records.delete_one({"_id": IDS[0]})
    changed = record | {field: value}
    await records.insert_one(changed)
    with pytest.raises(EnvelopeError):
        await fetch(vault, [changed["_id"]])
    await records.replace_one({"_id": changed["_id"]}, record | {"_id": changed["_id"]})
    if field != "_id":
        assert isinstance((await fetch(vault, IDS[:1]))[IDS[0]], DataKey), "the control: unchanged, it opens"


async def test_a_record_of_another_tenant_does_not_open(vaults):
    await (await vaults()).create_keys(IDS[:1])
    with pytest.raises(EnvelopeError):
        await fetch(await vaults(tenant="other"), IDS[:1])


async def test_a_record_of_a_ring_that_is_not_held_is_refused(vault, databases):
    await vault.create_keys(IDS[:1])
    await databases.keys["data_keys"].update_one({"_id": IDS[0]}, {"$set": {"ring": b"\1" * 16}})
    with pytest.raises(KeyRingForeignError):
        await fetch(vault, IDS[:1])


async def test_states_are_given_instead_of_keys(vault, databases):
    await vault.create_keys(IDS[:3])
    await vault._keys.fence(IDS[0])
    await vault._keys.bury(IDS[1], leaf=1, generation=1, fingerprint="f")
    found = await fetch(vault, IDS[:3])
    assert found[IDS[0]] is KeyState.ERASING
    assert found[IDS[1]] is KeyState.ERASED
    assert isinstance(found[IDS[2]], DataKey)
    assert "wrapped" not in await databases.keys["data_keys"].find_one({"_id": IDS[1]})
    await vault._keys.fence(IDS[1])
    assert (await fetch(vault, IDS[1:2]))[IDS[1]] is KeyState.ERASED, "no way back"


async def test_no_key_is_given_outside_of_a_read_or_without_a_lease(vault, site):
    await vault.create_keys(IDS[:1])
    with pytest.raises(FleetError):
        await vault.keys(IDS[:1])
    never_started = await site.vault().open()
    with pytest.raises(LeaseLostError):
        await never_started.keys(IDS[:1])
    with pytest.raises(LeaseLostError):
        await never_started.create_keys(IDS[1:2])
    await vault.stop()
    for refused in (vault.keys(IDS[:1]), vault.create_keys(IDS[1:2])):
        with pytest.raises(LeaseLostError):
            await refused
    with pytest.raises(LeaseLostError):
        _ = vault.contents


async def test_a_key_store_that_does_not_answer_is_a_typed_error(vault, monkeypatch):
    def fail(*_, **__):
        raise AutoReconnect("some-host:27017")

    for name in ("find", "insert_many", "find_one"):
        monkeypatch.setattr(type(vault._keys.records), name, fail)
    async with vault.reading():
        for attempt in (vault.keys(IDS[:1]), vault._keys.create(IDS[:1]), vault._keys.record(IDS[0])):
            with pytest.raises(KeyStoreUnavailableError) as caught:
                await attempt
            assert "some-host" not in str(caught.value)
    monkeypatch.undo()


def test_the_record_is_the_documented_one():
    """docs/formats/key-records.md; written by the first version, it must open for ever."""
    vector = json.loads((Path(__file__).parent / "vectors" / "key_record.json").read_text())
    record = vector["record"] | {field: bytes.fromhex(vector["record"][field]) for field in ("wrapped", "ring")}
    store = KeyStore(NoDatabase(), tenant=vector["tenant"], now=utc_now, random=os.urandom)
    store.use([KeyRing.from_bytes(bytes.fromhex(vector["ring"]))])
    key = store.unwrap(record)
    assert key.fingerprint == vector["fingerprint"]
    assert key.audit_reference.hex() == vector["audit_reference"]
    assert key.open(bytes.fromhex(vector["envelope"]), **vector["slot"]) == vector["values"]
    with pytest.raises(LeafPuncturedError):
        store.unwrap(record | {"leaf": 5})


class NoDatabase(dict):
    """A database that is never asked anything."""

    def __missing__(self, name):
        return None
