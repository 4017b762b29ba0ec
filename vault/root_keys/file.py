"""The root key in a local file, readable by its owner only: the default on one machine.

Whoever has this file and the ring file has every key. Keep the two apart where that is possible, and never in one
backup (docs/keys.md).
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from vault.errors import RootKeyMissingError, RootKeyPermissionsError
from vault.root_keys.local import LocalRootKey, root_key_bytes, root_key_text

_MOST = 4096


class FileRootKey(LocalRootKey):
    """32 random bytes as base64 text on one line, mode 0600."""

    def __init__(self, path: Path, *, random: Callable[[int], bytes]) -> None:
        """Read the file, once.

        Args:
            path: The file; a link to it will do, as secret mounts use them.
            random: Gives random bytes.

        Raises:
            RootKeyMissingError: There is no such file, or it holds something else.
            RootKeyPermissionsError: Its group or the world may read or write it, or we may not read it.
        """
        super().__init__(root_key_bytes(_read(path)), "file", random=random)

    @classmethod
    def create(cls, path: Path, *, random: Callable[[int], bytes]) -> "FileRootKey":
        """Write a new root key to a file that must not exist yet, on the disk before this returns.

        Raises:
            FileExistsError: There is one; a root key is never overwritten.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{root_key_text(random)}\n")
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return cls(path, random=random)


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError:
        raise RootKeyPermissionsError("the root key file may not be read by this user") from None
    except OSError:
        raise RootKeyMissingError from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise RootKeyMissingError("the root key's path is not a file")
        if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise RootKeyPermissionsError
        return os.read(descriptor, _MOST).decode("ascii")
    except UnicodeDecodeError:
        return ""
    finally:
        os.close(descriptor)
