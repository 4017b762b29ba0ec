"""What does not answer is told first of all: which setting names it, and nothing of what the setting holds."""

import socket
import time

import pytest

from server.databases import open_databases
from server.engine import EmbeddedEngine
from server.errors import DatabaseUnreachableError
from server.settings import Settings

SECRET = "hunter2canary"


@pytest.fixture
def nowhere():
    """A server's address where nobody answers, with a name and a password."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening: whoever connects is refused
        yield f"mongodb://canary:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/?authSource=admin"


@pytest.fixture
def settings_of(mongo_uri, tmp_path):
    def made(**uris):
        return Settings(data_dir=tmp_path, **{"mongo_uri": mongo_uri, **uris})

    return made


async def refusal(settings):
    """What opening is refused with."""
    with pytest.raises(DatabaseUnreachableError) as refused:
        async with open_databases(settings):
            pass
    assert SECRET not in str(refused.value)
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None
    return str(refused.value)


async def test_a_database_that_does_not_answer_is_told_by_the_setting_that_names_it_soon(settings_of, nowhere):
    began = time.monotonic()
    said = await refusal(settings_of(audit_uri=nowhere))
    assert said.startswith("CONFIDE_AUDIT_URI: the database there does not answer within 5 seconds")
    assert said.count("CONFIDE_") == 1
    assert time.monotonic() - began < 8  # five, and what a busy machine adds


async def test_all_that_do_not_answer_are_told_at_once(settings_of, nowhere, monkeypatch):
    monkeypatch.setattr("server.databases._PING_SECONDS", 0.5)
    said = await refusal(settings_of(keys_uri=nowhere, audit_uri=nowhere))
    assert "CONFIDE_KEYS_URI: " in said
    assert "CONFIDE_AUDIT_URI: " in said
    assert "CONFIDE_MONGO_URI" not in said


async def test_a_database_that_refuses_the_password_is_told_apart_from_one_that_is_away(settings_of, tmp_path):
    engine = await EmbeddedEngine.start(tmp_path / "guarded")
    try:
        place = f"127.0.0.1:{engine.port}/?retryWrites=false&authSource=admin&authMechanism=SCRAM-SHA-256"
        said = await refusal(settings_of(keys_uri=f"mongodb://canary:{SECRET}@{place}"))
    finally:
        await engine.kill()
    assert said == "CONFIDE_KEYS_URI: the database there does not accept the user name and password"


async def test_databases_that_answer_are_opened_at_once(settings_of):
    """Negative control."""
    began = time.monotonic()
    async with open_databases(settings_of()) as found:
        assert (await found.main.command("ping"))["ok"] == 1
        assert found.engine is None
    assert time.monotonic() - began < 3
