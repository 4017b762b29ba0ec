"""Where the root key may live. Each provider is one file; all do what `RootKey` says."""

from vault.root_keys.aws_kms import AwsKmsRootKey
from vault.root_keys.environment import EnvironmentRootKey
from vault.root_keys.file import FileRootKey
from vault.root_keys.local import root_key_text
from vault.root_keys.root_key import RootKey
from vault.root_keys.vault_transit import VaultTransitRootKey

__all__ = [
    "AwsKmsRootKey",
    "EnvironmentRootKey",
    "FileRootKey",
    "RootKey",
    "VaultTransitRootKey",
    "root_key_text",
]
