"""A platform without HTTP, empty and a test's own."""

import pytest

from tests.schema.world import new_world


@pytest.fixture
async def world(mongo_client, tmp_path):
    async with new_world(mongo_client, tmp_path) as made:
        yield made
