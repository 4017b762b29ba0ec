"""A deployment of Confide for a test: databases of its own, one data directory, and any number of processes."""

import asyncio
import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from audit import AccessReader, Record, decode_record
from server.access import LocalIssuer
from server.database import Client, Database, database
from tests.server.processes.starting import Started, Starter

START_SECONDS = 40.0

CREATE = "mutation Create($input: CreateProfileInput!) { createProfile(input: $input) { profile { id } } }"
UPDATE = "mutation Update($input: UpdateProfileInput!) { updateProfile(input: $input) { profile { id } } }"
CONSENT = (
    "mutation Consent($id: ID!, $choice: ConsentChoice!, $consent: ConsentInput!) "
    "{ recordConsent(id: $id, choice: $choice, consent: $consent) { profile { id } } }"
)
ERASE = "mutation Erase($id: ID!) { eraseCustomer(id: $id, confirm: $id) { keyFingerprints erasedAt } }"
NAMES = "query Names($id: ID!) { profile(id: $id) { id givenName familyName email phone notes } }"
FIND = "query Find($value: String!) { profileByIdentifier(type: EMAIL, value: $value) { id email } }"

# Who may do what, in the shipped policies.
WRITER = ("client_app", "data_import")
READER = ("privacy_officer", "privacy_request")
SUPPORT = ("support_agent", "order_support")


@dataclass(frozen=True)
class Answer:
    """What a request got."""

    status: int
    body: dict[str, Any]
    seconds: float

    @property
    def data(self) -> Any:
        return self.body.get("data")

    @property
    def code(self) -> str | None:
        """The first error's."""
        errors = self.body.get("errors")
        return errors[0]["extensions"]["code"] if errors else None

    @property
    def entry(self) -> str | None:
        """The access record that was durable before this answer left."""
        return ((self.body.get("extensions") or {}).get("privacy") or {}).get("entry")

    @property
    def reasons(self) -> set[str]:
        return {each["reason"] for each in self.body["extensions"]["privacy"]["withheld"]}


