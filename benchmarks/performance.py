"""Every figure of docs/performance.md: `scripts/benchmark [compare] [growth] [sealed] [profile] [--quick] [--long]`.

Without names, all parts. A quick run takes two minutes, says little, and is written beside the page and not into it.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import compare, growth, profiled, report, sealed
from benchmarks.asking import Taking
from benchmarks.world import World, world

PARTS = ("compare", "growth", "sealed", "profile")
_ROOT = Path(__file__).parent.parent
_PAGE = _ROOT / "docs" / "performance.md"
_QUICK = _ROOT / ".confide" / "performance"
_VERSIONS = ("strawberry-graphql", "graphql-core", "ariadne", "pymongo", "pymongocrypt", "uvicorn", "uvloop")


async def measure(parts: Sequence[str], arguments: argparse.Namespace, keep: Callable[[str, Any], None]) -> None:
    """Measure these parts, and keep the figures of each as soon as there are any."""
    quick = arguments.quick
    taking = Taking(3, 0.1) if quick else Taking(arguments.rounds, arguments.seconds)
    few = 200 if quick else 1000
    async with world(few) as made:
        if "sealed" in parts:
            say("sealed")
            keep("sealed", sealed.sealed(made.uri, rounds=taking.rounds, seconds=taking.seconds))
        if "compare" in parts:
            say("compare")
            starts = 1 if quick else compare.COLD_STARTS
            keep("compare", await compare.compare(made, taking, cold_starts=starts))
        if "growth" in parts:
            keep("growth", await _growth(made, few, taking, quick=quick, long=arguments.long))
        if "profile" in parts:
            say("profile")
            questions = {"one": compare.single_question(made), "page": compare.page_question(made)}
            keep("profile", await profiled.profile(made, questions, taking))


async def _growth(made: World, few: int, taking: Taking, *, quick: bool, long: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with made.confide() as server:
        say("growth: profiles a page")
        found["profiles"] = await growth.by_page(server, made, taking)
        say("growth: clients at once")
        found["clients"] = await growth.by_clients(server, made, taking)
    say("growth: rules")
    found["rules"] = await growth.by_rules(made, taking)
    sizes = [3 * few] if quick else [10_000, 100_000] if long else [10_000]
    async with AsyncExitStack() as stack:
        worlds = {few: made}
        for size in sizes:
            say(f"growth: {size:,} customers are written")
            worlds[size] = await stack.enter_async_context(world(size))
        say("growth: customers")
        found["customers"] = await growth.by_customers(worlds, taking)
    return found


def say(what: str) -> None:
    """Tell what is going on, and when it began."""
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def _run(*, quick: bool) -> dict[str, Any]:
    """The machine and what runs on it."""
    cpu = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpu.splitlines() if line.startswith("model name")), "")
    node = subprocess.run([shutil.which("node") or "node", "--version"], capture_output=True, text=True, check=False)
    packages = json.loads((_ROOT / "benchmarks/rivals/node/package.json").read_text())["dependencies"]
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in _VERSIONS)]
    versions += [f"Node {node.stdout.strip()}", *(f"{name} {each}" for name, each in packages.items())]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "processor": model or platform.machine(),
        "memory_gib": round(memory),
        "system": f"Linux {platform.release().partition('-')[0]}",
        "load_before": round(os.getloadavg()[0], 2),
        "quick": quick,
        "versions": ", ".join(versions),
    }


def main() -> None:
    """Measure, keep the figures, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--quick", action="store_true", help="two minutes, into .confide/performance")
    parser.add_argument("--long", action="store_true", help="100,000 customers as well, which takes long to write")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="of each measurement, about")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    page = _PAGE
    if arguments.quick:
        _QUICK.mkdir(parents=True, exist_ok=True)
        page = Path(shutil.copy(_PAGE, _QUICK))
    kept = page.with_suffix(".json")
    figures: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    run = _run(quick=arguments.quick)

    def keep(part: str, found: Any) -> None:
        figures[part] = found
        ended = {**run, "load_after": round(os.getloadavg()[0], 2)}
        figures["runs"] = {**figures.get("runs", {}), part: ended}
        kept.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
        report.write(figures, page)

    asyncio.run(measure(parts, arguments, keep))
    say(f"written: {page}")


if __name__ == "__main__":
    main()
