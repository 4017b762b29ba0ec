"""From the settings to what signs, proves and exports the access log."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import httpx

from audit import (
    AccessReader,
    AuditError,
    Checkpointer,
    KeyKind,
    RosterStore,
    SigningKeyExistsError,
    SigningKeys,
    VerifierKey,
    VerifierKeyInvalidError,
    WitnessDirectory,
    WitnessError,
    WitnessLackingError,
)
from server import root_keys
from server.clock import Now, utc_now
from server.database import Database
from server.databases import open_databases
from server.errors import SettingsError
from server.logs import Event, log
from server.settings import Settings
from server.witness_client import WitnessClient
from vault import RootKey

_KEYS_FILE = "audit.keys"
_WITNESS = "witness"
_HTTP_SECONDS = 10.0
_LAST_SECONDS = 15.0


@dataclass(frozen=True)
class SignedLog:
    """The access log of a deployment, to be signed, proved and exported."""

    reader: AccessReader
    rosters: RosterStore
    keys: SigningKeys
    checkpointer: Checkpointer
    directory: WitnessDirectory

    async def require_whole(self) -> None:
        """Return only if the database holds all of the log that the witnesses have seen.

        An HTTP witness that cannot be asked is asked again at the next checkpoint; the directory must be there.

        Raises:
            AuditError: It is behind them, or another log, or the directory cannot be used.
        """
        await self.checkpointer.check_witness()

    async def sign_last(self) -> None:
        """A checkpoint at the end of a process, which it does not hold up for long.

        One that fails is made by the next process, or at its next start.
        """
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.checkpointer.checkpoint()
        except (AuditError, TimeoutError) as error:
            log(Event.JOB_FAILED, logging.WARNING, error=error)


def tell_unwitnessed(error: AuditError) -> None:
    """Say in the server's log what a witness did not get, or that it contradicts."""
    match error:
        case WitnessLackingError():
            log(Event.WITNESS_LACKING, logging.ERROR, error=error)
        case WitnessError():
            log(Event.WITNESS_UNREACHABLE, logging.WARNING, error=error)
        case _:
            log(Event.WITNESS_CONTRADICTS, logging.ERROR, error=error)


def signing_keys(settings: Settings, *first: RootKey) -> SigningKeys:
    """The log's signing key file, sealed under the same root key as the key ring; `first` seals it from now on."""
    sealers = [*first, root_keys.open_root_key(settings)]
    if settings.next_root_key is not None:
        sealers.append(root_keys.open_root_key(settings, text=settings.next_root_key))
    return SigningKeys(settings.data_dir / _KEYS_FILE, settings.tenant, sealers, random=os.urandom)


async def signed_log(
    settings: Settings,
    database: Database,
    *,
    client: httpx.AsyncClient,
    own_shard: Callable[[], str | None] = lambda: None,
    now: Now = utc_now,
) -> SignedLog:
    """The log in a database, ready to be signed; at the very first time a signing key and a witness are made.

    Args:
        settings: The deployment's settings.
        database: Where the log lives.
        client: Reaches the HTTP witness, where one is set.
        own_shard: The shard that this process writes to.
        now: The time.

    Raises:
        AuditError: The key or the witness cannot be used.
    """
    keys = signing_keys(settings)
    path = settings.witness_dir or settings.data_dir / _WITNESS
    rosters = RosterStore.over(database)
    await rosters.prepare()
    first = not keys.path.exists() and not await rosters.newest()
    if first and settings.witness_dir is None:  # one that is named must be there already: it may be a mount
        await asyncio.to_thread(path.mkdir, mode=0o700, parents=True, exist_ok=True)
    if first:
        with contextlib.suppress(SigningKeyExistsError):  # another process was first
            await keys.create()
    directory = WitnessDirectory(path, settings.tenant)
    checkpointer = Checkpointer(
        database,
        keys,
        now=now,
        directory=directory,
        cosigners=_cosigners(settings, client),
        own_shard=own_shard,
        rosters=rosters,
    )
    checkpointer.on_unwitnessed = tell_unwitnessed
    await checkpointer.prepare()
    if first:
        await checkpointer.adopt_witness()
    return SignedLog(AccessReader.over(database, now=now), rosters, keys, checkpointer, directory)


def _cosigners(settings: Settings, client: httpx.AsyncClient) -> Sequence[WitnessClient]:
    if settings.witness_url is None or settings.witness_key is None:
        return ()
    try:
        key = VerifierKey.parse(settings.witness_key.strip(), KeyKind.COSIGNATURE)
    except VerifierKeyInvalidError as error:
        raise SettingsError(f"CONFIDE_WITNESS_KEY: {error}; copy what the witness prints at its start") from None
    return (WitnessClient(settings.witness_url, key, client),)


@contextlib.asynccontextmanager
async def open_signed_log(settings: Settings, *, now: Now = utc_now) -> AsyncIterator[SignedLog]:
    """The log alone, without the rest of the platform: to sign it, and to compare it with its witnesses.

    Raises:
        AuditError: The key or the witness cannot be used.
    """
    async with open_databases(settings) as databases, httpx.AsyncClient(timeout=_HTTP_SECONDS) as client:
        yield await signed_log(settings, databases.audit, client=client, now=now)
