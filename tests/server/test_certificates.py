"""Certificates of erasures are given to whoever knows their id, with what proves them, and to nobody who guesses."""

import asyncio
import json
import re
import shutil

import httpx
import pytest
from starlette.applications import Starlette
from typer.testing import CliRunner

from audit import EntryId
from customers.outgoing import Allowed
from customers.rights.recipients import Recipient, RecipientKind
from server.certificates import certificate_routes
from server.cli.app import app
from server.recipients import recipients, runner, way_out
from tests.customers.outgoing.answering import always, answering, response
from tests.server.test_nothing_left import access, create, opened, values

KINDS = {"json": "application/json", "page": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
async def served(mongo_uri, mongo_client, tmp_path):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        routes = Starlette(routes=certificate_routes(platform))
        transport = httpx.ASGITransport(routes)
        async with httpx.AsyncClient(transport=transport, base_url="http://confide.test") as client:
            yield platform, client


def told(path, receipt, key, *more):
    return CliRunner().invoke(app, ["audit", "verify-certificate", str(path), str(receipt), "--key", key, *more])


async def test_a_certificate_is_fetched_without_signing_in_and_proved_offline(served, tmp_path):
    platform, client = served
    gone, other = await create(platform, (values(1), ["user:1"], [], []), (values(2), ["user:2"], [], []))
    officer = access(platform, "privacy_officer", "privacy_request")
    made = await platform.services.eraser.erase(officer, gone)
    also = await platform.services.eraser.erase(officer, other)
    files = {}
    for each in (made, also):
        found = await client.get(f"/certificates/{each.id}", headers={"accept": KINDS["json"]})
        proof = await client.get(f"/certificates/{each.id}/receipt")
        assert (found.status_code, proof.status_code) == (200, 200)
        assert (await client.get(f"/certificates/{each.id}/receipt")).content == proof.content, "it is kept"
        files[each.id] = tmp_path / f"{each.id}.json", tmp_path / f"{each.id}.proof"
        files[each.id][0].write_bytes(found.content)
        files[each.id][1].write_bytes(proof.content)
    key = str((await platform.signed.keys.load()).current.verifier)
    certificate, receipt = files[made.id]
    good = await asyncio.to_thread(told, certificate, receipt, key)
    assert (good.exit_code, good.output.startswith("PROVED")) == (0, True), good.output
    as_json = await asyncio.to_thread(told, certificate, receipt, key, "--json")
    assert json.loads(as_json.output)["certificate"]["id"] == made.id
    # The negative controls: another's receipt, a changed certificate, no certificate, no key.
    assert (await asyncio.to_thread(told, certificate, files[also.id][1], key)).exit_code == 1
    changed = tmp_path / "changed.json"
    changed.write_bytes(certificate.read_bytes().replace(b'"recipients":[]', b'"recipients":["x"]'))
    assert (await asyncio.to_thread(told, changed, receipt, key)).exit_code == 1
    shutil.copy(receipt, changed)
    assert (await asyncio.to_thread(told, changed, receipt, key)).exit_code == 2
    assert (await asyncio.to_thread(told, certificate, receipt, "nonsense")).exit_code == 3


async def test_a_browser_gets_a_page_that_loads_nothing_and_runs_nothing(served):
    platform, client = served
    (gone,) = await create(platform, (values(1), ["user:1"], [], []))
    made = await platform.services.eraser.erase(access(platform, "privacy_officer", "privacy_request"), gone)
    page = await client.get(f"/certificates/{made.id}", headers={"accept": KINDS["page"]})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script|<img|<link|style=|http:|https:", page.text) == []
    assert made.keys[0] in page.text
    assert gone not in page.text
    assert len(page.content) < 10_000
    for code, title, date in (
        ("de", "Bescheinigung einer Löschung", "Beendet"),
        ("fr", "Certificat d\u2019effacement", "Terminé"),
    ):
        for told in ({"params": {"lang": code}}, {"headers": {"accept-language": code}}):
            told["headers"] = {"accept": KINDS["page"], **told.get("headers", {})}
            mine = await client.get(f"/certificates/{made.id}", **told)
            assert f'<html lang="{code}">' in mine.text
            assert (title in mine.text, date in mine.text, made.keys[0] in mine.text) == (True, True, True)
            assert mine.headers["content-language"] == code
            assert mine.headers["content-security-policy"] == policy
    assert '<html lang="en">' in page.text
    assert (await client.get(f"/certificates/{made.id}", headers={"accept": "*/*"})).json()["id"] == made.id


async def test_an_unknown_id_and_an_erasure_that_is_not_over_are_told_apart_by_nobody(served):
    platform, client = served
    (gone,) = await create(platform, (values(1), ["user:1"], [], []))
    made = await platform.services.eraser.erase(access(platform, "privacy_officer", "privacy_request"), gone)
    answers = []
    for change in ({"entry": ""}, {"entry": "", "body": ""}):
        await platform.main["certificates"].update_one({"_id": made.id}, {"$unset": change})
        answers += [await client.get(f"/certificates/{made.id}{end}") for end in ("", "/receipt")]
    for name in ("crt_" + "a" * 26, "crt_", "x", gone, "crt_" + "A" * 26, "%24ne", "a" * 5000):
        answers += [await client.get(f"/certificates/{name}{end}") for end in ("", "/receipt")]
    assert {(each.status_code, each.text) for each in answers} == {(404, "There is no certificate with this id.\n")}
    assert (await client.post(f"/certificates/{made.id}")).status_code == 405


async def test_a_certificate_says_who_is_told_and_once_they_are_when(served):
    platform, client = served
    async with answering(always(response())) as server:
        for name in ("paper", "reader"):
            made = Recipient(name, RecipientKind.WEBHOOK, server.url("/told"), ("email",), (), platform.now())
            await recipients(platform).add(made, Allowed([server.url("")]))
        await recipients(platform).disable("reader", disabled=True)
        [gone] = await create(platform, (values(1), ["user:1"], [], []))
        made = await platform.services.eraser.erase(access(platform, "privacy_officer", "privacy_request"), gone)
        assert made.recipients == ("paper",)
        before = (await client.get(f"/certificates/{made.id}", headers={"accept": KINDS["page"]})).text
        assert ("paper: not told yet" in before, "reader" in before) == (True, False)
        async with way_out(platform, Allowed([server.url("")])) as out:
            assert await runner(platform, out).run_due() == 1
        after = (await client.get(f"/certificates/{made.id}", headers={"accept": KINDS["page"]})).text
        assert "paper: told on " in after
        [told] = (await client.get(f"/certificates/{made.id}/recipients")).json()
        assert (told["recipient"], told["state"]) == ("paper", "told")
        entry = await platform.log.get(EntryId.parse(told["entry"]))
        assert (entry.record.client, entry.record.case is None) == ("recipient:paper", False)
        assert (await client.get("/certificates/crt_aaaaaaaaaaaaaaaaaaaaaaaaaa/recipients")).status_code == 404
