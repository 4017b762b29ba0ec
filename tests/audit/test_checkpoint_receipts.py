"""Receipts, and the proofs in them."""

import asyncio

import pytest

from audit import (
    AccessReader,
    AuditInconsistentError,
    EntryId,
    EntryNotFoundError,
    Receipt,
)
from audit.batch import batch_id
from audit.checkpoint import origin
from audit.store import BatchStore
from audit.tree import inclusion_proof, verify_consistency
from audit.tree_reader import TreeReader
from tests.audit.signed_log import START, make_record


async def test_every_entry_has_a_receipt_that_the_public_key_shows(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    ids = await signed.append(log, 2)
    for count in (7, 40, 300):
        ids += await asyncio.gather(*(log.append(make_record()) for _ in range(count)))
    await checkpointer.checkpoint()
    reader = AccessReader.over(signed.database, now=lambda: START)
    for entry_id in [*ids[:12], *ids[40:60], *ids[-5:]]:
        receipt = Receipt.parse(await checkpointer.receipt(entry_id))
        checkpoint = receipt.verify([signed.public])
        assert (checkpoint.origin, checkpoint.size) == (origin("main", log.shard), len(ids))
        assert receipt.index == entry_id.index
        leaves = await reader.leaf_hashes(log.shard, len(ids))
        assert receipt.proof == inclusion_proof(leaves, entry_id.index, len(ids))


async def test_a_receipt_for_the_newest_entry_signs_it_first(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    (entry_id,) = await signed.append(log)
    assert Receipt.parse(await checkpointer.receipt(entry_id)).verify([signed.public]).size == 1
    for missing in (EntryId(log.shard, 1), EntryId("0" * 12, 0)):
        with pytest.raises(EntryNotFoundError):
            await checkpointer.receipt(missing)


async def test_a_record_changed_after_it_was_signed_has_no_receipt(signed):
    checkpointer = await signed.start()
    log = await signed.open()
    (entry_id,) = await signed.append(log)
    await checkpointer.checkpoint()
    other = await signed.open()
    await signed.append(other)
    document = await signed.database.batches.find_one({"shard": other.shard})
    forged = document | {"_id": batch_id(log.shard, 0), "shard": log.shard}
    await signed.database.batches.replace_one({"_id": forged["_id"]}, forged)
    with pytest.raises(AuditInconsistentError):
        await checkpointer.receipt(entry_id)


async def test_a_proof_reads_few_batches_however_large_the_shard_is(signed):
    await signed.start()
    log = await signed.open()
    for _ in range(120):
        await asyncio.gather(*(log.append(make_record()) for _ in range(9)))
    store = BatchStore.over(signed.database)
    reads = 0
    holding = store.tree_holding

    async def counted(*wanted):
        nonlocal reads
        reads += 1
        return await holding(*wanted)

    store.tree_holding = counted
    trees, size = TreeReader(store), log.head().size
    for index in (0, 1, 500, size - 1):
        reads = 0
        await trees.inclusion_proof(log.shard, index, size)
        assert reads <= 2 * size.bit_length()
    for old in (1, 2, 255, 256, 700, size):
        edge = await trees.edge_at(log.shard, old)
        proof = await trees.consistency_proof(log.shard, old, size)
        verify_consistency(old_size=old, old_root=edge.root(), new_size=size, new_root=log.head().root, proof=proof)
