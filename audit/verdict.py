"""The verdict on a bundle: what is wrong, where, and what was looked at. Never good by default."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from audit.bundle import HASH, BundleForm, Manifest
from audit.checkpoint import Roster
from audit.note import VerifierKey

NOT_FULL = 4
"""The exit code for a filtered bundle that was not asked for: a full one can be made into it, and records dropped."""
MAX_FAULTS = 100
"""After so many the verifier stops: what is this wrong needs no longer list."""


class BundleFaultKind(StrEnum):
    """What is wrong with a bundle. docs/audit-verification.md says what each may mean."""

    UNREADABLE = "unreadable"
    MANIFEST = "manifest"
    KEY_CHANGE = "key_change"
    SIGNATURE = "signature"
    ROSTER_INVALID = "roster_invalid"
    ROSTER_CHAIN = "roster_chain"
    SHARD_MISSING = "shard_missing"
    SHARD_SHRANK = "shard_shrank"
    SHARD_REOPENED = "shard_reopened"
    TWO_ROOTS = "two_roots"
    ROOT = "root"
    RECORD_CHANGED = "record_changed"
    RECORD_MISSING = "record_missing"
    RECORD_MISPLACED = "record_misplaced"
    RECORD_INVALID = "record_invalid"
    NOT_ASKED_FOR = "not_asked_for"
    DERIVED = "derived"
    CUT_OFF = "cut_off"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFault:
    """One thing that is wrong, and where: in which member, and where known at which place.

    `index` is a leaf of the shard, `line` a line of the records from 1, `sequence` a roster's or a key change's.
    """

    kind: BundleFaultKind
    member: str
    sentence: str
    shard: str | None = None
    index: int | None = None
    line: int | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The verdict on a bundle, and what it is about. True only when every check was reached and none failed."""

    finished: bool = False
    faults: tuple[BundleFault, ...] = ()
    more: bool = False
    """Whether the verifier stopped looking because there were too many faults."""
    log: str | None = None
    key: str
    """The verifier key that was trusted."""
    form: BundleForm | None = None
    full: bool | None = None
    """Whether the bundle must hold every record; in a filtered one, that none was left out cannot be proved."""
    filter: dict[str, str] = field(default_factory=dict)
    """What the bundle says it was filtered by. Not signed: whoever holds a full bundle can filter it again."""
    filtered: bool = False
    """Whether the caller expects a filtered bundle."""
    rosters: int = 0
    newest: str | None = None
    """The time that the newest roster states."""
    shards: int = 0
    leaves: int = 0
    records: int = 0
    witnessed: int | None = None
    """How many rosters of the witness were compared; None when no witness was given."""
    newer: int = 0
    """How many rosters the witness has seen since, all of which follow from the bundle's last."""

    @property
    def ok(self) -> bool:
        """Whether what the bundle holds is what the log signed. Only of a full one is that all there is."""
        return self.finished and not self.faults

    def __bool__(self) -> bool:
        return self.ok

    @property
    def exit_code(self) -> int:
        """0: nothing is wrong. 1: something is. 2: the file cannot be read as a bundle, at the first thing wrong.

        4: nothing is wrong with what is there, but it is filtered, and nobody said that they expect that.
        """
        if self.ok:
            return 0 if self.full or self.filtered else NOT_FULL
        return 1 if self.faults and self.faults[0].kind is not BundleFaultKind.UNREADABLE else 2


class TooManyFaults(Exception):  # noqa: N818 - not an error: the list is full
    """Ends a verification that has found enough."""


@dataclass(slots=True)
class Findings:
    """What a verification knows so far."""

    trusted: VerifierKey
    progress: Callable[[int, int], None]
    filtered: bool = False
    faults: list[BundleFault] = field(default_factory=list)
    manifest: Manifest | None = None
    newest: Roster | None = None
    rosters: bytearray = field(default_factory=bytearray)
    key_changes: bytearray = field(default_factory=bytearray)
    """SHA-256 of every note, one after another, to compare with a witness."""
    heads: dict[str, list[tuple[int, bytes, int]]] = field(default_factory=dict)
    """Of each shard the distinct sizes that rosters state, with the root and the first roster that states it."""
    shard: str | None = None
    index: int | None = None
    """Where in the records the verifier is."""
    leaves: int = 0
    records: int = 0
    witnessed: int | None = None
    newer: int = 0

    def fault(
        self,
        kind: BundleFaultKind,
        member: str,
        sentence: str,
        *,
        shard: str | None = None,
        index: int | None = None,
        line: int | None = None,
        sequence: int | None = None,
    ) -> None:
        """Add a fault.

        Raises:
            TooManyFaults: There are enough.
        """
        where = {"shard": shard, "index": index, "line": line, "sequence": sequence}
        self.faults.append(BundleFault(kind=kind, member=member, sentence=sentence, **where))  # type: ignore[arg-type] # its own fields
        if len(self.faults) >= MAX_FAULTS:
            raise TooManyFaults

    def verdict(self, *, finished: bool) -> Verification:
        """The verdict; `finished` only when every check was reached."""
        manifest, newest = self.manifest, self.newest
        return Verification(
            finished=finished,
            faults=tuple(self.faults),
            more=len(self.faults) >= MAX_FAULTS,
            log=manifest.log if manifest else None,
            key=str(self.trusted),
            form=manifest.form if manifest else None,
            full=manifest.full if manifest else None,
            filter=manifest.filter.asked() if manifest else {},
            filtered=self.filtered,
            rosters=len(self.rosters) // HASH,
            newest=newest.time if newest else None,
            shards=len(newest.entries) if newest else 0,
            leaves=self.leaves,
            records=self.records,
            witnessed=self.witnessed,
            newer=self.newer,
        )
