"""The three databases of a deployment, opened together."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from server.database import Client, Database, close, connect, database
from server.embedded import engine_of
from server.settings import Settings

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Databases:
    """The three databases."""

    main: Database
    keys: Database
    audit: Database


@contextlib.asynccontextmanager
async def open_databases(settings: Settings, *, seconds: float = PATIENCE_SECONDS) -> AsyncIterator[Databases]:
    """The three databases, each given up on after `seconds`; runs the embedded engine where no server is named."""
    async with contextlib.AsyncExitStack() as stack:
        if settings.mongo_uri is None:
            engine = await stack.enter_async_context(engine_of(settings.data_dir))
            uri = engine.uri
        else:
            uri = settings.mongo_uri.get_secret_value()
        clients: dict[str, Client] = {}

        async def client_for(secret: str) -> Client:
            if secret not in clients:
                clients[secret] = connect(secret, settings.mongo_driver, timeout_ms=int(seconds * 1000))
                stack.push_async_callback(close, clients[secret])
            return clients[secret]

        keys_uri = uri if settings.keys_uri is None else settings.keys_uri.get_secret_value()
        audit_uri = uri if settings.audit_uri is None else settings.audit_uri.get_secret_value()
        yield Databases(
            main=database(await client_for(uri), settings.main_database),
            keys=database(await client_for(keys_uri), settings.keys_database),
            audit=database(await client_for(audit_uri), settings.audit_database),
        )
