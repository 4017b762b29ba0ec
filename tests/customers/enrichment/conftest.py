from datetime import UTC, datetime, timedelta

import pytest

from tests.customers.enrichment.enriching import Enriching, defined
from tests.schema.world import new_world


class Clock:
    """The time, with days added that have not passed."""

    def __init__(self):
        self.later = timedelta()

    def __call__(self):
        return datetime.now(UTC) + self.later


@pytest.fixture(scope="module")
async def lasting_world(mongo_client, tmp_path_factory):
    """One of its own: records of a clock that runs ahead would stand last in everybody's log."""
    async with new_world(mongo_client, tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def enriching(world, clock):
    await world.main["enrichment_runs"].delete_many({})
    return Enriching(world, clock)


@pytest.fixture
def definition(tmp_path, world):
    return defined(tmp_path, policies=world.policies)
