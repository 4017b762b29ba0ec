"""Sealed documents, a key for every customer, and erasure that no backup undoes.

`Vault` wires the parts together; the errors are in `vault.errors`, the providers of root keys in `vault.root_keys`.
"""

from vault.blind_index import BlindIndex
from vault.data_key import DataKey
from vault.fleet import Epoch, Fleet, Process
from vault.keys import KeyState
from vault.rotation import IndexEntries, Progress, Rotation
from vault.shred import Erasure, ErasureStep, OnStep, Tombstone
from vault.vault import RingStatus, Vault, VaultStatus

__all__ = [
    "BlindIndex",
    "DataKey",
    "Epoch",
    "Erasure",
    "ErasureStep",
    "Fleet",
    "IndexEntries",
    "KeyState",
    "OnStep",
    "Process",
    "Progress",
    "RingStatus",
    "Rotation",
    "Tombstone",
    "Vault",
    "VaultStatus",
]
