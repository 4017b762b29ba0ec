"""What to do about a failure: the layers that raise it know neither the settings nor the commands."""

from pymongo.errors import PyMongoError

from audit import AuditUnavailableError
from vault import (
    KeyRingForeignError,
    KeyRingStaleError,
    KeyStoreStaleError,
    LeaseLostError,
    RootKeyMissingError,
    RootKeyRefusedError,
)

# The first that fits counts.
_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (RootKeyRefusedError, "Set CONFIDE_ROOT_KEY to the root key that the key ring was sealed under last."),
    (RootKeyMissingError, "Set CONFIDE_ROOT_KEY to where the root key is, or put it back there."),
    (
        KeyRingForeignError,
        "Set CONFIDE_DATA_DIR, CONFIDE_KEYS_URI and CONFIDE_KEYS_DATABASE to those of one deployment.",
    ),
    (KeyRingStaleError, "Only the newest key ring file may be used: an older one would undo erasures."),
    (
        KeyStoreStaleError,
        "Restore its newest backup; where there is none that is newer, run confide keys reconcile (docs/keys.md).",
    ),
    (LeaseLostError, "Others have gone on without this process; start it again."),
    (AuditUnavailableError, "See that the server at CONFIDE_AUDIT_URI, or else CONFIDE_MONGO_URI, can be reached."),
    (FileNotFoundError, "Check the path; the directory that it is in must be there."),
    (PermissionError, "Give the user that runs Confide access to it, or name another path."),
    (PyMongoError, "See that the servers at CONFIDE_MONGO_URI and CONFIDE_KEYS_URI can be reached."),
)


def told(error: Exception) -> str:
    """One line about an error: what it is, and what to do where that is known; never a stored value."""
    if isinstance(error, PyMongoError):
        # A driver's words may repeat what was sent.
        text = f"a database failed ({type(error).__name__})"
    elif isinstance(error, OSError) and error.strerror:
        # The system's own words: what was tried, and why it could not be done.
        text = f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    else:
        text = str(error) or type(error).__name__
    advice = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), None)
    return text if advice is None else f"{text.rstrip('.')}. {advice}"
