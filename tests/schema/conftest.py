"""Platforms without HTTP: `world` is empty and a test's own, `town` is inhabited and only to be read."""

import pytest

from tests.schema.counting import counting_client
from tests.schema.town import settle
from tests.schema.world import new_world


@pytest.fixture
async def world(mongo_client, tmp_path):
    async with new_world(mongo_client, tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
async def town(mongo_client, tmp_path_factory):
    async with new_world(mongo_client, tmp_path_factory.mktemp("town")) as made:
        await settle(made)
        yield made


@pytest.fixture
async def counted(mongo_uri, tmp_path):
    """An empty platform, and what it sends to the database."""
    client, commands = counting_client(mongo_uri)
    async with new_world(client, tmp_path) as made:
        yield made, commands
    await client.close()
