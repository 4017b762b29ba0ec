"""A copy of a person's data is fetched over HTTP by the person and by who answers for privacy, and by nobody else."""

import asyncio
import io
import zipfile

import httpx
import pytest
from starlette.applications import Starlette

from audit import AccessQuery, Kind, Outcome
from customers.errors import ProfileNotFoundError
from customers.rights import copy_files
from server.copies import copy_routes
from server.telemetry.vocabulary import Route, route_of
from tests.server.test_nothing_left import access, create, opened, values


@pytest.fixture
async def served(mongo_uri, mongo_client, tmp_path):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        transport = httpx.ASGITransport(Starlette(routes=copy_routes(platform)))
        async with httpx.AsyncClient(transport=transport, base_url="http://confide.test") as client:
            yield platform, client


async def made(platform, number, **more):
    (customer_id,) = await create(platform, ({**values(number), **more}, [], [], []))
    return customer_id, await platform.copies.make(
        access(platform, "privacy_officer", "privacy_request"), customer_id
    )


async def fetch(platform, client, name, role, purpose, *, customer=None, whose=None):
    token = platform.issuer.issue(f"{role}.tester", roles=[role], customer_id=customer)
    sent = {"authorization": f"Bearer {token}", "confide-purpose": purpose, "confide-customer": whose}
    return await client.get(f"/copies/{name}", headers={key: value for key, value in sent.items() if value})


async def test_the_person_and_the_privacy_officer_fetch_a_copy_and_each_time_is_recorded(served):
    platform, client = served
    mine, name = await made(platform, 1)
    for role, purpose, given in (
        ("customer", "self_service", {"customer": mine}),
        ("privacy_officer", "privacy_request", {"whose": mine}),
    ):
        answer = await fetch(platform, client, name, role, purpose, **given)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.zip"'
        assert answer.headers["cache-control"] == "no-store"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
            assert "zq1xmail@example.org" in bundle.read("index.html").decode()
    assert await _downloads(platform) == [Outcome.ALLOWED] * 2


async def test_nobody_fetches_another_persons_copy_and_the_attempt_is_recorded(served):
    platform, client = served
    mine, name = await made(platform, 1)
    other, theirs = await made(platform, 2)
    tries = [
        (theirs, "customer", "self_service", {"customer": mine}),
        (theirs, "customer", "self_service", {"customer": mine, "whose": other}),
        (theirs, "privacy_officer", "privacy_request", {"whose": mine}),
        (name, "support_agent", "customer_service", {"whose": mine}),
        ("cop_" + "a" * 26, "customer", "self_service", {"customer": mine}),
        ("..%2Fkey.ring", "customer", "self_service", {"customer": mine}),
    ]
    for path, role, purpose, given in tries:
        answer = await fetch(platform, client, path, role, purpose, **given)
        assert answer.status_code == 404, (path, role, answer.text)
    assert await _downloads(platform) == [Outcome.NOT_FOUND] * 5, "the last is no path of ours"
    refused = await fetch(platform, client, name, "privacy_officer", "privacy_request")
    assert (refused.status_code, refused.json()["code"]) == (400, "INPUT_INVALID")
    assert (await client.get(f"/copies/{name}")).status_code == 401
    assert (await fetch(platform, client, name, "customer", "", customer=mine)).status_code == 400


async def test_a_person_who_is_erased_while_their_copy_is_sent_sends_no_more_of_it(served, monkeypatch):
    platform, client = served
    monkeypatch.setattr(copy_files, "_PART_BYTES", 1000)
    mine, name = await made(platform, 1)
    officer = access(platform, "privacy_officer", "privacy_request")
    whole = [part async for part in platform.copies.stream(officer, mine, name)]
    assert len(whole) > 1, "the control"
    parts = platform.copies.stream(officer, mine, name)
    assert await anext(parts) == whole[0]
    await asyncio.wait_for(platform.services.eraser.erase(officer, mine), 30)  # it waits for no slow reader
    with pytest.raises(ProfileNotFoundError):
        await anext(parts)
    assert (await fetch(platform, client, name, "customer", "self_service", customer=mine)).status_code == 404


def test_no_number_of_a_copy_reaches_the_log_or_a_metric():
    assert route_of("/copies/cop_secret") is Route.COPIES


async def _downloads(platform):
    page = await platform.log.search(AccessQuery(kind=Kind.EXPORT), limit=50)
    return [each.record.outcome for each in page.entries if each.record.operation == "CopyDownload"]
