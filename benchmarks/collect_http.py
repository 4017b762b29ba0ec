"""What taking events in over HTTP costs: `python -m benchmarks.collect_http`.

`confide serve` runs as a process of its own over an embedded engine, and this one sends: batches of 100 events of
about 400 bytes, on connections that stay open. Measured are events acknowledged (so durable) a second, and the CPU time
of the server's process by event, the engine's beside it. Then, at the same rate or the one that `--rate` names, events of
one more person are sent, and how long after each acknowledgement GraphQL shows it on their profile.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from server.access import LocalIssuer
from server.engine import embedded_engine

_PROGRAM = (sys.executable, "-c", "from server.cli import main; main()")
_TICKS = os.sysconf("SC_CLK_TCK")
_SEEN = "query Seen($value: String!) { profileByIdentifier(type: EXTERNAL_ID, value: $value) { eventCount } }"
_PLAN = """
name = "shop"

[events."Product Viewed".properties]
price = { category = "user.behavior", clear = true, schema = { type = "number" } }
currency = { category = "user.behavior", clear = true, schema = { type = "string" } }
"""
_EVENT = (
    '{"type":"track","messageId":"node-next-%d-%d-4f7a","userId":"customer-%d","anonymousId":"visitor-%d",'
    '"event":"Product Viewed","timestamp":"%s","properties":{"product_id":"507f1f77bcf86cd79943%d","sku":"G-%d",'
    '"name":"Monopoly: 3rd Edition","price":18.99,"quantity":1,"currency":"eur","category":"Games"},'
    '"context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"},"locale":"de-DE"}}'
)


@dataclass
class Load:
    """What sends, and what was acknowledged."""

    port: int
    key: str
    people: int
    batch: int
    rate: float | None = None
    acknowledged: int = 0
    refused: int = 0
    due: float = 0.0
    seconds: list[float] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def body(self, first: int) -> bytes:
        """A batch that nobody sent before."""
        now = datetime.now(UTC).isoformat()
        run = os.getpid()
        events = ",".join(
            _EVENT % (run, number, number * 7919 % self.people, number * 7919 % self.people, now, number, number % 97)
            for number in range(first * self.batch, (first + 1) * self.batch)
        )
        return f'{{"batch":[{events}],"sentAt":"{now}"}}'.encode()

    async def sender(self, until: float, most: int | None = None) -> None:
        """Send one batch after another on one connection; no faster than the rate, where there is one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"POST /v1/batch HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.key}\r\ncontent-length: "
        try:
            while time.perf_counter() < until and (most is None or self.acknowledged < most):
                if self.rate is not None:
                    self.due = max(self.due, time.perf_counter() - 1) + self.batch / self.rate
                    await asyncio.sleep(self.due - time.perf_counter())
                body = self.body(next(self.numbers))
                while True:
                    began = time.perf_counter()
                    writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
                    status = await _status(reader)
                    if status == 200:
                        break
                    if status not in (429, 503):
                        raise SystemExit(f"a batch was answered {status}")
                    self.refused += 1
                    await asyncio.sleep(0.2)
                self.seconds.append(time.perf_counter() - began)
                self.acknowledged += self.batch
        finally:
            writer.close()


async def _status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


def cpu_of(pid: int) -> float:
    """The CPU seconds of a process so far, in the kernel too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_of(pid: int) -> float:
    """The most memory that a process has had, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@dataclass
class Site:
    """A server, and how to reach it."""

    pid: int
    engine: int
    port: int
    key: str
    client: httpx.AsyncClient


@contextlib.asynccontextmanager
async def site(directory: Path) -> AsyncIterator[Site]:
    """A server over an engine of its own, with a source that follows a plan."""
    async with embedded_engine(directory / "engine", authenticate=False) as engine:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "CONFIDE_DATA_DIR": str(directory / "data"),
            "CONFIDE_MONGO_URI": engine.uri,
            "CONFIDE_PORT": str(port),
            "CONFIDE_LOG_LEVEL": "WARNING",
        }
        plan = directory / "shop.toml"
        plan.write_text(_PLAN)
        _run(environment, "plans", "put", str(plan))
        key = _run(environment, "sources", "create", "shop", "--plan", "shop").strip()
        process = _start(environment)
        issuer = LocalIssuer.open(directory / "data", now=lambda: datetime.now(UTC), random=os.urandom)
        token = issuer.issue("benchmark", roles=["privacy_officer"])
        headers = {"authorization": f"Bearer {token}", "confide-purpose": "privacy_request"}
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
            try:
                await _ready(client)
                yield Site(process.pid, engine.pid, port, key, client)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)


def _run(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run([*_PROGRAM, *arguments], env=environment, check=True, capture_output=True, text=True).stdout


def _start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*_PROGRAM, "serve"], env=environment)


