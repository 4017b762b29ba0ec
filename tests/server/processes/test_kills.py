"""kill -9 of the server under load: whatever a client was told is true afterwards."""

import dataclasses
import os

import pytest

from audit import Kind
from tests.server.processes.deployment import READER
from tests.server.processes.kill_rounds import Load, kill_server
from tests.server.processes.ledger import Told, unrecorded

KILLS = 6


@pytest.mark.timeout(90)
async def test_every_answer_has_its_record_and_every_acknowledged_write_is_there_once_after_kills(site):
    outcome = await kill_server(site, kills=KILLS, seed=int(os.environ.get("CONFIDE_FAULTS_SEED", "4")))
    assert outcome.faults == []
    assert outcome.answers > 10 * KILLS, "there was load"
    assert outcome.writes > 3 * KILLS


async def test_the_comparison_finds_a_lost_record_a_lost_write_and_one_that_was_made_twice(site):
    """The negative controls of the test above: what it looks for is planted, and found."""
    load = Load(site, clients=1)
    server = await site.served()
    for _ in range(3):
        await load.create(server, 0)
    first, second, third = load.ledger.customers.values()
    for whose in (first, second):
        await load.update(server, whose)
        await load.consent(server, whose)
    assert await load.ledger.faults(site) == []

    records = await site.records()
    write = next(each for each in load.ledger.told if each.wrote)
    without = {entry: record for entry, record in records.items() if entry != write.entry}
    assert unrecorded([write], without) == ["an answer left without its record"]
    without = {entry: r for entry, r in records.items() if not (r.kind is Kind.WRITE and r.case == write.case)}
    assert unrecorded([write], without) == ["a write has 0 records"]
    assert unrecorded([dataclasses.replace(write, case="another")], records)[0] == (
        "an answer named another request's record"
    )
    assert unrecorded([Told("read", write.entry, wrote=False)], records)

    await site.main["profiles"].delete_one({"_id": third.id})
    await site.main["profiles"].update_one({"_id": first.id}, {"$inc": {"version": 1}})
    (decision,) = await site.main["consent_ledger"].find({"customer_id": second.id}).to_list(None)
    await site.main["consent_ledger"].insert_one({**decision, "_id": "again"})
    assert sorted(await load.ledger.faults(site)) == [
        "2 changes acknowledged, 0 more asked, 3 made",
        "a decision was recorded 2 times",
        "an acknowledged profile is not there",
    ]

    await site.audit["batches"].delete_one({"first": 2})
    with pytest.raises(AssertionError, match="missing"):
        await load.ledger.faults(site)


async def test_nobody_finds_half_a_customer(site):
    """What a cut-off creation leaves is found by nobody: the profile is written last."""
    server = await site.served()
    customer = await site.create(server, givenName="Ana", email="ana@example.org")
    await site.main["profiles"].delete_one({"_id": customer})
    for query, variables in (
        (
            "query Q($value: String!) { profileByIdentifier(type: EMAIL, value: $value) { id } }",
            {"value": "ana@example.org"},
        ),
        ("query Q($id: ID!) { profile(id: $id) { id givenName } }", {"id": customer}),
    ):
        answer = await site.ask(server, READER, query, **variables)
        assert answer.code is None
        assert list(answer.data.values()) == [None]
