"""Vaults over real databases, with a key ring file of their own."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from vault import FileRootKey, Vault

LEASE = 1.0
POLL = 0.05


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Site:
    """What one deployment has: two databases, the ring file and the root key file."""

    main: object
    keys: object
    ring_path: Path
    root_path: Path

    def vault(self, **options):
        """A vault of one process of this deployment, as it is made after a start; not opened yet."""
        settings = {
            "ring_path": self.ring_path,
            "root_keys": [FileRootKey(self.root_path, random=os.urandom)],
            "now": utc_now,
            "lease_seconds": LEASE,
            "poll_seconds": POLL,
        }
        return Vault(self.main, self.keys, **(settings | options))


def new_site(main, keys, directory: Path) -> Site:
    """A deployment with a new root key and no ring yet."""
    root_path = directory / "root.key"
    FileRootKey.create(root_path, random=os.urandom)
    return Site(main, keys, directory / "keys" / "ring", root_path)


@pytest.fixture
def site(databases, tmp_path):
    return new_site(databases.main, databases.keys, tmp_path)


@pytest.fixture
async def vaults(site):
    """Starts vaults of one deployment, and stops all of them in the end."""
    started = []

    async def start(**options):
        vault = site.vault(**options)
        started.append(vault)
        return await vault.start()

    yield start
    for vault in started:
        await vault.stop()


@pytest.fixture
async def vault(vaults):
    return await vaults()
