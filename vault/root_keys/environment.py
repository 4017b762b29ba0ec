"""The root key in an environment variable, as orchestrators hand secrets to a process."""

from collections.abc import Callable, Mapping

from vault.root_keys.local import LocalRootKey, root_key_bytes


class EnvironmentRootKey(LocalRootKey):
    """The base64 text of 32 random bytes in an environment variable."""

    def __init__(self, name: str, environment: Mapping[str, str], *, random: Callable[[int], bytes]) -> None:
        """Take the variable's text, once.

        Args:
            name: The variable; its value is base64 of 32 bytes, such as `openssl rand -base64 32` makes.
            environment: Where it is; `os.environ` at the edge.
            random: Gives random bytes.

        Raises:
            RootKeyMissingError: It is not set, is empty, or is not the base64 of 32 bytes.
        """
        super().__init__(root_key_bytes(environment.get(name, "")), "environment", random=random)
