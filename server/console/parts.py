"""What the console needs of others: proofs and exports. Owned here, implemented where the server is wired."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from audit import BundleForm as ExportForm
from customers.caller import Caller
from customers.oversight.exports import Stage


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """Whom something is done for, and why: what a record of it needs."""

    caller: Caller
    purpose: str
    case: str | None
    trace: str | None


@dataclass(frozen=True, slots=True)
class Covering:
    """The signed roster that proves an entry, and the shard's checkpoint in it.

    Attributes:
        roster: its sequence.
        time: when it was signed, RFC 3339.
        size: how many entries of the shard it covers.
        root: the root of the shard's tree at that size, base64.
        key: the name and id of the key that signed it.
        witnessed: whether the witness has it too; None where none is set up.
    """

    roster: int
    time: str
    size: int
    root: str
    key: str | None = None
    witnessed: bool | None = None


@dataclass(frozen=True, slots=True)
class ProofState:
    """Where an entry is in the log's trees.

    Attributes:
        shard: the shard's id.
        index: the entry's leaf in it.
        number: the shard's number among all shards, once it has one.
        covering: the newest roster that covers the entry; None until the next checkpoint.
        due: what is known of when the next checkpoint comes, as words such as `within 5 minutes`.
    """

    shard: str
    index: int
    number: int | None = None
    covering: Covering | None = None
    due: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked: what, in a few words; whether it holds; what was found, in a sentence."""

    name: str
    held: bool
    found: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check of an entry found; never good by default.

    Attributes:
        time: when it was made, RFC 3339.
        checks: each of what was checked.
    """

    time: str
    checks: tuple[Check, ...] = ()

    @property
    def held(self) -> bool:
        """Whether everything that was checked holds, and anything was."""
        return bool(self.checks) and all(each.held for each in self.checks)


class Proofs(Protocol):
    """What can be shown of an entry. The console asks only for entries that it has just read through GraphQL.

    Each method raises an AuditError when the log or a key fails; its text is shown.
    """

    async def state(self, entry: str) -> ProofState:
        """Where the entry is. Cheap: no hash is computed."""
        ...

    async def verify(self, entry: str) -> Verification:
        """Recompute from the stored bytes, and say of each step whether it held."""
        ...

    async def receipt(self, entry: str, who: OnBehalf) -> bytes:
        """The entry's receipt (C2SP tlog-proof). It holds the whole record: the implementation records the export."""
        ...


@dataclass(frozen=True, slots=True)
class ExportState:
    """An export.

    Attributes:
        form, conditions: as it was asked for; the conditions by the names of GraphQL's `AccessLogFilter`.
        stage: how far it is.
        read, of: entries looked at, of how many.
        found: entries that are in it so far.
        size: of the finished file, in bytes.
        sha256: of the finished file, hexadecimal.
        until: until when it can be fetched, RFC 3339.
        message: why it failed, for people; what to do.
    """

    form: ExportForm
    stage: Stage
    conditions: Mapping[str, Any] = field(default_factory=dict)
    read: int = 0
    of: int | None = None
    found: int = 0
    size: int | None = None
    sha256: str | None = None
    until: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """A finished export's file, and the name it is to be saved under."""

    path: Path
    name: str


class Exports(Protocol):
    """Export jobs. Each belongs to the actor who started it; nobody else's can be seen.

    The implementation decides by policy whether `who` may export, and appends the record of the export, before the
    first byte is written. Each method may raise an AuditError, or a ConfideGraphQLError; its text is shown.
    """

    async def start(self, who: OnBehalf, conditions: Mapping[str, Any], form: ExportForm) -> str:
        """Start an export; its id, of letters, digits, `-` and `_`. `conditions` is an `AccessLogFilter`."""
        ...

    async def state(self, who: OnBehalf, job: str) -> ExportState | None:
        """How far it is; None for an id that is not of an export of theirs."""
        ...

    async def download(self, who: OnBehalf, job: str) -> Download | None:
        """The finished file; None while there is none."""
        ...


__all__ = [
    "Check",
    "Covering",
    "Download",
    "ExportForm",
    "ExportState",
    "Exports",
    "OnBehalf",
    "ProofState",
    "Proofs",
    "Stage",
    "Verification",
]
