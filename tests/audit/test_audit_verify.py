"""Any change to what is stored is found and located; an untouched shard is whole."""

import asyncio
import json
import random
from datetime import timedelta
from pathlib import Path

import pytest

from audit import AccessReader, EntryNotFoundError, FaultKind, Head, Kind, decode_record, encode_record, timestamp
from audit.batch import MAX_RECORDS, Fault, build_batch, check_batch
from audit.tree import Edge, leaf_hash, subtree_hash
from tests.audit.conftest import START
from tests.audit.make_vectors import records

FROZEN = Path(__file__).with_name("vectors")
VECTORS = {
    name: json.loads((FROZEN / f"{name}.json").read_text(encoding="utf-8")) for name in ("batches", "batches_v2")
}


def rebuilt(document, edge, change):
    """The batch with its first record changed, and every hash in it made to fit again."""
    made = [decode_record(data) for data in document["records"]]
    made[0] = change(made[0])
    return build_batch(document["shard"], edge, [(record, encode_record(record)) for record in made]).document()


@pytest.fixture
async def filled(open_log, databases, make_record):
    """A shard of ten batches of three records, its documents by their first leaf, and its collection."""
    log = await open_log(shard="ab" * 6)
    for _ in range(10):
        await asyncio.gather(*(log.append(make_record()) for _ in range(3)))
    documents = await databases.audit.batches.find({"shard": log.shard}).sort("first", 1).to_list(None)
    return log, {each["first"]: each for each in documents}, databases.audit.batches


async def test_an_untouched_shard_is_whole(filled):
    log, _, _ = filled
    found = await log.verify_shard(log.shard)
    assert found
    assert found.head == log.head() == Head(log.shard, 30, found.head.root)
    assert await log.verify_shard(log.shard, known=log.head())


async def test_a_shard_nobody_wrote_to_is_empty_and_whole(open_log):
    log = await open_log()
    found = await log.verify_shard(log.shard)
    assert found
    assert found.head.size == 0


async def put(batches, document):
    await batches.delete_one({"_id": document["_id"]})
    await batches.insert_one(document)


@pytest.mark.parametrize("at", [0, 4, -1])
async def test_a_changed_record_is_found_and_located(filled, at):
    log, documents, batches = filled
    document = documents[sorted(documents)[at]]
    record = decode_record(document["records"][-1])
    forged = encode_record(type(record)(**{**vars_of(record), "actor": "somebody-else"}))
    await put(batches, {**document, "records": [*document["records"][:-1], forged]})
    found = await log.verify_shard(log.shard)
    assert found.fault == Fault(FaultKind.RECORD_CHANGED, document["_id"], document["size"] - 1)
    assert found.head.size == document["first"]


def vars_of(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}


@pytest.mark.parametrize("at", [0, 4, -1])
async def test_a_deleted_batch_is_found_and_located(filled, at):
    log, documents, batches = filled
    document = documents[sorted(documents)[at]]
    await batches.delete_one({"_id": document["_id"]})
    # What was cut off at the very end is missed only by who knows how long the shard was.
    assert bool(await log.verify_shard(log.shard)) is (at == -1)
    found = await log.verify_shard(log.shard, known=log.head())
    kind = FaultKind.TRUNCATED if at == -1 else FaultKind.MISSING
    assert found.fault == Fault(kind, document["_id"])


async def test_a_gap_wider_than_one_look_is_found(open_log, databases, make_record):
    log = await open_log(shard="cd" * 6)
    for _ in range(9):
        await asyncio.gather(*(log.append(make_record()) for _ in range(MAX_RECORDS)))
    await databases.audit.batches.delete_many(
        {"shard": log.shard, "first": {"$lt": log.head().size - MAX_RECORDS - 1}}
    )
    assert (await log.verify_shard(log.shard)).fault == Fault(FaultKind.MISSING, f"{log.shard}:000000000000")


