"""A platform without HTTP: `world` is empty."""

import pytest

from tests.customers.faults import Faults, FaultyDatabase
from tests.schema.world import new_databases, new_world, open_world


@pytest.fixture(scope="session")
async def lasting_world(mongo_client, tmp_path_factory):
    async with new_world(mongo_client, tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
async def world(lasting_world):
    return await lasting_world.empty()


@pytest.fixture
async def fresh_world(mongo_client, tmp_path):
    async with new_world(mongo_client, tmp_path) as made:
        yield made


@pytest.fixture
async def faulty(mongo_client, tmp_path):
    """A platform whose main and key databases fail where the test says."""
    faults = Faults()
    async with new_databases(mongo_client) as (main, keys, audit):
        parts = FaultyDatabase(main, faults), FaultyDatabase(keys, faults), audit
        async with open_world(*parts, tmp_path) as world:
            yield world, faults
