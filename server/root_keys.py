"""From the setting `root_key` to the provider that holds the root key."""

import os
from pathlib import Path

from server.errors import SettingsError
from server.settings import Settings
from vault import AwsKmsRootKey, EnvironmentRootKey, FileRootKey, RootKey, VaultTransitRootKey

_RING_FILE = "key.ring"


def ring_path(settings: Settings) -> Path:
    """Where the key ring lies."""
    return settings.data_dir / _RING_FILE


def open_root_key(settings: Settings, *, text: str | None = None) -> RootKey:
    """The root key that seals the key ring.

    The default file in the data directory is made when there is no key ring yet; a file that was named never is.

    Args:
        settings: The deployment's settings.
        text: Another root key than the settings', in the setting's own form: where a rotation goes.

    Raises:
        SettingsError: The form is not one that is known.
        vault.RootKeyError: It is missing, others can read it, or its service refuses.
    """
    text = text or settings.effective_root_key
    kind, _, rest = text.partition(":")
    match kind:
        case "file":
            path = Path(rest)
            default = settings.root_key is None and text == settings.effective_root_key
            if default and not path.exists() and not ring_path(settings).exists():
                return FileRootKey.create(path, random=os.urandom)
            return FileRootKey(path, random=os.urandom)
        case "env":
            if not os.environ.get(rest):
                raise SettingsError(f"the root key shall be in the variable {rest}, and that is not set")
            return EnvironmentRootKey(rest, os.environ, random=os.urandom)
        case "aws-kms":
            return AwsKmsRootKey.connect(rest)
        case "vault-transit":
            address, _, key_name = rest.partition("#")
            token = "" if settings.vault_token is None else settings.vault_token.get_secret_value()
            return VaultTransitRootKey(address, key_name, token)
        case _:
            raise SettingsError("a root key is file:/path, env:NAME, aws-kms:ARN or vault-transit:URL#key")