async def test_records_in_another_order_are_found(filled):
    log, documents, batches = filled
    document = next(each for each in documents.values() if len(each["records"]) > 1 and each["first"] > 5)
    await put(batches, {**document, "records": document["records"][::-1]})
    assert (await log.verify_shard(log.shard)).fault == Fault(
        FaultKind.RECORD_CHANGED, document["_id"], document["first"]
    )


async def test_batches_that_changed_places_are_found(filled):
    log, documents, batches = filled
    one, other = [each for each in documents.values() if len(each["records"]) > 1][1:3]
    for place, contents in ((one, other), (other, one)):
        await put(batches, {**contents, "_id": place["_id"], "first": place["first"], "size": place["size"]})
    found = await log.verify_shard(log.shard)
    assert found.fault.batch == one["_id"]


async def test_a_record_dropped_from_a_batch_is_found(filled):
    log, documents, batches = filled
    document = next(each for each in documents.values() if len(each["records"]) > 1)
    await put(batches, {**document, "records": document["records"][:-1], "leaves": document["leaves"][:-32]})
    assert (await log.verify_shard(log.shard)).fault == Fault(FaultKind.MALFORMED, document["_id"])


async def test_a_batch_rewritten_with_all_its_hashes_breaks_the_next(filled):
    log, documents, batches = filled
    firsts = sorted(documents)
    document, following = documents[firsts[4]], documents[firsts[5]]
    edge = Edge(document["first"], tuple(documents[firsts[3]]["edge"]))
    await put(
        batches,
        rebuilt(document, edge, lambda record: type(record)(**{**vars_of(record), "kind": Kind.WRITE})),
    )
    assert (await log.verify_shard(log.shard)).fault == Fault(FaultKind.TREE_CHANGED, following["_id"])


async def test_a_shard_rewritten_to_its_end_is_found_by_who_knows_its_head(filled):
    log, documents, batches = filled
    edge = Edge()
    for first in sorted(documents):
        forged = rebuilt(
            documents[first], edge, lambda record: type(record)(**{**vars_of(record), "kind": Kind.WRITE})
        )
        edge = Edge(forged["size"], tuple(forged["edge"]))
        await put(batches, forged)
    # Nothing is signed yet: without an outside memory of the head, this looks whole.
    assert await log.verify_shard(log.shard)
    found = await log.verify_shard(log.shard, known=log.head())
    assert found.fault.kind is FaultKind.FORKED


async def test_a_head_inside_a_batch_can_be_compared(filled):
    log, _, _ = filled
    leaves = await AccessReader(log._store, lambda: START).leaf_hashes(log.shard, 17)
    assert await log.verify_shard(log.shard, known=Head(log.shard, 17, subtree_hash(leaves, 0, 17)))
    found = await log.verify_shard(log.shard, known=Head(log.shard, 17, leaf_hash(b"")))
    assert found.fault.kind is FaultKind.FORKED


async def test_leaf_hashes_lead_to_the_head(filled):
    log, _, _ = filled
    reader = AccessReader(log._store, lambda: START)
    assert subtree_hash(await reader.leaf_hashes(log.shard, 30), 0, 30) == log.head().root
    with pytest.raises(EntryNotFoundError):
        await reader.leaf_hashes(log.shard, 31)