class Server:
    """A `confide serve`."""

    def __init__(self, process: Started, port: int, client: httpx.AsyncClient) -> None:
        self.process = process
        self.port = port
        self.client = client

    async def ready(self, seconds: float = START_SECONDS) -> "Server":
        """Wait until it says that it can serve."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.code is not None:
                raise AssertionError(f"confide serve ended with {self.process.code}: {self.process.err[-2000:]}")
            with contextlib.suppress(httpx.TransportError):
                if (await self.client.get("/readyz", timeout=5.0)).status_code == 200:
                    return self
            await asyncio.sleep(0.05)
        raise AssertionError(f"confide serve was not ready: {self.process.err[-2000:]}")

    async def ask(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        token: str,
        purpose: str | None,
        case: str | None = None,
    ) -> Answer:
        """Ask; raises httpx.TransportError where no answer came."""
        headers = {"authorization": f"Bearer {token}"}
        if purpose is not None:
            headers["confide-purpose"] = purpose
        if case is not None:
            headers["confide-case"] = case
        began = time.monotonic()
        response = await self.client.post(
            "/graphql", json={"query": query, "variables": dict(variables or {})}, headers=headers
        )
        return Answer(response.status_code, response.json(), time.monotonic() - began)

    async def stop(self) -> int:
        """SIGTERM, and how it ended."""
        self.process.signal(15)
        return await self.process.wait()

    async def kill(self) -> None:
        await self.process.kill()


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Deployment:
    """One deployment's settings, processes and databases."""

    def __init__(self, directory: Path, starter: Starter, client: Client | None, uri: str | None) -> None:
        """`uri` is None where `confide serve` shall start the embedded engine itself."""
        self.directory = directory
        self.data = directory / "data"
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True)
        self.run = f"p{uuid.uuid4().hex[:10]}"
        self._starter = starter
        self._client = client
        self._servers: list[Server] = []
        self._issuer: LocalIssuer | None = None
        self._tokens: dict[str, str] = {}
        self._count = 0
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "CONFIDE_DATA_DIR": str(self.data),
            "CONFIDE_PORT": str(free_port()),
            "CONFIDE_FOUR_EYES": "[]",  # there is one user who types here
            "CONFIDE_MAIN_DATABASE": f"{self.run}_main",
            "CONFIDE_KEYS_DATABASE": f"{self.run}_keys",
            "CONFIDE_AUDIT_DATABASE": f"{self.run}_audit",
        }
        if uri is not None:
            self.environment["CONFIDE_MONGO_URI"] = uri
        if driver := os.environ.get("CONFIDE_MONGO_DRIVER"):
            self.environment["CONFIDE_MONGO_DRIVER"] = driver

    # ---- databases

    def _database(self, part: str) -> Database:
        return database(self._client, f"{self.run}_{part}")

    @property
    def main(self) -> Database:
        return self._database("main")

    @property
    def keys(self) -> Database:
        return self._database("keys")

    @property
    def audit(self) -> Database:
        return self._database("audit")

    @property
    def log(self) -> AccessReader:
        return AccessReader.over(self.audit, now=utc_now)

    async def records(self) -> dict[str, Record]:
        """Every record of the access log by its entry's id, each shard verified."""
        found: dict[str, Record] = {}
        for shard in await self.log.shards():
            check = await self.log.verify_shard(shard)
            assert check, check.fault
            async for batch in self.log.batches(shard, check.head.size):
                first = batch.first
                found |= {f"{shard}.{first + at}": decode_record(data) for at, data in enumerate(batch.records)}
        return found

    # ---- processes

    def _files(self, name: str) -> tuple[Path, Path]:
        self._count += 1
        stem = f"{self._count:03}-{name}"
        return self.logs / f"{stem}.out", self.logs / f"{stem}.err"

    async def serve(self, *, script: bool = False, port: int | None = None, **changed: str) -> Server:
        """Start `confide serve`; it may not be ready yet."""
        port = port or free_port()
        environment = {**self.environment, "CONFIDE_PORT": str(port), **changed}
        start = self._starter.start_script if script else self._starter.start
        process = await start(["serve"], environment, self.directory, *self._files("serve"))
        client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30.0, trust_env=False)
        server = Server(process, port, client)
        self._servers.append(server)
        return server

    async def served(self, **changed: Any) -> Server:
        """Start `confide serve` and wait until it serves."""
        return await (await self.serve(**changed)).ready()

    async def start(self, *arguments: str | Path, **changed: str) -> Started:
        """Start a command."""
        words = [str(word) for word in arguments]
        return await self._starter.start(
            words, {**self.environment, **changed}, self.directory, *self._files(words[0])
        )

    async def run_own(self, run: str, *arguments: str, **changed: str) -> Started:
        """Start one of the tests' own programs, `module:function`."""
        files = self._files(run.rpartition(".")[2].replace(":", "-"))
        environment = {**self.environment, **changed}
        return await self._starter.start(list(arguments), environment, self.directory, *files, run=run)

    async def confide(self, *arguments: str | Path, seconds: float = 60.0, **changed: str) -> Finished:
        """Run a command to its end."""
        process = await self.start(*arguments, **changed)
        try:
            code = await process.wait(seconds)
        except TimeoutError:
            await process.kill()
            raise AssertionError(f"confide {arguments} did not end: {process.err[-2000:]}") from None
        return Finished(code, process.out, process.err)

    async def close(self) -> None:
        for server in self._servers:
            await server.kill()
            await server.client.aclose()
        # The session's own engine is thrown away as a whole, and dropping takes seconds.
        if self._client is not None and self.environment["CONFIDE_MONGO_URI"] == os.environ.get("CONFIDE_MONGO_URI"):
            for each in (self.main, self.keys, self.audit):
                await self._client.drop_database(each.name)

    # ---- tokens and customers

    def token(self, subject: str, role: str, **more: Any) -> str:
        if self._issuer is None:
            self._issuer = LocalIssuer.open(self.data, now=utc_now, random=os.urandom)
        return self._issuer.issue(subject, roles=[role], **more)

    async def ask(
        self, server: Server, who: tuple[str, str], query: str, case: str | None = None, **variables: Any
    ) -> Answer:
        """Ask as a role for a purpose."""
        role, purpose = who
        if role not in self._tokens:
            self._tokens[role] = self.token(f"{role}.tester", role)
        return await server.ask(query, variables, token=self._tokens[role], purpose=purpose, case=case)

    async def create(self, server: Server, **values: Any) -> str:
        """A new customer's id."""
        answer = await self.ask(server, WRITER, CREATE, input={"values": values})
        assert answer.code is None, answer.body
        return answer.data["createProfile"]["profile"]["id"]


def utc_now() -> datetime:
    return datetime.now(UTC)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def deployed(
    directory: Path, starter: Starter, client: Client | None = None, uri: str | None = None
) -> AsyncIterator[Deployment]:
    """A deployment for the length of a block."""
    made = Deployment(directory, starter, client, uri)
    try:
        yield made
    finally:
        await made.close()
