"""Witnesses on other machines: having them sign the shards' checkpoints, and hearing whether they have seen more.

What a witness says when it does not sign, that it has seen a larger tree or another, is not signed by anybody. So the
database is read again first: another process may have had more signed meanwhile. At a start, what that does not
explain is believed; later it is told, and the log goes on, since every roster is in the witness directory as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from audit.checkpoint import Roster, RosterEntry
from audit.errors import (
    AuditBehindWitnessError,
    AuditError,
    AuditInconsistentError,
    WitnessError,
    WitnessUnreachableError,
)
from audit.history import State
from audit.note import Note, Signature, parse_note
from audit.roster_store import RosterStore
from audit.signing import SigningKey
from audit.tree_reader import TreeReader

COSIGN_SECONDS: Final = 10.0
_ATTEMPTS: Final = 8

Consistency = Callable[[int], Awaitable[tuple[bytes, ...]]]


class Cosigner(Protocol):
    """A witness on another machine, which signs a checkpoint when it follows from the last one it signed."""

    async def cosign(self, checkpoint: Note, consistency: Consistency) -> tuple[Signature, ...]:
        """The witness's signatures, verified. `consistency` proves growth from an older size.

        Raises:
            AuditBehindWitnessError: It has signed a larger tree.
            AuditInconsistentError: It has signed another tree.
            WitnessError: It cannot be asked, or refuses.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Place:
    """A shard as a roster lists it, and the key that signs now."""

    roster: Roster
    entry: RosterEntry
    signer: SigningKey

    def note(self) -> Note:
        text = self.roster.checkpoint(self.entry).text()
        return Note(text).signed(self.signer.sign(text))


class Cosigning:
    """The cosigners of one log. A round of asking ends after seconds, whatever a witness does."""

    def __init__(
        self,
        cosigners: Sequence[Cosigner],
        rosters: RosterStore,
        trees: TreeReader,
        current: Callable[[], Awaitable[tuple[State, SigningKey]]],
        tell: Callable[[AuditError], None],
        *,
        seconds: float = COSIGN_SECONDS,
    ) -> None:
        """Nothing is asked yet.

        Args:
            cosigners: The witnesses.
            rosters: Keeps what they signed.
            trees: Proves growth.
            current: Reads the newest roster and the key that signs now.
            tell: Told of each witness that did not sign, and why.
            seconds: How long one may take for one checkpoint; twice as long for all of them.
        """
        self._cosigners = tuple(cosigners)
        self._rosters = rosters
        self._trees = trees
        self._current = current
        self._tell = tell
        self._seconds = seconds
        self._one = asyncio.Lock()
        self._done: dict[str, int] = {}  # at which size a shard's checkpoint was last cosigned

    async def publish(self) -> None:
        """Have every shard signed that grew, or was closed, since it last was. A failure is told, not raised."""
        await self._within(self._publish)

    async def check(self) -> None:
        """Ask about every open shard; a closed one cannot be behind. A witness that cannot be asked is told of.

        Raises:
            AuditBehindWitnessError: A witness has signed a larger tree of a shard than the database holds.
            AuditInconsistentError: A witness has signed another tree.
        """
        await self._within(self._check)

    async def kept(self, roster: Roster, entry: RosterEntry) -> Note | None:
        """The cosigned checkpoint of a shard, where there is one.

        Raises:
            AuditInconsistentError: It is not what the roster says.
        """
        found = await self._rosters.cosigned(entry.shard, entry.size) if self._cosigners else None
        if found is None:
            return None
        note = parse_note(found)
        if note.text != roster.checkpoint(entry).text():
            raise AuditInconsistentError("a cosigned checkpoint is not what the roster says")
        return note

    async def _within(self, work: Callable[[set[int]], Awaitable[None]]) -> None:
        if not self._cosigners:
            return
        try:
            async with asyncio.timeout(2 * self._seconds), self._one:
                await work(set())
        except TimeoutError:
            self._tell(WitnessUnreachableError("the witness is too slow for all shards: the next checkpoint goes on"))

    async def _publish(self, away: set[int]) -> None:
        for place in await self._places():
            entry = place.entry
            if self._done.get(entry.shard) == entry.size:
                continue
            if entry.closed and await self._rosters.cosigned(entry.shard, entry.size) is not None:
                self._done[entry.shard] = entry.size
                continue
            try:
                await self._cosign(place, away)
            except (AuditBehindWitnessError, AuditInconsistentError) as error:
                self._tell(error)
            if len(away) == len(self._cosigners):
                return

    async def _check(self, away: set[int]) -> None:
        for place in await self._places():
            if not place.entry.closed:
                await self._cosign(place, away)

    async def _places(self) -> list[_Place]:
        """Every shard that there is something of."""
        state, signer = await self._current()
        if state.newest is None:
            return []
        roster = state.newest.roster
        return [_Place(roster, entry, signer) for entry in roster.entries if entry.size]

    async def _cosign(self, place: _Place, away: set[int]) -> None:
        """Have a shard's checkpoint signed, and keep it when all did; who fails joins those not asked again.

        Raises:
            AuditBehindWitnessError: One has signed a larger tree, and reading again does not explain it.
            AuditInconsistentError: One has signed another tree.
        """
        for _ in range(_ATTEMPTS):
            try:
                signatures = await self._signatures(place, away)
            except AuditBehindWitnessError:
                # Another process stores a roster first and has it cosigned then: what was signed is there by now.
                newer = next((each for each in await self._places() if each.entry.shard == place.entry.shard), place)
                if newer.entry.size <= place.entry.size:
                    raise
                place = newer
                continue
            if not away:
                await self._keep(place, signatures)
            return
        self._tell(WitnessUnreachableError("the witness had signed more every time: the next checkpoint goes on"))

    async def _signatures(self, place: _Place, away: set[int]) -> list[Signature]:
        note, signatures = place.note(), list[Signature]()

        async def consistency(old: int) -> tuple[bytes, ...]:
            return await self._trees.consistency_proof(place.entry.shard, old, place.entry.size)

        for number, cosigner in enumerate(self._cosigners):
            if number in away:
                continue
            try:
                async with asyncio.timeout(self._seconds):
                    signatures += await cosigner.cosign(note, consistency)
            except TimeoutError:
                away.add(number)
                self._tell(WitnessUnreachableError("the witness does not answer in time"))
            except WitnessError as error:
                away.add(number)
                self._tell(error)
        return signatures

    async def _keep(self, place: _Place, signatures: Sequence[Signature]) -> None:
        shard, size = place.entry.shard, place.entry.size
        await self._rosters.keep_cosigned(shard, size, place.note().signed(*signatures).to_bytes())
        self._done[shard] = size