async def _ready(client: httpx.AsyncClient) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            if (await client.get("/readyz")).status_code == 200:
                return
        await asyncio.sleep(0.1)
    raise SystemExit("confide serve is not ready")


@dataclass
class Probe:
    """One more person, whose profile is looked at."""

    found: Site
    sent: int = 0

    async def one(self) -> float:
        """How long after the acknowledgement of an event it is on the profile, in seconds."""
        self.sent += 1
        event = {"type": "track", "userId": "the-probe", "event": "Product Viewed", "messageId": f"probe-{self.sent}"}
        client, key = self.found.client, self.found.key
        if (await client.post("/v1/track", json=event, auth=(key, ""))).status_code != 200:
            raise SystemExit("the probe was not taken")
        acknowledged = time.perf_counter()
        while True:
            answer = await client.post("/graphql", json={"query": _SEEN, "variables": {"value": "user:the-probe"}})
            profile = answer.json()["data"]["profileByIdentifier"]
            if profile is not None and (profile["eventCount"] or 0) >= self.sent:
                return time.perf_counter() - acknowledged
            await asyncio.sleep(0.02)

    async def until(self, end: float) -> list[float]:
        """One after the other, until then."""
        delays: list[float] = []
        while time.perf_counter() < end:
            delays.append(await self.one())
            await asyncio.sleep(0.2)
        return delays


async def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="confide-collect-") as name:
        async with site(Path(name)) as found:
            load = Load(found.port, found.key, options.people, options.batch)
            far = time.perf_counter() + 3600
            # First everybody is seen once: who is new costs a key, and there are more of those who are not.
            began, cpu = time.perf_counter(), cpu_of(found.pid)
            await _senders(load, options.senders, far, most=options.people)
            first = load.acknowledged / (time.perf_counter() - began), (cpu_of(found.pid) - cpu) / load.acknowledged
            await asyncio.sleep(2)

            load.acknowledged, load.refused = 0, 0
            load.seconds.clear()
            began, cpu, engine = time.perf_counter(), cpu_of(found.pid), cpu_of(found.engine)
            await _senders(load, options.senders, began + options.seconds)
            elapsed, count = time.perf_counter() - began, load.acknowledged
            spent, engine = cpu_of(found.pid) - cpu, cpu_of(found.engine) - engine
            seconds = sorted(load.seconds)

            probe = Probe(found)
            await probe.one()  # what waited is heard of
            load.rate, before, began = options.rate, load.acknowledged, time.perf_counter()
            sending = asyncio.create_task(_senders(load, options.senders, began + options.seconds))
            delays = sorted(await probe.until(began + options.seconds - 1))
            await sending
            rate = (load.acknowledged - before) / (time.perf_counter() - began)
            seen = f"{1000 * statistics.median(delays):.0f} ms, {1000 * delays[-1]:.0f} ms, of {len(delays)}"
            _show(
                {
                    "events a second, acknowledged durable": f"{count / elapsed:,.0f}",
                    "CPU of the server by event": f"{1e6 * spent / count:.0f} µs",
                    "CPU of the engine by event": f"{1e6 * engine / count:.0f} µs",
                    "a batch takes, median and 99 of 100": f"{1000 * statistics.median(seconds):.0f} ms, "
                    f"{1000 * seconds[len(seconds) * 99 // 100]:.0f} ms",
                    "batches told to come again": str(load.refused),
                    "while everybody is new: events a second, CPU": f"{first[0]:,.0f}, {1e6 * first[1]:.0f} µs",
                    f"at {rate:,.0f} a second, on its profile after, median and at most": seen,
                    "the server's memory at most": f"{memory_of(found.pid):.0f} MB",
                },
                f"{count:,} events in {elapsed:.0f} s, batches of {options.batch}, {options.senders} connections, "
                f"{options.people:,} people, load average {os.getloadavg()[0]:.1f}",
            )


async def _senders(load: Load, senders: int, until: float, most: int | None = None) -> None:
    await asyncio.gather(*(load.sender(until, most) for _ in range(senders)))


def _show(rows: dict[str, str], title: str) -> None:
    table = Table(title=title)
    table.add_column("")
    table.add_column("measured", justify="right")
    for row in rows.items():
        table.add_row(*row)
    Console(width=110).print(table)
    print(json.dumps(rows, ensure_ascii=False))


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to send (default 20)")
    parser.add_argument("--senders", type=int, default=4, help="connections (default 4)")
    parser.add_argument("--people", type=int, default=2000, help="whom the events are about (default 2,000)")
    parser.add_argument("--batch", type=int, default=100, help="events in a batch (default 100)")
    parser.add_argument(
        "--rate", type=float, help="events a second while profiles are looked at (default: all it takes)"
    )
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
