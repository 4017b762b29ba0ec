"""Webhooks over real sources, into an intake that keeps what it takes."""

import os
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from customers.collection.sources import SourceStore
from server.webhooks.routes import Webhooks
from tests.server.webhooks.delivering import NOW, SECRETS, KeptEvents, KeptRequests, Sealing, refused


@pytest.fixture
async def hooks(databases):
    """Makes the application and a client for it; `made` for other limits."""
    sources = SourceStore(
        databases.main, now=lambda: NOW, random=os.urandom, clock=lambda: 0.0, sealing=Sealing(os.urandom)
    )
    keys = {}
    for name, (kind, secret) in SECRETS.items():
        _, keys[name] = await sources.create(name, kind=kind)
        await sources.set_secret(name, secret, grace=timedelta(0))
    clients = []

    def made(**options):
        kept, requests = KeptEvents(), KeptRequests()
        app = Webhooks(sources, kept, requests, refused=refused, now=lambda: NOW, **options)
        whole = Starlette(routes=[Route("/webhooks", app), Mount("/webhooks", app)])
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(whole), base_url="http://confide.example", follow_redirects=False
        )
        clients.append(client)

        async def deliver(path, body, headers, **more):
            return await client.post(path, content=body, headers={**headers, **more})

        return SimpleNamespace(client=client, deliver=deliver, kept=kept, requests=requests, app=whole)

    first = made()
    yield SimpleNamespace(**vars(first), made=made, sources=sources, keys=keys)
    for each in clients:
        await each.aclose()
