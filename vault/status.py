"""What an operator may want to know of the keys; pure. `Vault.status` fills it in."""

from dataclasses import dataclass

from vault.ring import KeyRing
from vault.rotation import Rotation

__all__ = ["RingStatus", "VaultStatus"]


@dataclass(frozen=True, slots=True)
class RingStatus:
    """One ring of the ring file."""

    ring_id: str
    version: int
    nodes: int
    punctured: int
    """How many leaves are gone: one for each erasure."""

    @classmethod
    def of(cls, ring: KeyRing) -> "RingStatus":
        """The status of this ring."""
        punctured = sum(last - first + 1 for first, last in ring.punctured_runs())
        return cls(ring.ring_id.hex(), ring.version, ring.node_count, punctured)


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """What an operator may want to know. Holds no secret and names no customer."""

    file_id: str
    file_version: int
    file_bytes: int
    root_key: str
    rings: tuple[RingStatus, ...]
    index_epochs: tuple[int, ...]
    leaves_taken: int
    keys_cached: int
    processes: int
    erasures_open: int
    rotations: tuple[Rotation, ...]
