"""A world of these tests' own: its access log has records of years to come, which other tests would find."""

import pytest

from tests.customers.rights.recipients.office import Office
from tests.schema.world import new_world


@pytest.fixture(scope="session")
async def world_to_come(mongo_client, tmp_path_factory):
    async with new_world(mongo_client, tmp_path_factory.mktemp("told")) as made:
        yield made


@pytest.fixture
async def office(world_to_come):
    return await Office(await world_to_come.empty()).empty()
