"""What can be shown of an entry, out of the log's own trees and signatures: the console's `Proofs`."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from pymongo.asynchronous.database import AsyncDatabase

from audit import (
    AccessLog,
    AuditCorruptError,
    AuditInconsistentError,
    Checkpointer,
    EntryId,
    EntryNotFoundError,
    Kind,
    NoteError,
    Outcome,
    ProofInvalidError,
    Receipt,
    SigningKeys,
    VerifierKey,
    encode_record,
    timestamp,
)
from audit.checkpoint import Roster
from audit.history import History, State
from audit.note import encode_base64
from audit.roster_store import RosterStore
from audit.witness_directory import WitnessDirectory
from customers.disclosure import Disclosure, Request
from policies import PolicySet, Verdict
from server.console.parts import Check, Covering, OnBehalf, ProofState, Verification

_OPERATION: Final = "ConsoleReceipt"


class LogProofs:
    """Proofs of entries of one log.

    Args:
        database: where the log lives.
        log: reads entries, and takes the record of a receipt.
        checkpointer: makes receipts.
        keys: the signing key file; its first key is what everything is verified against.
        policies: the policy in force.
        now: the present, with a time zone.
        directory: the witness directory, where there is one.
        due: when the next checkpoint comes, in words.
    """

    def __init__(
        self,
        database: AsyncDatabase[dict[str, Any]],
        *,
        log: AccessLog,
        checkpointer: Checkpointer,
        keys: SigningKeys,
        policies: Callable[[], PolicySet],
        now: Callable[[], datetime],
        directory: WitnessDirectory | None = None,
        due: str | None = None,
    ) -> None:
        self._log = log
        self._checkpointer = checkpointer
        self._keys = keys
        self._policies = policies
        self._now = now
        self._directory = directory
        self._due = due
        self._history = History(RosterStore.over(database), keys.log)

    async def state(self, entry: str) -> ProofState:
        """Where the entry is, by the newest roster; its signature is verified, no hash of an entry is computed."""
        place = EntryId.parse(entry)
        state = await self._state()
        listed = None if state.newest is None else state.newest.roster.entry(place.shard)
        if state.newest is None or listed is None:
            return ProofState(place.shard, place.index, due=self._due)
        if listed.size <= place.index:
            return ProofState(place.shard, place.index, listed.number, due=self._due)
        roster = state.newest.roster
        covering = Covering(
            roster=roster.sequence,
            time=roster.time,
            size=listed.size,
            root=encode_base64(listed.root),
            key=str(state.chain.at(roster.sequence)),
            witnessed=await asyncio.to_thread(self._witnessed, roster, state.newest.note),
        )
        return ProofState(place.shard, place.index, listed.number, covering)

    async def verify(self, entry: str) -> Verification:
        """Recompute: the stored bytes, the path from them to a root, and the signature over that root.

        An entry that no checkpoint covers is covered by a new one first.
        """
        place = EntryId.parse(entry)
        checks: list[Check] = []
        try:
            stored = encode_record((await self._log.get(place)).record)
            checks.append(Check("The record", held=True, found="What is stored are the canonical bytes of a record."))
            receipt = Receipt.parse(await self._checkpointer.receipt(place))
        except (AuditCorruptError, AuditInconsistentError, EntryNotFoundError) as error:
            name = "The path to the root" if checks else "The record"
            return self._found([*checks, Check(name, held=False, found=_sentence(error))])
        same = receipt.record == stored and receipt.index == place.index
        checks.append(
            Check(
                "The receipt",
                held=same,
                found="It is of this entry." if same else "It is of another entry, or of other bytes.",
            )
        )
        keys = [key for _, key in (await self._state()).chain.keys]
        return self._found([*checks, *_proved(receipt, keys)])

    async def receipt(self, entry: str, who: OnBehalf) -> bytes:
        """The entry's receipt, once the export of it is durably recorded."""
        place = EntryId.parse(entry)
        await self._log.get(place)
        grant = self._policies().decide(who.caller.roles, who.purpose)
        request = Request(who.caller, who.purpose, who.case, _OPERATION, None, who.trace)
        disclosure = Disclosure(request, grant, Kind.EXPORT)
        for path, granted in grant.export.items():
            if path.startswith("access_entry.") and granted:
                disclosure.add_fields({path: (Verdict.CLEAR, granted.alternatives[0].rule)})
        await self._log.append(disclosure.record(self._now(), Outcome.ALLOWED, Kind.EXPORT))
        return await self._checkpointer.receipt(place)

    async def _state(self) -> State:
        return await self._history.state((await self._keys.load()).first)

    def _found(self, checks: list[Check]) -> Verification:
        return Verification(timestamp(self._now()), tuple(checks))

    def _witnessed(self, roster: Roster, note: bytes) -> bool | None:
        """Whether the witness directory holds this very roster."""
        if self._directory is None:
            return None
        return roster.sequence <= self._directory.newest() and self._directory.roster(roster.sequence) == note


def _proved(receipt: Receipt, keys: list[VerifierKey]) -> list[Check]:
    """What the receipt proves by itself."""
    path, signature = "The path to the root", "The signature"
    try:
        checkpoint = receipt.verify(keys)
    except ProofInvalidError as error:
        return [Check(path, held=False, found=_sentence(error))]
    except NoteError as error:
        return [Check(signature, held=False, found=_sentence(error))]
    count, size = len(receipt.proof), checkpoint.size
    return [
        Check(
            path, held=True, found=f"{count} hashes lead from entry {receipt.index} to the root over {size} entries."
        ),
        Check(signature, held=True, found=f"The checkpoint of {checkpoint.origin} is signed by the log's key."),
    ]


def _sentence(error: Exception) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."


__all__ = ["LogProofs"]
