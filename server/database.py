"""The one place where a database client is made.

Stores are written against the calls that PyMongo's asynchronous client and Motor share, so either can stand here.
PyMongo's is the default: MongoDB ended Motor's support on 14 May 2026 and names PyMongo's asynchronous API as its
successor (docs/decisions/0001-database-driver.md).
"""

from typing import Any, Literal

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase

from server.errors import DriverNotInstalledError

Driver = Literal["pymongo", "motor"]
Client = AsyncMongoClient[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]

# An acknowledged write survives the death of any process: a majority holds it, each in its journal.
DURABLE = WriteConcern(w="majority", j=True)


def connect(uri: str, driver: Driver = "pymongo", *, timeout_ms: int = 10_000) -> Client:
    """A client for `uri`; no connection is made until the first call.

    Both drivers give naive datetimes in UTC their time zone back, and give up on an unreachable server after
    `timeout_ms` milliseconds.

    Raises:
        DriverNotInstalledError: `motor` was asked for and is not installed.
    """
    options: dict[str, Any] = {
        "tz_aware": True,
        "serverSelectionTimeoutMS": timeout_ms,
        "connectTimeoutMS": timeout_ms,
        "socketTimeoutMS": 4 * timeout_ms,
        "appname": "confide",
    }
    if driver == "pymongo":
        return AsyncMongoClient(uri, **options)
    try:
        from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise DriverNotInstalledError("install the extra `motor`, or unset CONFIDE_MONGO_DRIVER") from error
    client: Any = AsyncIOMotorClient(uri, **options)
    return client  # type: ignore[no-any-return]  # Motor has no types; see the module's docstring


def database(client: Client, name: str) -> Database:
    """The database called `name`, with writes that are durable before they are acknowledged."""
    return client.get_database(name, write_concern=DURABLE)


async def close(client: Client) -> None:
    """Close the client; PyMongo's close is a coroutine, Motor's is not."""
    closing: Any = client.close()
    if closing is not None:
        await closing
