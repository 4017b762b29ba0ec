"""Worlds that are all alike: a deployment as it stood once, put back under a name of its own as often as is wanted."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from server.database import Client
from tests.server.processes.deployment import Deployment, deployed
from tests.server.processes.starting import Starter

_RAW = CodecOptions(document_class=RawBSONDocument)


@dataclass(frozen=True)
class Ground:
    """Where worlds stand: an engine, and a directory for theirs.

    Attributes:
        starter: Starts their processes.
        client: The engine.
        uri: The same, for processes.
        directory: In which each has one.
        files: The engine's own, where they can be looked at.
    """

    starter: Starter
    client: Client
    uri: str
    directory: Path
    files: Path | None = None


@dataclass(frozen=True)
class Snapshot:
    """A deployment as it stood when no process of it ran: every document, and every file of its data directory."""

    documents: Mapping[str, Mapping[str, list[RawBSONDocument]]]
    files: Path
    said: Mapping[str, Any]
    """What is to be known of it."""


async def taken(site: Deployment, files: Path, said: Mapping[str, Any]) -> Snapshot:
    """Copy a deployment of which no process runs; its files go to a directory that is not there yet."""
    found = {}
    for part in ("main", "keys", "audit"):
        database = getattr(site, part)
        names = await database.list_collection_names()
        read = {
            name: await database.get_collection(name, codec_options=_RAW).find({}).to_list(None) for name in names
        }
        found[part] = {name: documents for name, documents in read.items() if documents}
    await asyncio.to_thread(shutil.copytree, site.data, files)
    return Snapshot(found, files, said)


@contextlib.asynccontextmanager
async def world(
    ground: Ground, name: str, snapshot: Snapshot | None = None, **changed: str
) -> AsyncIterator[Deployment]:
    """A deployment as it stood then, or an empty one, for the length of a block."""
    async with deployed(ground.directory / name, ground.starter, ground.client, ground.uri) as site:
        site.environment |= changed
        if snapshot is not None:
            await asyncio.to_thread(shutil.copytree, snapshot.files, site.data)
            for part, collections in snapshot.documents.items():
                for collection, documents in collections.items():
                    await getattr(site, part)[collection].insert_many(documents)
        yield site
