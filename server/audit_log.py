"""From the settings to what signs and proves the access log."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from audit import AccessReader, Checkpointer, RosterStore, SigningKeys, WitnessDirectory
from server import root_keys
from server.platform import Now, open_databases, utc_now
from server.settings import Settings
from vault import RootKey

_KEYS_FILE = "audit.keys"
_WITNESS = "witness"


@dataclass(frozen=True)
class SignedLog:
    """The access log of a deployment, to be signed, proved and exported."""

    reader: AccessReader
    rosters: RosterStore
    keys: SigningKeys
    checkpointer: Checkpointer


def signing_keys(settings: Settings, *first: RootKey) -> SigningKeys:
    """The log's signing key file, sealed under the same root key as the key ring; `first` seals it from now on."""
    sealers = [*first, root_keys.open_root_key(settings)]
    if settings.next_root_key is not None:
        sealers.append(root_keys.open_root_key(settings, text=settings.next_root_key))
    return SigningKeys(settings.data_dir / _KEYS_FILE, settings.tenant, sealers, random=os.urandom)


@contextlib.asynccontextmanager
async def open_signed_log(settings: Settings, *, now: Now = utc_now) -> AsyncIterator[SignedLog]:
    """The log, ready to be signed; at the very first time a signing key and a witness directory are made.

    Raises:
        AuditError: The key or the witness cannot be used, or the database is behind what the witness has seen.
    """
    keys = signing_keys(settings)
    path = settings.witness_dir or settings.data_dir / _WITNESS
    async with open_databases(settings) as databases:
        rosters = RosterStore.over(databases.audit)
        await rosters.prepare()
        first = not keys.path.exists() and not await rosters.newest()
        if first:
            await keys.create()
            if settings.witness_dir is None:  # one that is named must be there already: it may be a mount
                path.mkdir(mode=0o700, exist_ok=True)
        directory = WitnessDirectory(path, settings.tenant)
        checkpointer = Checkpointer(databases.audit, keys, now=now, directory=directory)
        await checkpointer.prepare()
        if first:
            await checkpointer.adopt_witness()
        yield SignedLog(AccessReader.over(databases.audit, now=now), rosters, keys, checkpointer)
