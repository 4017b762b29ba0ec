"""Deployments of real processes over the session's engine."""

from collections.abc import AsyncIterator

import pytest

from tests.server.processes.deployment import Deployment, deployed
from tests.server.processes.starting import Starter, starter


@pytest.fixture(scope="session")
async def processes() -> AsyncIterator[Starter]:
    """What starts `confide`."""
    async with starter() as made:
        yield made


@pytest.fixture
async def site(processes, mongo_client, mongo_uri, tmp_path) -> AsyncIterator[Deployment]:
    """An empty deployment; start servers in it."""
    async with deployed(tmp_path, processes, mongo_client, mongo_uri) as made:
        yield made


@pytest.fixture(scope="module")
async def shared(processes, mongo_client, mongo_uri, tmp_path_factory) -> AsyncIterator[Deployment]:
    """A deployment that the tests of one file share."""
    async with deployed(tmp_path_factory.mktemp("site"), processes, mongo_client, mongo_uri) as made:
        yield made
