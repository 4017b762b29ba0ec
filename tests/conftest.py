"""Fixtures that every test may use: a real engine over its wire protocol, and databases nobody else touches."""

import gc
import os
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.database import Client, Database, Driver, close, connect, database
from server.engine import embedded_engine

_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a directory of its own in it, for this user alone
_ROOM = 4 * 1024**3
# What takes longest, so that the last to be begun are short and the processes of a run end together.
_FIRST = (
    "tests/server/test_demo_command.py",
    "tests/server/processes/test_console_browser.py",
    "tests/server/processes/test_console_officer_browser.py",
    "tests/server/processes/test_collect_kills.py",
    "tests/customers/rights/test_eraser.py",
    "tests/server/processes/test_signed_log.py",
    "tests/schema/test_disclosed_fields.py",
    "tests/schema/test_executor.py",
    "tests/server/processes/test_erased_everywhere.py",
    "tests/customers/collection/test_intake_applying.py",
    "tests/customers/rights/recipients/test_recipients_killed.py",
    "tests/audit/test_stored_tamperings.py",
    "tests/audit/test_search_indexes.py",
    "tests/server/portal/test_portal_browser.py",
    "tests/server/processes/",
    "tests/policies/test_policy_equality.py",
    "tests/server/test_engine.py",
    "tests/server/console/",
    "tests/server/",
    "tests/customers/",
    "tests/vault/",
)
# The tests, what they test and what that imports are a million objects, and Python would walk them again and again.
_YOUNG = 50_000


def pytest_configure() -> None:
    """Keep compiled tests, walk objects seldom, and keep temporary files in memory.

    Compiled tests: five hundred files with their asserts spelled out take each process of a run ten seconds.

    Temporary files, the engines' data above all, are in memory where there is room for them.

    Each commit is synced: on a disk, most of a test's time is that. What a test kills is a process and never the
    machine, after which a disk and memory hold the same. PYTEST_DEBUG_TEMPROOT=/tmp puts them on the disk all the same.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # neither the run's processes nor those that tests start
    sys.dont_write_bytecode = False
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    if _has_room(_MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_collection_finish() -> None:
    """What is there by now lives as long as the run, and is not walked again."""
    gc.collect()
    gc.freeze()


def _has_room(directory: Path) -> bool:
    try:
        found = os.statvfs(directory)
        memory = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return False
    available = next((line for line in memory.splitlines() if line.startswith("MemAvailable:")), "0 0").split()[1]
    programs_run = not found.f_flag & os.ST_NOEXEC
    return programs_run and min(found.f_bavail * found.f_frsize, int(available) * 1024) >= _ROOM


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first; within one file the order stays."""
    items.sort(
        key=lambda item: next((at for at, each in enumerate(_FIRST) if item.nodeid.startswith(each)), len(_FIRST))
    )


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
    # Tests that are no coroutines hold the loop up, some for a minute: a heartbeat that waits for an answer meanwhile
    # is late, and the driver then breaks off what the next test has just begun. One that asks anew each time is not.
    mode = "&" if "?" in mongo_uri else "/?" if mongo_uri.count("/") < 3 else "?"
    client = connect(f"{mongo_uri}{mode}serverMonitoringMode=poll", driver, timeout_ms=60_000)
    yield client
    await close(client)


@pytest.fixture
async def databases(mongo_client) -> AsyncIterator[Databases]:
    run = f"t{uuid.uuid4().hex[:12]}"
    found = Databases(mongo_client, *(database(mongo_client, f"{run}_{part}") for part in ("main", "keys", "audit")))
    yield found
    for part in (found.main, found.keys, found.audit):
        await mongo_client.drop_database(part.name)
