"""The three databases of a deployment, opened together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pymongo import ReadPreference
from pymongo.errors import OperationFailure, PyMongoError

from server.database import Client, Database, close, connect, database
from server.embedded import Engine, engine_of
from server.errors import DatabaseUnreachableError
from server.settings import Settings

PATIENCE_SECONDS = 10.0
_PING_SECONDS = 5.0
_REFUSED = frozenset({13, 18})
"""The protocol's codes: may not, and wrong name or password."""


@dataclass(frozen=True)
class Databases:
    """The three databases."""

    main: Database
    keys: Database
    audit: Database
    engine: Engine | None = None
    """The engine that runs them, where no server is named."""


@contextlib.asynccontextmanager
async def open_databases(settings: Settings, *, seconds: float = PATIENCE_SECONDS) -> AsyncIterator[Databases]:
    """The three databases, each given up on after `seconds`; runs the embedded engine where no server is named.

    Raises:
        DatabaseUnreachableError: One does not answer; all are asked first.
        EngineError: The embedded engine cannot be started, or ended during the block.
    """
    async with contextlib.AsyncExitStack() as stack:
        engine: Engine | None = None
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
        found = Databases(
            main=database(await client_for(uri), settings.main_database),
            keys=database(await client_for(keys_uri), settings.keys_database),
            audit=database(await client_for(audit_uri), settings.audit_database),
            engine=engine,
        )
        await _require_answers(settings, found)
        yield found


async def _require_answers(settings: Settings, databases: Databases) -> None:
    """Ask each server that a setting names for a sign of life, side by side."""
    named = {
        "CONFIDE_MONGO_URI": (settings.mongo_uri, databases.main),
        "CONFIDE_KEYS_URI": (settings.keys_uri, databases.keys),
        "CONFIDE_AUDIT_URI": (settings.audit_uri, databases.audit),
    }
    asked = {name: asked for name, (uri, asked) in named.items() if uri is not None}
    faults = await asyncio.gather(*map(_fault, asked.values()))
    told = [f"{name}: the database there {fault}" for name, fault in zip(asked, faults, strict=True) if fault]
    if told:
        raise DatabaseUnreachableError("; ".join(told))


async def _fault(database: Database) -> str | None:
    """Why a database cannot be used, in words of ours: a driver's may hold a name and a password."""
    try:
        # Of any member: whether one is the primary right now is not the question.
        async with asyncio.timeout(_PING_SECONDS):
            await database.command("ping", read_preference=ReadPreference.NEAREST)
    except OperationFailure as error:
        if error.code in _REFUSED:
            return "does not accept the user name and password"
        return f"refuses what it is asked (code {error.code})"
    except (TimeoutError, PyMongoError):
        return f"does not answer within {_PING_SECONDS:g} seconds; see that it runs and can be reached from here"
    return None
