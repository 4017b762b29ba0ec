"""A platform without HTTP: `world` is empty."""

import pytest

from tests.schema.world import new_world


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
