"""The tracking API over real sources, into an intake that keeps what it takes."""

import os
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from customers.collection.sources import SourceKind, SourceStore
from server.collection.routes import Collection
from tests.server.collection.sending import NOW, PAGE, KeptEvents, refused


@pytest.fixture
async def collection(databases):
    """Makes the application and a client for it; `made` for other limits."""
    sources = SourceStore(databases.main, now=lambda: NOW, random=os.urandom, clock=lambda: 0.0)
    _, shop_key = await sources.create("shop", origins=(PAGE, "https://Other.example:443"))
    _, till_key = await sources.create("till")
    _, hook_key = await sources.create("orders", kind=SourceKind.SHOPIFY)
    clients = []

    def made(**options):
        kept = KeptEvents()
        app = Collection(sources, kept, refused=refused, now=lambda: NOW, **options)
        # As it is mounted: `/v1` itself first.
        whole = Starlette(routes=[Route("/v1", app), Mount("/v1", app)])
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(whole), base_url="http://confide.example", follow_redirects=False
        )
        clients.append(client)
        return client, kept

    client, kept = made()
    yield SimpleNamespace(
        client=client, kept=kept, made=made, sources=sources, shop=shop_key, till=till_key, hook=hook_key
    )
    for each in clients:
        await each.aclose()
