"""Privacy requests on a whole platform: the commands, reminders, and what is removed in time."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from audit import AccessQuery
from audit import Kind as RecordKind
from customers.rights.requests import Denial, Kind, Queued, RequestNotFoundError, State, Verification
from server.cli import requests as commands
from server.clock import utc_now
from server.logs import Event
from server.requests import remind
from tests.server.test_nothing_left import access, create, opened


async def asked(platform, *kinds):
    """A person, and their requests of these kinds."""
    [customer_id] = await create(platform, ({"city": "Bremen"}, [], [], []))
    officer = access(platform, "privacy_officer", "privacy_request")
    async with platform.vault.reading():
        return [await platform.requests.open(officer, kind, customer_id, source="letter") for kind in kinds]


async def test_the_commands_list_show_complete_and_deny_and_each_is_recorded(
    mongo_uri, mongo_client, tmp_path, monkeypatch
):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        objection, erasure = await asked(platform, Kind.OBJECTION, Kind.ERASURE)
        officer = access(platform, "privacy_officer", "privacy_request")
        async with platform.vault.reading():
            for each in (objection, erasure):
                await platform.requests.confirm(officer, each.id, Verification.DOCUMENT)
        assert {each.id for each in await commands.listed(platform, Queued(), 10)} == {objection.id, erasure.id}
        assert (await commands.completed(platform, objection.id)).state is State.COMPLETED
        assert (await commands.completed(platform, erasure.id)).agreed_by.startswith("cli:")
        assert (await commands.denied(platform, erasure.id, Denial.UNFOUNDED)).law == "GDPR Art. 12(5)(b)"
        found = await commands.shown(platform, erasure.id)
        told = json.loads(json.dumps(commands.document(found.request)))
        assert (told["state"], told["denial"]) == ("denied", "unfounded")
        with pytest.raises(RequestNotFoundError):
            await commands.completed(platform, "req_none")
        kinds = [
            each.record.kind
            for each in (await platform.log.search(AccessQuery(actor=commands.operator()), limit=50)).entries
        ]
        assert {RecordKind.READ, RecordKind.WRITE} == set(kinds)

    def given(work):
        del work
        return [objection, erasure]

    monkeypatch.setattr(commands, "with_platform", given)
    printed = CliRunner().invoke(commands.app, ["list"]).output
    assert objection.id in printed
    assert "erasure" in printed
    assert json.loads(CliRunner().invoke(commands.app, ["list", "--json"]).output)[1]["id"] == erasure.id


async def test_who_answers_for_privacy_is_reminded_of_what_is_open_and_of_nothing_else(
    mongo_uri, mongo_client, tmp_path, monkeypatch
):
    told = []
    monkeypatch.setattr("server.requests.log", lambda event, *_args, **fields: told.append((event, fields)))
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        _open, ended = await asked(platform, Kind.ACCESS, Kind.ERASURE)
        await commands.denied(platform, ended.id, Denial.UNFOUNDED)
        assert await remind(platform) == 0
        await platform.main["jobs"].update_many({}, {"$set": {"due": utc_now() - timedelta(seconds=1)}})
        assert await remind(platform) == 4
        assert told == [(Event.PRIVACY_REQUEST_DUE, {"check": "access"})] * 2
        assert await remind(platform) == 0, "each once"
