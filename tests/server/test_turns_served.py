"""Over HTTP: who is revoked while their request waits for its turn is refused as whoever comes after it."""

import asyncio
import os

import httpx

from schema.turns import Turns
from server import telemetry
from server.access import LocalIssuer
from server.clock import utc_now
from server.http import application
from tests.server.test_nothing_left import create, opened, values
from vault import Epoch

ASKED = {"query": "{ profiles { nodes { id } } }"}


async def test_a_token_that_is_revoked_while_its_request_waits_is_refused(
    mongo_uri, mongo_client, tmp_path, monkeypatch
):
    turns = Turns(1)
    monkeypatch.setattr("schema.service.Turns", lambda: turns)
    async with opened(mongo_uri, tmp_path, mongo_client, development=True) as platform:
        await create(platform, (values(1), ["user:1"], [], []))
        issuer = LocalIssuer.open(tmp_path, now=utc_now, random=os.urandom)
        transport = httpx.ASGITransport(application(platform, telemetry.start(None, version="0")))
        async with httpx.AsyncClient(transport=transport, base_url="http://confide.test") as client:

            def asked(name):
                token = issuer.issue(name, roles=["support_agent"])
                headers = {"authorization": f"Bearer {token}", "confide-purpose": "customer_service"}
                return asyncio.create_task(client.post("/graphql", json=ASKED, headers=headers))

            async with turns.one():
                waiting = [asked("ana"), asked("ben")]
                await asyncio.sleep(0.1)
                await platform.revocations.revoke_subject("ana")
                await platform.vault.fleet.advance(Epoch.REVOCATIONS)
                assert not any(each.done() for each in waiting)
            refused, answered = await asyncio.gather(*waiting)
            assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (
                401,
                "UNAUTHENTICATED",
            )
            assert len(answered.json()["data"]["profiles"]["nodes"]) == 1, "the control"
