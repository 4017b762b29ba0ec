"""The same customers twice in one engine: sealed by Confide, and in clear for whatever it is measured against."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import httpx

from benchmarks.asking import FIELDS, NAMES
from benchmarks.processes import Running, free_port, running
from server.database import close, connect
from server.demo import company, load
from server.demo.cast import CAST, token_for
from server.demo.model import DemoCustomer
from server.demo.writer import PlatformDemoWriter
from server.engine import EmbeddedEngine, embedded_engine
from server.platform import open_platform
from server.settings import Settings

__all__ = ["Person", "World", "world"]

_PAGE = 100
_ID = "cus_"
_PHONE = "+491555"
_ALL = f"query All($after: String) {{ profiles(first: {_PAGE}, after: $after) {{ nodes {{ {FIELDS} }} \
edges {{ cursor }} pageInfo {{ hasNextPage endCursor }} }} }}"


@dataclass(frozen=True)
class Person:
    """A customer as Confide shows them to who asks: what every server is to answer.

    Attributes:
        values: The twelve fields by name.
        cursor: Confide's cursor just behind this customer.
    """

    values: Mapping[str, Any]
    cursor: str

    @property
    def id(self) -> str:
        """The customer's id, or the pseudonym that is shown instead where they are restricted."""
        return str(self.values["id"])

    @property
    def named(self) -> bool:
        """Whether they can be asked for by it."""
        return self.id.startswith(_ID)


@dataclass(frozen=True)
class World:
    """Customers in an engine, and how to ask for them.

    Attributes:
        uri: The engine.
        engine: Its process.
        directory: Confide's data directory.
        headers: What a request to Confide carries; other servers are sent the same and look at none of it.
        writer_headers: The same of who may write.
        people: Every customer, in the order of lists.
    """

    uri: str
    engine: int
    directory: Path
    headers: Mapping[str, str]
    writer_headers: Mapping[str, str]
    people: list[Person]

    def environment(self, port: int) -> dict[str, str]:
        """The settings of a Confide over this world."""
        return {
            "CONFIDE_MONGO_URI": self.uri,
            "CONFIDE_DATA_DIR": str(self.directory),
            "CONFIDE_PORT": str(port),
            "CONFIDE_LOG_LEVEL": "WARNING",
            # A moment in which the machine does something else is not to end ten minutes of measuring.
            "CONFIDE_READ_DEADLINE_SECONDS": "30",
        }

    @asynccontextmanager
    async def confide(self, name: str = "Confide", **more: str) -> AsyncIterator[Running]:
        """A Confide over this world, with these settings besides."""
        port = free_port()
        command = [str(Path(sys.executable).with_name("confide")), "serve"]
        async with running(name, command, {**self.environment(port), **more}, port) as server:
            yield replace(server, database=self.engine)


@contextmanager
def _setting(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@asynccontextmanager
async def world(customers: int) -> AsyncIterator[World]:
    """An engine of its own with so many customers, gone afterwards."""
    parent = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    directory = Path(tempfile.mkdtemp(prefix="confide-benchmark-", dir=parent if parent.is_dir() else None))
    try:
        async with embedded_engine(directory / "engine") as engine:
            made = await _filled(engine, directory / "confide", customers)
            await _write_clear(made)
            yield made
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def invented() -> Iterator[DemoCustomer]:
    """The demo company over and over, each time of other people; nobody has another's identifiers."""
    yield from company()
    for time in count(1):
        for number, person in enumerate(company(seed=time)):
            local, _, domain = person.email.partition("@")
            yield replace(
                person,
                external_id=f"{person.external_id}:{time}",
                email=f"{local}.{time}.{number}@{domain}",
                phone=f"{_PHONE}{time:03d}{number:04d}",
            )


async def _filled(engine: EmbeddedEngine, directory: Path, customers: int) -> World:
    """Write the customers through Confide, and read them back through it."""
    with _setting("CONFIDE_MONGO_URI", engine.uri):
        settings = Settings(data_dir=directory)
    # Made before: a process that does not come to renew its lease on the keys for seconds loses it.
    people = list(islice(invented(), customers))
    async with open_platform(settings) as platform:
        access = platform.access("benchmark", ("client_app",), "data_import")
        await load(people, PlatformDemoWriter(platform.services.writer, platform.vault, access))
        agent = token_for(platform.issuer, CAST[0])
    headers = {"authorization": f"Bearer {agent}", "confide-purpose": "order_support"}
    writing = {"authorization": f"Bearer {agent}", "confide-purpose": "customer_service"}
    shown: list[Person] = []
    made = World(engine.uri, engine.pid, directory, headers, writing, shown)
    async with made.confide() as server:
        shown.extend([person async for person in _everybody(server.port, headers)])
    if len(shown) != customers:
        raise SystemExit(f"{customers} customers were written and {len(shown)} are shown")
    return made


async def _everybody(port: int, headers: Mapping[str, str]) -> AsyncIterator[Person]:
    after = None
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=dict(headers), timeout=60) as client:
        while True:
            body = {"query": _ALL, "variables": {"after": after}}
            answer = (await client.post("/graphql", json=body)).json()
            if answer.get("errors"):
                raise SystemExit(f"Confide does not give the page: {json.dumps(answer)[:2000]}")
            shown = answer["data"]["profiles"]
            for node, edge in zip(shown["nodes"], shown["edges"], strict=True):
                yield Person(node, edge["cursor"])
            after = shown["pageInfo"]["endCursor"]
            if not shown["pageInfo"]["hasNextPage"]:
                return


async def _write_clear(made: World) -> None:
    """The documents that the others read: what Confide shows, in clear."""
    clear = [
        {"_id": person.id, "seq": number, **{NAMES[name]: person.values[name] for name in NAMES if name != "id"}}
        for number, person in enumerate(made.people, start=1)
    ]
    client = connect(made.uri)
    collection = client["benchmark"]["clear_profiles"]
    for start in range(0, len(clear), 100):
        await collection.insert_many(clear[start : start + 100])
    await collection.create_index("seq", unique=True)
    await close(client)
    await asyncio.sleep(0)