FORGERIES = {
    "actors": ["nobody"],
    "subjects": [],
    "fields": ["profile.given_name", "profile.family_name"],
    "from": "2020-01-01T00:00:00.000000Z",
    "to": "2020-01-01T00:00:00.000000Z",
    "order": "2020",
    "size": 4,
    "v": 3,
    "decided": ["profile.given_name masked"],
    "root": bytes(32),
    "edge": [bytes(32)],
    "leaves": bytes(32),
    "shard": "ee" * 6,
    "records": [],
    "extra": 1,
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_any_other_field_that_was_changed_is_found(filled, name):
    log, documents, batches = filled
    document = documents[sorted(documents)[3]]
    await put(batches, {**document, name: FORGERIES[name]})
    found = await log.verify_shard(log.shard)
    assert found.fault.batch == document["_id"]


@pytest.mark.parametrize("name", sorted(FORGERIES.keys() - {"extra"}))
async def test_a_field_that_was_removed_is_found(filled, name):
    log, documents, batches = filled
    document = documents[sorted(documents)[3]]
    await put(batches, {key: value for key, value in document.items() if key != name})
    found = await log.verify_shard(log.shard)
    assert found.fault.batch == document["_id"]


def test_a_batch_that_searches_would_pass_by_is_a_fault(make_record):
    def batch(later):
        made = [make_record(), make_record(time=timestamp(START + timedelta(seconds=later)))]
        return build_batch("ab" * 6, Edge(), [(record, encode_record(record)) for record in made]).document()

    assert not isinstance(check_batch(batch(4), Edge()), Fault)
    assert check_batch(batch(6), Edge()) == Fault(FaultKind.MALFORMED, "abababababab:000000000000")


async def test_a_shard_that_grows_while_it_is_checked_is_whole(open_log, make_record, monkeypatch):
    monkeypatch.setattr("audit.reader._LEAVES_AT_A_TIME", 8)
    log = await open_log()
    growing = True

    async def appender():
        while growing:
            await log.append(make_record())
            await asyncio.sleep(0.01)  # or on a fast disk it grows faster than it is checked, for ever

    tasks = [asyncio.create_task(appender()) for _ in range(20)]
    await asyncio.sleep(0.1)
    for _ in range(5):
        assert await log.verify_shard(log.shard, known=log.head())
    growing = False
    await asyncio.gather(*tasks)


def test_no_random_change_of_a_batch_is_missed():
    made = [(record, encode_record(record)) for record in records().values() if record.time > "2026"]
    document = build_batch("ab" * 6, Edge(), made).document()
    pick = random.Random(7)  # noqa: S311 - tamperings, not secrets
    missed = 0
    for _ in range(3000):
        data = [bytearray(each) for each in document["records"]]
        at = pick.randrange(len(data))
        data[at][pick.randrange(len(data[at]))] ^= 1 << pick.randrange(8)
        found = check_batch({**document, "records": [bytes(each) for each in data]}, Edge())
        missed += found != Fault(FaultKind.RECORD_CHANGED, document["_id"], at)
    assert missed == 0
    # The negative control: untouched, it passes.
    assert not isinstance(check_batch(document, Edge()), Fault)


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("name", VECTORS)
def test_batches_have_their_frozen_form(name, number):
    edge = Edge()
    made = list(records().values())
    stored = dict(VECTORS[name][number])
    for part in ("root", "leaves"):
        stored[part] = bytes.fromhex(stored[part])
    for part in ("edge", "records"):
        stored[part] = [bytes.fromhex(each) for each in stored[part]]
    before = made[: stored["first"]]
    edge = edge.extend(leaf_hash(encode_record(record)) for record in before)
    checked = check_batch(stored, edge)
    assert not isinstance(checked, Fault)
    assert checked.document() == stored
    here = [(record, encode_record(record)) for record in made[stored["first"] : stored["size"]]]
    # The first version is read for ever and written no more.
    assert (build_batch(stored["shard"], edge, here).document() == stored) is (stored["v"] == 2)


def test_a_batch_is_of_one_version_or_another_and_nothing_between(make_record):
    record = make_record()
    document = build_batch("ab" * 6, Edge(), [(record, encode_record(record))]).document()
    first = {name: value for name, value in document.items() if name != "decided"} | {"v": 1}
    for whole in (document, first):
        assert not isinstance(check_batch(whole, Edge()), Fault)
    for between in (document | {"v": 1}, first | {"v": 2}, document | {"v": 0}, document | {"v": [1]}):
        assert check_batch(between, Edge()) == Fault(FaultKind.MALFORMED, document["_id"])
