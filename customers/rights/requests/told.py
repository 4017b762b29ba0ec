"""What was said with a request, and by whom for the person: sealed under the person's key."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from customers.rights.requests.store import COLLECTION, GROUP, SCHEMA_VERSION, Stored
from vault import DataKey


@dataclass(frozen=True, slots=True)
class Told:
    """What was said with a request, each time that it was made."""

    at: str
    reason: str | None = field(repr=False)
    agent: str | None = field(repr=False)


def sealed(key: DataKey, request_id: str, told: Sequence[Told]) -> bytes:
    """What was said, for `Stored.sealed`."""
    values = {"told": [{"at": each.at, "reason": each.reason, "agent": each.agent} for each in told]}
    return key.seal(COLLECTION, request_id, GROUP, SCHEMA_VERSION, values)


def opened(stored: Stored, key: DataKey | None) -> list[Told]:
    """What was said, oldest first; nothing without the key.

    Raises:
        vault.EnvelopeError: It is not what was sealed in this place.
    """
    if stored.sealed is None or key is None:
        return []
    values = key.open(stored.sealed, COLLECTION, stored.request.id, GROUP, SCHEMA_VERSION)
    return [Told(each["at"], each["reason"], each["agent"]) for each in values["told"]]
