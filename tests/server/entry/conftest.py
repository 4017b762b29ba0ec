"""Fixtures of the door: one house for each file of tests, swept after each test."""

import pytest

from tests.server.entry.doors import open_door


@pytest.fixture(scope="module")
async def house(mongo_uri, mongo_client, tmp_path_factory):
    async with open_door(mongo_uri, mongo_client, tmp_path_factory.mktemp("door")) as made:
        yield made


@pytest.fixture
async def door(house):
    yield house
    await house.clean()
