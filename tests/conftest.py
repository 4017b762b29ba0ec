"""Fixtures that every test may use: a real engine over its wire protocol, and databases nobody else touches."""

import os
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from server.database import Client, Database, Driver, close, connect, database
from server.engine import embedded_engine


@dataclass(frozen=True)
class Databases:
    """The three databases of one test, each empty."""

    client: Client
    main: Database
    keys: Database
    audit: Database


@pytest.fixture(scope="session")
async def mongo_uri(tmp_path_factory) -> AsyncIterator[str]:
    """`CONFIDE_MONGO_URI` where it is set (CI sets a replica set's), else an embedded engine of this session's."""
    if uri := os.environ.get("CONFIDE_MONGO_URI"):
        yield uri
        return
    async with embedded_engine(tmp_path_factory.mktemp("engine") / "data", authenticate=False) as engine:
        yield engine.uri


@pytest.fixture(scope="session")
async def mongo_client(mongo_uri) -> AsyncIterator[Client]:
    driver: Driver = "motor" if os.environ.get("CONFIDE_MONGO_DRIVER") == "motor" else "pymongo"
    client = connect(mongo_uri, driver)
    yield client
    await close(client)


@pytest.fixture
async def databases(mongo_client) -> AsyncIterator[Databases]:
    run = f"t{uuid.uuid4().hex[:12]}"
    found = Databases(mongo_client, *(database(mongo_client, f"{run}_{part}") for part in ("main", "keys", "audit")))
    yield found
    for part in (found.main, found.keys, found.audit):
        await mongo_client.drop_database(part.name)
