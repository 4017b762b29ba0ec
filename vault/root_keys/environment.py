"""The root key in an environment variable, as orchestrators hand secrets to a process."""

from collections.abc import Callable

from vault.root_keys.local import LocalRootKey, root_key_bytes


class EnvironmentRootKey(LocalRootKey):
    """The base64 text of 32 random bytes, read from the environment by the settings."""

    def __init__(self, text: str, *, random: Callable[[int], bytes]) -> None:
        """Take the variable's text.

        Args:
            text: Base64 of 32 bytes; `openssl rand -base64 32` makes one.
            random: Gives random bytes.

        Raises:
            RootKeyMissingError: The text is empty, or not the base64 of 32 bytes.
        """
        super().__init__(root_key_bytes(text), "environment", random=random)
