"""Keys that must not be used: `confide serve` ends with 1 and one line that says what to do."""

import base64
import contextlib
import json
import os
import shutil
import socket

import pytest

from server.root_keys import ring_path
from server.settings import Settings
from tests.server.processes.deployment import ERASE, NAMES, READER, deployed

NAME = "Wilhelmina"


@pytest.fixture(scope="module")
async def stopped(shared):
    """A deployment that has erased somebody, with its ring as it was before, and is not running."""
    server = await shared.served()
    erased = await shared.create(server, givenName=NAME, email="erased@example.org")
    shared.kept = await shared.create(server, givenName=NAME, email="kept@example.org")
    shared.ring = ring_path(Settings(data_dir=shared.data))
    shared.root = shared.data / "root.key"
    shared.ring_before = shared.ring.read_bytes()
    assert (await shared.ask(server, READER, ERASE, id=erased)).code is None
    assert await server.stop() == 0
    return shared


@pytest.fixture
def spoilt(stopped):
    """The deployment, whose keys may be spoilt: they are put back afterwards."""
    ring, root = stopped.ring.read_bytes(), stopped.root.read_bytes()
    yield stopped
    for path, data in ((stopped.ring, ring), (stopped.root, root)):
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)


async def refused(site, *words, **changed):
    """Start the server, which must end as it should; gives the line."""
    ended = await site.confide("serve", **changed)
    assert ended.code == 1, ended.err
    assert ended.out == ""
    *logged, line = ended.err.splitlines()
    assert line.startswith("confide: "), ended.err
    assert all(json.loads(each)["level"] == "info" for each in logged), ended.err
    for word in words:
        assert word in line
    for secret in ("Traceback", NAME, site.root.read_text() if site.root.exists() else "Traceback"):
        assert secret not in ended.err
    return line


async def test_with_its_own_keys_the_deployment_serves(stopped):
    server = await stopped.served()
    answer = await stopped.ask(server, READER, NAMES, id=stopped.kept)
    assert answer.data["profile"]["givenName"] == NAME
    assert await server.stop() == 0


async def test_a_missing_key_ring_is_not_made_anew(spoilt):
    spoilt.ring.unlink()
    await refused(spoilt, "no key ring", "backup")
    assert not spoilt.ring.exists()


async def test_a_key_ring_that_others_can_read_is_refused(spoilt):
    spoilt.ring.chmod(0o644)
    await refused(spoilt, "0600")


async def test_the_key_ring_from_before_an_erasure_is_refused(spoilt):
    spoilt.ring.write_bytes(spoilt.ring_before)
    await refused(spoilt, "older", "erasure")


@pytest.mark.parametrize("keep", [0, 10, -1])
async def test_a_key_ring_that_was_cut_off_is_refused(spoilt, keep):
    spoilt.ring.write_bytes(spoilt.ring.read_bytes()[:keep])
    await refused(spoilt, "damaged", "backup")


async def test_the_key_ring_of_another_deployment_is_refused(spoilt, processes, mongo_client, mongo_uri, tmp_path):
    async with deployed(tmp_path / "other", processes, mongo_client, mongo_uri) as other:
        await (await other.served()).stop()
        shutil.copy(ring_path(Settings(data_dir=other.data)), spoilt.ring)
        shutil.copy(other.data / "root.key", spoilt.root)
    await refused(spoilt, "another database", "CONFIDE_DATA_DIR")


async def test_a_wrong_root_key_is_refused(spoilt):
    spoilt.root.write_text(base64.b64encode(os.urandom(32)).decode())
    await refused(spoilt, "root key", "CONFIDE_ROOT_KEY")


async def test_a_root_key_that_others_can_read_is_refused(spoilt):
    spoilt.root.chmod(0o640)
    await refused(spoilt, "root key", "0600")


async def test_a_root_key_that_is_none_is_refused_and_not_repeated(spoilt):
    spoilt.root.write_text("correct horse battery staple")
    assert "horse" not in await refused(spoilt, "base64", "CONFIDE_ROOT_KEY")


async def test_a_missing_root_key_is_not_made_anew_for_a_ring_that_there_is(spoilt):
    spoilt.root.unlink()
    await refused(spoilt, "no root key", "CONFIDE_ROOT_KEY")
    assert not spoilt.root.exists()


async def test_a_root_key_that_the_settings_name_and_nobody_made_is_refused(spoilt, tmp_path):
    await refused(spoilt, "no root key", CONFIDE_ROOT_KEY=f"file:{tmp_path}/none.key")
    await refused(spoilt, "MY_ROOT_KEY", "not set", CONFIDE_ROOT_KEY="env:MY_ROOT_KEY")


async def test_a_database_that_is_not_there_is_named_and_its_password_is_not(spoilt):
    line = await refused(spoilt, "CONFIDE_MONGO_URI", CONFIDE_MONGO_URI="mongodb://ana:hunter2@127.0.0.1:1/")
    assert "hunter2" not in line
    assert "ana" not in line


async def test_a_port_that_is_in_use_is_said_so(spoilt):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        await refused(spoilt, "CONFIDE_PORT", "in use", CONFIDE_PORT=str(taken.getsockname()[1]))


async def test_a_name_that_is_nearly_a_settings_is_refused(spoilt):
    ended = await spoilt.confide("serve", CONFIDE_MONGO_URL="mongodb://ana:hunter2@127.0.0.1/")
    assert ended.code == 1
    assert "CONFIDE_MONGO_URL: is not a setting; did you mean CONFIDE_MONGO_URI?" in ended.err
    assert "hunter2" not in ended.err
