"""`confide demo --once`, as a new user starts it; and the memory of a server that has read the whole demo company."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from server.access import LocalIssuer
from server.clock import utc_now

PROGRAM = Path(sys.executable).with_name("confide")
CUSTOMERS = 2357
MOST_MEMORY = 200 * 1024 * 1024
PAGE = """query Page($after: String) {
  profiles(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id givenName familyName email phone street city birthDate nationalId notes loyaltyTier totalSpent
      orders(first: 10) { nodes { id placedAt total giftMessage } }
      tickets(first: 5) { nodes { id subject body } }
    }
  }
}"""


async def run(*arguments, data, port=None):
    """Run `confide`; gives its exit code and what it printed."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(data.parent), "CONFIDE_DATA_DIR": str(data)}
    if port is not None:
        environment["CONFIDE_PORT"] = str(port)
    return await asyncio.create_subprocess_exec(
        PROGRAM, *map(str, arguments), env=environment, cwd=data.parent, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process):
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
async def first(data):
    """The first start of the demo."""
    began = time.monotonic()
    code, out, err = await ended(await run("demo", "--once", "--data", data, data=data))
    return code, out, err, time.monotonic() - began


@pytest.mark.timeout(180)
async def test_the_demo_loads_its_company_and_the_tour_is_as_promised(first):
    code, out, err, _ = first
    assert code == 0, err
    assert f"Writing customers: {CUSTOMERS} of {CUSTOMERS}" in err
    assert err.endswith("Everything was as promised.\n")
    table = out[out.index("field ") : out.index("support_agent for order_support")].splitlines()
    assert max(map(len, table)) <= 80
    for line in (
        r"eleanor\.whitfield@example\.org is cus_[a-z2-7]{26}",
        r"givenName +Eleanor +Eleanor +E•••",
        r"support_agent for order_support: entry [0-9a-f]{12}\.\d+; birth_date masked",
        r"customer for self_service: entry [0-9a-f]{12}\.\d+; everything in clear",
        r"without a purpose: PURPOSE_REQUIRED",
        r"marketing looking somebody up: FILTER_NOT_ALLOWED",
        r"customer +self_service +T-1042 +13 fields +allowed +about [A-Za-z0-9_-]{11}…",
        r"the first alone: SECOND_PERSON_NEEDED",
        r"\"keyFingerprints\": \[\"[0-9a-f]{32}\"\]",
        r"customer +null +ERASED",
        r"privacy_officer +null +ERASED",
    ):
        assert re.search(line, out), line


@pytest.mark.timeout(120)
async def test_a_second_start_reuses_the_data_and_has_a_new_customer_for_the_tour_to_erase(first, data):
    code, out, err = await ended(await run("demo", "--once", "--data", data, data=data))
    assert code == 0, err
    assert "Writing customers" not in err
    ids = [re.search(r"whitfield@example\.org is (cus_\w+)", text)[1] for text in (first[1], out)]
    assert ids[0] != ids[1], "she was written anew, under another key"
    assert re.search(r"privacy_officer +null +ERASED", out)


@pytest.mark.timeout(120)
async def test_a_server_that_has_read_every_customer_takes_less_than_200_mebibytes(first, data):
    token = LocalIssuer.open(data, now=utc_now, random=os.urandom).issue("gro", roles=["privacy_officer"])
    process = await run("serve", data=data, port=0)
    try:
        async with httpx.AsyncClient(base_url=await _address(process), timeout=30.0, trust_env=False) as client:
            headers = {"authorization": f"Bearer {token}", "confide-purpose": "privacy_request"}
            seen, after = 0, None
            for _ in range(-(-CUSTOMERS // 100) + 1):
                body = {"query": PAGE, "variables": {"after": after}}
                page = (await client.post("/graphql", json=body, headers=headers)).json()["data"]["profiles"]
                seen += len(page["nodes"])
                assert all(node["email"] for node in page["nodes"])
                after = page["pageInfo"]["endCursor"]
                if not page["pageInfo"]["hasNextPage"]:
                    break
            assert seen >= CUSTOMERS - 1  # the tour has erased its customer
            assert _memory(process.pid) < MOST_MEMORY
    finally:
        process.send_signal(signal.SIGTERM)
        code, _, err = await ended(process)
    assert code == 0, err


async def _address(process):
    """Where a server says that it is ready."""
    while line := (await process.stderr.readline()).decode():
        if '"event":"ready"' in line:
            return f"http://{re.search(r'127.0.0.1:[0-9]+', line)[0]}"
    raise AssertionError("the server ended")


def _memory(pid):
    """Resident memory of a process, in bytes."""
    with contextlib.closing(Path(f"/proc/{pid}/status").open()) as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


@pytest.mark.parametrize("arguments", [[], ["--fresh"]])
async def test_a_directory_that_no_demo_made_is_refused_and_left_alone(tmp_path, arguments):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    for path in (theirs, theirs / "thesis.txt"):
        code, _, err = await ended(await run("demo", "--once", *arguments, "--data", path, data=tmp_path / "data"))
        assert (code, len(err.splitlines())) == (2, 1), err
    assert [each.name for each in theirs.iterdir()] == ["thesis.txt"]
    assert (theirs / "thesis.txt").read_text() == "years of work"


@pytest.fixture(scope="module")
async def interrupted(tmp_path_factory):
    """A demo that stands still while it loads, beside which another is started; then it goes on, and is told to stop."""
    # Whoever ran the tests in the background may have had Ctrl-C ignored, which children inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    directory = tmp_path_factory.mktemp("interrupted") / "demo"
    data = directory.with_name("data")
    loading = await run("demo", "--once", "--data", directory, data=data)
    while not (directory / "key.ring").exists():
        assert loading.returncode is None
        await asyncio.sleep(0.05)
    loading.send_signal(signal.SIGSTOP)  # however slow the second one is to start, the first is still there
    try:
        second = await ended(await run("demo", "--fresh", "--once", "--data", directory, data=data))
        left_alone = (directory / "key.ring").exists()
    finally:
        loading.send_signal(signal.SIGCONT)
        await asyncio.sleep(1)  # it is in the middle of writing customers by now
        os.killpg(loading.pid, signal.SIGINT)
        first = await ended(loading)
    return SimpleNamespace(directory=directory, first=first, second=second, left_alone=left_alone)


async def test_a_second_demo_is_kept_out_while_one_loads(interrupted):
    code, _, err = interrupted.second
    assert code == 1, err
    assert re.fullmatch(r"confide: another Confide runs .*\(process [0-9]+\).*\n", err)
    assert interrupted.left_alone


async def test_a_demo_that_is_told_to_stop_while_it_loads_says_so(interrupted):
    code, _, err = interrupted.first
    assert code == 130
    assert err.splitlines()[-1] == "Stopped."
    assert "Traceback" not in err
    assert not (interrupted.directory / "loaded").exists()
    engine = (interrupted.directory / "engine.lock").read_text().splitlines()[0]
    assert not Path("/proc", engine or "none").exists(), "no engine is left running"
