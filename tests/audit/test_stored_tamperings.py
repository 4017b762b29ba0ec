"""Whoever can write to the database is found, and where; `scripts/faults audit` does the same for longer."""

import copy
import random
import uuid

import pytest

from audit import encode_record
from audit.batch import build_batch
from audit.end import is_end
from audit.tree import Edge
from tests.audit.bundles import record, signing_key
from tests.audit.stored_log import StoredLog
from tests.audit.stored_rounds import tamper
from tests.audit.stored_tamperings import StoredTamperer


@pytest.fixture(scope="module")
async def stored(mongo_client, tmp_path_factory):
    database = mongo_client[f"t{uuid.uuid4().hex[:12]}_stored"]
    yield await StoredLog.make(database, tmp_path_factory.mktemp("stored"))
    await mongo_client.drop_database(database.name)


def dice(seed):
    return random.Random(seed)  # noqa: S311 - tamperings, not secrets


@pytest.mark.timeout(120)
async def test_no_random_tampering_is_missed_and_each_is_located(stored, tmp_path):
    tally = await tamper(stored, tmp_path / "bundle.zip", dice(21), 40)
    assert (tally.missed, tally.lost) == ({}, {}), tally.examples
    assert len(tally.made) > 15
    assert tally.made.total() == tally.by_log.total() + tally.by_bundle.total() == 40


async def test_a_log_that_nobody_tampered_with_is_whole(stored, tmp_path):
    """Also after all that was done to it and undone."""
    assert await stored.check() == []
    assert await stored.verify(tmp_path / "bundle.zip") == []


CONTROLS = {
    "what it is searched by": (("search",), "audit.batch._search", lambda *_: Anything(), {"bundle": False}),
    "what no log wrote": (("plant",), "audit.reader.AccessReader.strays", None, {"bundle": False}),
    "the heads that were signed": (
        ("rewrite_to_the_end",), "audit.reader._agrees", lambda *_: True, {"bundle": False, "witness": False},
    ),
    "signatures": (
        ("sign_by_thief",), "audit.history.verify_note", lambda *_: None, {"bundle": False, "witness": False},
    ),
    "the witness": (("old_backup", "sign_by_stolen_key"), None, None, {"witness": False}),
    "the place of an end": (("forge_wrong_end",), "audit.reader._misended", lambda *_: None, {"bundle": False}),
}  # fmt: skip


class Anything(dict):
    """Equal to whatever is stored."""

    __hash__ = None

    def __eq__(self, _other):
        return True

    def __ne__(self, _other):
        return False


@pytest.mark.parametrize("name", CONTROLS)
async def test_a_check_without_one_of_its_parts_misses_what_that_part_is_for(stored, tmp_path, monkeypatch, name):
    kinds, target, instead, how = CONTROLS[name]
    path = tmp_path / "bundle.zip"
    whole = await tamper(stored, path, dice(22), 5, kinds=kinds)
    assert (whole.missed, whole.lost) == ({}, {}), whole.examples

    async def nothing(_self):
        return []

    picked = StoredTamperer(dice(22), stored)
    picked.kinds = [getattr(picked, each) for each in kinds]
    tamperings = [picked.next() for _ in range(5)]
    if target is not None:
        monkeypatch.setattr(target, instead or nothing)
    found = [await stored.found(each, path, **how) for each in tamperings]
    assert not all(found), ("it must miss some", found)


async def test_what_no_check_can_see_is_what_the_page_says(stored, tmp_path):
    """The limits of the check, as docs/audit-verification.md names them: it would be false to claim more."""
    batches = {name: each for (part, name), each in stored.documents.items() if part == "batches"}
    open_shard = stored.rosters[-1].entries[2].shard
    tail = max(name for name, each in batches.items() if each["shard"] == open_shard)
    last = batches[tail]
    entries = [(record(5), encode_record(record(5)))]
    appended = build_batch(open_shard, Edge(last["size"], tuple(last["edge"])), entries).document()
    end = copy.deepcopy(next(each for each in batches.values() if is_end(each)))
    shard = copy.deepcopy(stored.documents["shards", end["shard"]])
    unseen = {
        "what was not signed yet, cut off": {("batches", tail): None},
        "a record appended to an open shard": {("batches", appended["_id"]): appended},
        "the time of an end": {("batches", end["_id"]): {**end, "end": "2027-01-01T00:00:00.000000Z"}},
        "what the list of shards says for people": {
            ("shards", shard["_id"]): {**shard, "opened_at": "2027-01-01T00:00:00.000000Z"}
        },
    }
    for what, changes in unseen.items():
        await stored.change(changes)
        try:
            assert await stored.check() == [], what
            assert await stored.verify(tmp_path / "bundle.zip") == [], what
        finally:
            await stored.put_back(changes)


def test_a_thief_has_another_key(stored):
    assert signing_key(99).verifier not in [key.verifier for key in stored.stolen]
