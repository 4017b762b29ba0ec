"""Whatever a provider answers, a profile takes only what may be a value; nothing it answers ends a run."""

import pytest
from bson import encode

from tests.customers.enrichment.enriching import Enriching, Remembering, defined, sent
from tests.schema.world import utc_now


async def answered(world, tmp_path, setting):
    """What comes of an answer with this value for a trait."""
    (customer_id,) = await world.create(world.draft({"country": "DE", "postal_code": "20001"}))
    provider = Remembering({sent("20001"): {"area": "north", "setting": setting}})
    definition = defined(tmp_path, policies=world.policies)
    report = await Enriching(world, utc_now).run(definition, provider)
    return report, await world.main["profiles"].find_one({"_id": customer_id})


@pytest.mark.parametrize("setting", ["x" * 1_001, 2**63, -(2**63) - 1, 10**400], ids=["long", "big", "small", "huge"])
async def test_what_cannot_be_a_value_fails_alone_and_leaves_the_profile_as_it_is(world, tmp_path, setting):
    report, document = await answered(world, tmp_path, setting)
    assert (report.failed, report.written, report.finished) == (1, 0, True)
    assert "region" not in document
    assert len(encode(document)) < 5_000


@pytest.mark.parametrize("setting", ["x" * 1_000, 2**63 - 1, 0.5], ids=["text", "whole", "part"])
async def test_what_can_be_is_written(world, tmp_path, setting):
    """The negative control."""
    report, document = await answered(world, tmp_path, setting)
    assert (report.failed, report.written, document["region"]) == (0, 1, "north")
