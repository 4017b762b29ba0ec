"""Whether the database holds the log that was signed: every roster, every shard recomputed from its records' bytes.

This is the check of the stored log itself, with what it is searched by, which no bundle holds and no signature covers:
that is derived from the records, and derived again here. It trusts this process; whoever does not trust it exports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from audit.batch import Fault, FaultKind
from audit.checkpoint import Roster, RosterEntry
from audit.checkpoints import Checkpointer
from audit.entry import Head
from audit.errors import AuditError, AuditUnavailableError, ShardIdInvalidError, WitnessError
from audit.history import History
from audit.reader import AccessReader, ShardCheck
from audit.roster_store import RosterStore
from audit.signing_keys import SigningKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheck:
    """What a check of the stored log found; true when nothing is wrong and everything was looked at."""

    newest: Roster | None
    """The newest roster that followed from the ones before it."""
    shards: tuple[ShardCheck, ...]
    faults: tuple[str, ...]
    """A sentence for each thing that is wrong, which names the roster, the shard or the batch."""

    def __bool__(self) -> bool:
        return not self.faults


async def check_log(
    reader: AccessReader,
    rosters: RosterStore,
    keys: SigningKeys,
    checkpointer: Checkpointer,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> LogCheck:
    """Check the stored log against its rosters and its witness.

    Of what was appended since the newest roster, it is only shown that it fits together: its end can be cut off unseen.

    Args:
        reader: The log.
        rosters: Its stored rosters.
        keys: Its signing keys, of which the public ones are used.
        checkpointer: Knows the witness.
        progress: Told how many shards of how many have been checked.

    Raises:
        AuditUnavailableError: The database failed.
        SigningKeyError: The key file cannot be used.
        WitnessError: The witness cannot be asked.
    """
    signed = await _signed(rosters, keys)
    faults = list(signed.faults)
    faults += [
        f"a document among the batches is of no shard of this log: {name!r:.80}" for name in await reader.strays()
    ]
    there = await reader.shards()
    entries = {entry.shard: entry for entry in signed.newest.entries} if signed.newest else {}
    faults += [
        f"shard {entry.number} ({shard}) is not there, and was signed"
        for shard, entry in entries.items()
        if shard not in there
    ]
    checks: list[ShardCheck] = []
    for shard in there:
        try:
            checks.append(await _shard(reader, shard, signed.heads.get(shard, [])))
        except ShardIdInvalidError:
            faults.append(f"a document among the shards is none: {shard!r:.80}")
            continue
        faults += _sentences(shard, entries.get(shard), checks[-1])
        if progress is not None:
            progress(len(checks), len(there))
    try:
        await checkpointer.check_witness()
    except (AuditUnavailableError, WitnessError):
        raise
    except AuditError as error:
        if str(error) not in faults:
            faults.append(str(error))
    return LogCheck(newest=signed.newest, shards=tuple(checks), faults=tuple(faults))


@dataclass(slots=True)
class _Signed:
    """What the rosters say that follow from one another, from the first, and what is wrong with the one after them."""

    newest: Roster | None = None
    heads: dict[str, list[Head]] = field(default_factory=dict)
    """Of each shard every head that was signed, in order."""
    faults: list[str] = field(default_factory=list)


async def _signed(rosters: RosterStore, keys: SigningKeys) -> _Signed:
    found = _Signed()
    history = History(rosters, keys.log)
    first = (await keys.load()).first
    try:
        newest = await rosters.newest()  # before the keys: then every key that signed up to it is known
        async for signed, _ in history.each(1, newest, await history.chain(first)):
            found.newest = signed.roster
            for entry in signed.roster.entries:
                heads = found.heads.setdefault(entry.shard, [])
                if entry.size and (not heads or heads[-1].size < entry.size):
                    heads.append(entry.head)
    except AuditUnavailableError:
        raise
    except AuditError as error:
        found.faults.append(str(error))
    return found


async def _shard(reader: AccessReader, shard: str, heads: Sequence[Head]) -> ShardCheck:
    """The check of a shard against its newest head, and where it differs, against the first that it differs from."""
    check = await reader.verify_shard(shard, known=heads[-1] if heads else None)
    if check.fault is None or check.fault.kind is not FaultKind.FORKED:
        return check
    for head in heads[:-1]:
        earlier = await reader.verify_shard(shard, known=head)
        if earlier.fault is not None and earlier.fault.kind is FaultKind.FORKED:
            return earlier
    return check


def _sentences(shard: str, entry: RosterEntry | None, check: ShardCheck) -> list[str]:
    if check.fault is None:
        return []
    number = f"shard {entry.number} ({shard})" if entry is not None else f"shard {shard}, which no roster has yet"
    return [f"{number}: {_what(check.fault)}; all is right up to entry {check.head.size}"]


def _what(fault: Fault) -> str:
    where = f"batch {fault.batch}" + ("" if fault.index is None else f", entry {fault.index}")
    return f"{where}: {str(fault.kind).replace('_', ' ')}"
