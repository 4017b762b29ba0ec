"""CPU per request of the read path: Confide against default Strawberry with no privacy, over the same engine.

One run, interleaved; the processor time of the server process alone, as the operating system accounts it (the load
generator and the database are other processes). Quote the ratios: absolute times mean little on a shared machine.

Usage: python -m benchmarks.read_path [--customers 1000] [--rounds 7] [--requests 200] [--json]
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx

from server.database import close, connect
from server.demo import company, load
from server.demo.cast import CAST, token_for
from server.demo.writer import PlatformDemoWriter
from server.engine import embedded_engine
from server.platform import open_platform
from server.settings import Settings

FIELDS = "id givenName familyName email phone street city country language loyaltyTier totalSpent orderCount"
QUERIES = {
    "one profile x 12": f"query One($id: ID!) {{ profile(id: $id) {{ {FIELDS} }} }}",
    "100 profiles x 12": f"query Page {{ profiles(first: 100) {{ nodes {{ {FIELDS} }} }} }}",
}
TICKS = os.sysconf("SC_CLK_TCK")


async def prepare(uri: str, directory: Path, customers: int) -> tuple[str, list[str]]:
    """Write the same customers sealed and in clear; give a token and the customers' ids."""
    os.environ["CONFIDE_MONGO_URI"] = uri
    settings = Settings(data_dir=directory)
    ids: list[str] = []
    async with open_platform(settings) as platform:
        access = platform.access("benchmark", ("client_app",), "data_import")
        writer = PlatformDemoWriter(platform.services.writer, platform.vault, access)
        people = list(islice(company(), customers))
        await load(people, writer)
        ids = [writer.ids[each.external_id] for each in people]
        token = token_for(platform.issuer, CAST[0])
    client = connect(uri)
    clear = [
        {
            "_id": customer_id,
            "seq": number,
            "given_name": each.given_name,
            "family_name": each.family_name,
            "email": each.email,
            "phone": each.phone,
            "street": each.street,
            "city": each.city,
            "country": each.country,
            "language": each.language,
            "loyalty_tier": each.loyalty_tier,
            "total_spent": str(sum(order.total_minor for order in each.orders) / 100),
            "order_count": len(each.orders),
        }
        for number, (customer_id, each) in enumerate(zip(ids, people, strict=True), start=1)
    ]
    collection = client["benchmark"]["clear_profiles"]
    for start in range(0, len(clear), 100):
        await collection.insert_many(clear[start : start + 100])
    await collection.create_index("seq", unique=True)
    await close(client)
    return token, ids


@asynccontextmanager
async def running(command: list[str], environment: dict[str, str], port: int) -> AsyncIterator[int]:
    """A server process for the length of a block; gives its process id."""
    process = subprocess.Popen(command, env={**os.environ, **environment})  # noqa: ASYNC220 - waited for below
    try:
        for _ in range(300):
            if process.poll() is not None:
                raise SystemExit(f"{command} ended with {process.returncode}")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                break
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def ask(client: httpx.AsyncClient, query: str, ids: list[str], requests: int, concurrency: int) -> None:
    """Send requests; every answer is checked."""

    async def one(number: int) -> None:
        body = {"query": query, "variables": {"id": ids[number % len(ids)]} if "$id" in query else {}}
        answer = (await client.post("/graphql", json=body)).json()
        if answer.get("errors") or not answer["data"]:
            raise SystemExit(f"unexpected answer: {answer}")

    for start in range(0, requests, concurrency):
        await asyncio.gather(*(one(number) for number in range(start, min(start + concurrency, requests))))


async def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Interleaved rounds over both servers."""
    directory = Path(tempfile.mkdtemp(prefix="confide-benchmark-"))
    ports = [free_port(), free_port()]
    try:
        async with embedded_engine(directory / "engine") as engine:
            token, ids = await prepare(engine.uri, directory / "confide", arguments.customers)
            plain = running(
                [sys.executable, "-m", "benchmarks.rivals.strawberry_default"],
                {"BENCHMARK_URI": engine.uri, "BENCHMARK_PORT": str(ports[0])},
                ports[0],
            )
            confide = running(
                [str(Path(sys.executable).with_name("confide")), "serve"],
                {
                    "CONFIDE_MONGO_URI": engine.uri,
                    "CONFIDE_DATA_DIR": str(directory / "confide"),
                    "CONFIDE_PORT": str(ports[1]),
                    "CONFIDE_LOG_LEVEL": "WARNING",
                },
                ports[1],
            )
            async with plain as plain_pid, confide as confide_pid:
                servers = {"plain": (plain_pid, ports[0]), "confide": (confide_pid, ports[1])}
                return await rounds(arguments, servers, token, ids)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def rounds(
    arguments: argparse.Namespace, servers: dict[str, tuple[int, int]], token: str, ids: list[str]
) -> list[dict[str, Any]]:
    """CPU microseconds per request, by query and concurrency: medians, and the ratio round by round."""
    headers = {"authorization": f"Bearer {token}", "confide-purpose": "order_support"}
    clients = {
        name: httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60)
        for name, (_, port) in servers.items()
    }
    rows: list[dict[str, Any]] = []
    for name, query in QUERIES.items():
        count = arguments.requests if "one" in name else max(20, arguments.requests // 5)
        for concurrency in (1, 8, 32):
            taken: dict[str, list[float]] = {each: [] for each in servers}
            for each in servers:
                await ask(clients[each], query, ids, 20, concurrency)  # warm
            for _ in range(arguments.rounds):
                for each, (pid, _) in servers.items():
                    before = cpu_seconds(pid)
                    await ask(clients[each], query, ids, count, concurrency)
                    taken[each].append((cpu_seconds(pid) - before) / count * 1e6)
            ratios = [b / a for a, b in zip(taken["plain"], taken["confide"], strict=True)]
            rows.append(
                {
                    "query": name,
                    "concurrency": concurrency,
                    "plain_us": round(statistics.median(taken["plain"])),
                    "confide_us": round(statistics.median(taken["confide"])),
                    "ratio": round(statistics.median(ratios), 2),
                    "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
                }
            )
    for client in clients.values():
        await client.aclose()
    rss = int(Path(f"/proc/{servers['confide'][0]}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    rows.append({"confide_rss_mib": round(rss / 2**20)})
    return rows


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = asyncio.run(measure(arguments))
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'query':<18} {'at once':>7} {'plain':>9} {'Confide':>9} {'ratio':>6}  (lowest to highest round)")
    for row in rows[:-1]:
        low, high = row["ratio_range"]
        print(
            f"{row['query']:<18} {row['concurrency']:>7} {row['plain_us']:>6} us {row['confide_us']:>6} us "
            f"{row['ratio']:>6}  ({low} to {high})"
        )
    print(f"Confide's memory afterwards: {rows[-1]['confide_rss_mib']} MiB")


if __name__ == "__main__":
    main()
