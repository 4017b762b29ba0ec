"""Privacy requests on a whole platform: the commands, reminders, and what is removed in time."""

import json
from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner

from audit import AccessQuery
from audit import Kind as RecordKind
from customers.rights.requests import (
    Denial,
    Extension,
    Kind,
    Queued,
    RequestHeldError,
    RequestNotFoundError,
    RequestStateError,
    SecondPersonNeededError,
    State,
    Verification,
)
from server.cli import erase
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


async def test_the_commands_confirm_extend_and_hold(mongo_uri, mongo_client, tmp_path, monkeypatch):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        (request,) = await asked(platform, Kind.ERASURE)
        done = await commands.confirmed(platform, request.id, Verification.CONTACT)
        assert (done.state, done.verification) == (State.CONFIRMED, Verification.CONTACT)
        longer = await commands.extended(platform, request.id, Extension.NUMBER)
        assert longer.due_at > request.due_at
        with pytest.raises(RequestStateError):
            await commands.extended(platform, request.id, Extension.NUMBER)
        assert (await commands.held(platform, request.id, held=True)).hold
        with pytest.raises(RequestHeldError):
            await commands.completed(platform, request.id)
        last = await commands.held(platform, request.id, held=False)
        assert (await commands.completed(platform, request.id)).agreed_by.startswith("cli:"), "the control"
        assert {each.actor for each in await _written(platform)} >= {commands.operator()}

    monkeypatch.setattr(commands, "with_platform", lambda _work: last)
    run = CliRunner().invoke
    assert "confirmed; due" in run(commands.app, ["confirm", last.id, "--how", "contact"]).output
    assert "extended; due" in run(commands.app, ["extend", last.id, "--why", "complexity"]).output
    assert "released; due" in run(commands.app, ["hold", last.id, "--release"]).output
    assert json.loads(run(commands.app, ["hold", last.id, "--json"]).output)["hold"] is False
    for wrong in (["confirm", last.id], ["extend", last.id, "--why", "holidays"]):
        assert run(commands.app, wrong).exit_code == 2


async def _written(platform):
    page = await platform.log.search(AccessQuery(kind=RecordKind.WRITE), limit=50)
    return [each.record for each in page.entries]


@pytest.mark.parametrize(("setting", "alone"), [(("erasure",), False), ((), True), (("access",), True)])
async def test_which_requests_take_two_persons_is_a_setting_and_of_erasures_however_they_are_asked_for(
    mongo_uri, mongo_client, tmp_path, setting, alone, monkeypatch
):
    async with opened(mongo_uri, tmp_path, mongo_client, four_eyes=setting) as platform:
        [another] = await create(platform, ({"city": "Ulm"}, [], [], []))
        if alone:
            assert (await erase.erased(platform, another, None))["key_fingerprints"]
        else:
            with pytest.raises(SecondPersonNeededError) as waits:
                await erase.erased(platform, another, "DSR-1")
            assert (await platform.requests.due(waits.value.request_id)).agreed_by == commands.operator()

            def waiting(_work):
                raise waits.value

            monkeypatch.setattr(erase, "with_platform", waiting)
            app = typer.Typer()
            app.command()(erase.erase)
            said = CliRunner().invoke(app, [another, "--yes"])
            assert said.exit_code == 3
            assert f"confide requests complete {waits.value.request_id}" in said.output
        erasure, access_ = await asked(platform, Kind.ERASURE, Kind.ACCESS)
        for each in (erasure, access_):
            await commands.confirmed(platform, each.id, Verification.CONTACT)
        first = await commands.completed(platform, access_.id)
        assert (first.state is State.COMPLETED) is ("access" not in setting)
        done = await commands.completed(platform, erasure.id)
        assert (done.state is State.COMPLETED) is alone


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
