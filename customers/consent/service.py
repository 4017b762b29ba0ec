"""The ledger as people see it: one person's decisions with what they were told and what proves them, and receipts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from audit import AccessLog, Kind, Outcome
from customers.access import Access, Known, in_scope
from customers.consent.counting import PATH, ConsentCounter, Counted
from customers.consent.model import ConsentDecision
from customers.consent.notices import Notice, NoticeStore
from customers.consent.receipts import receipt
from customers.consent.store import ConsentStore, LedgerEntry
from customers.disclosure import Disclosure
from customers.errors import (
    CursorInvalidError,
    FieldProblem,
    InputInvalidError,
    ReadNotAllowedError,
    WriteNotAllowedError,
)
from policies import LawfulBasis, PolicySet, Scope, Verdict


class Gateway(Protocol):
    """What reads profiles, and notes it; whom it has read is in `Access.known`."""

    async def by_ids(
        self, access: Access, names: frozenset[str], customer_ids: Sequence[str]
    ) -> Mapping[str, Mapping[str, Any]]:
        """The values of these customers that the caller may see, by id."""


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry of the ledger with its proof opened."""

    entry: LedgerEntry
    proof: str | None


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A part of one person's ledger, the latest first, and whether there is more."""

    entries: tuple[ShownEntry, ...]
    more: bool


class ConsentService:
    """What there is to see of consent, and the notices; inside `Vault.reading`."""

    def __init__(
        self,
        gateway: Gateway,
        ledger: ConsentStore,
        notices: NoticeStore,
        counter: ConsentCounter,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        controller: str | None = None,
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._notices = notices
        self._counter = counter
        self._log = log
        self._policies = policies
        self._now = now
        self._controller = controller

    async def ledger(
        self, access: Access, customer_id: str, *, first: int, after: str | None = None
    ) -> LedgerPage | None:
        """A person's decisions, the latest first; None where there is nobody whom the caller may see so.

        For whoever may take privacy choices out (`export`): the person, and who answers for them.

        Args:
            access: Who asks; what is shown is noted in its disclosure.
            customer_id: Whose.
            first: How many.
            after: The entry after which to go on.

        Raises:
            ReadNotAllowedError: The caller may not, of anybody.
            CursorInvalidError: There is no such entry.
            vault.EnvelopeError: A proof is not what was sealed in its place.
        """
        found = await self._entries(access, customer_id)
        if found is None:
            return None
        known, entries = found
        start = 0
        if after is not None:
            start = 1 + next((place for place, each in enumerate(entries) if each.id == after), -1)
            if start == 0:
                raise CursorInvalidError
        keys = {known.document["_id"]: known.key} | {part.document["_id"]: part.key for part in known.parts}
        shown = entries[start : start + first]
        return LedgerPage(
            tuple(ShownEntry(each, each.proof(keys[each.customer_id])) for each in shown),
            len(entries) > start + first,
        )

    async def receipt(self, access: Access, customer_id: str, entry_id: str) -> dict[str, Any] | None:
        """The receipt of one decision, as JSON-LD; None where the person has none of this name, or may not be seen.

        Raises:
            ReadNotAllowedError: The caller may not, of anybody.
        """
        found = await self._entries(access, customer_id)
        if found is None:
            return None
        known, entries = found
        entry = next((each for each in entries if each.id == entry_id), None)
        if entry is None:
            return None
        decision = entry.decision
        return receipt(
            entry.id,
            decision,
            recorded_at=entry.recorded_at,
            purpose=self._policies().purposes.get(decision.purpose),
            notice=None if decision.notice is None else await self._notices.find(decision.notice),
            subject=known.key.pseudonym(known.document["_id"]),
            controller=self._controller,
            now=self._now(),
        )

    async def counts(self, access: Access) -> Counted:
        """As `ConsentCounter.counts`; recorded before it is given."""
        counted = await self._counter.counts(access)
        disclosure = Disclosure(access.disclosure.request, access.grant)
        disclosure.add_filters([PATH])
        access.disclosure.entry = str(await self._log.append(disclosure.record(self._now(), Outcome.ALLOWED)))
        return counted

    async def check_notices(self, decisions: Sequence[ConsentDecision]) -> None:
        """Refuse decisions that name a notice which was never published.

        Raises:
            InputInvalidError: One does.
        """
        for reference in {each.notice for each in decisions if each.notice is not None}:
            if await self._notices.find(reference) is None:
                raise InputInvalidError([FieldProblem("notice", "must be a notice that was published")])

    async def publish(self, access: Access, name: str, version: str, language: str, text: str) -> Notice:
        """Keep a notice for ever; recorded before.

        Raises:
            WriteNotAllowedError: The caller may not write and read everybody's privacy choices, or not for a legal
                obligation.
            InputInvalidError, NoticeChangedError: As `NoticeStore.publish`.
        """
        ways = [each for each in access.grant.write[PATH].alternatives if each.scope is Scope.ANY]
        # Who only hands on requests writes choices and reads none; a notice is for ever, so it is not theirs to publish.
        reads = any(
            each.scope is Scope.ANY and each.verdict is Verdict.CLEAR for each in access.grant.read[PATH].alternatives
        )
        if not ways or not reads or access.grant.purpose.basis is not LawfulBasis.LEGAL_OBLIGATION:
            raise WriteNotAllowedError([PATH])
        disclosure = Disclosure(access.disclosure.request, access.grant, kind=Kind.WRITE)
        disclosure.add_fields({PATH: (Verdict.CLEAR, ways[0].rule)})
        await self._log.append(disclosure.record(self._now(), Outcome.ALLOWED))
        return await self._notices.publish(name, version, language, text)

    async def notices(self) -> list[Notice]:
        """Every notice: texts that were shown to people, and nothing of anybody."""
        return await self._notices.all()

    async def _entries(self, access: Access, customer_id: str) -> tuple[Known, list[LedgerEntry]] | None:
        """A person whose ledger the caller may see, and all of it."""
        ways = access.grant.export[PATH].alternatives
        if not ways or not access.grant.read[PATH]:
            raise ReadNotAllowedError([PATH])
        values = (await self._gateway.by_ids(access, frozenset({"id", "consents"}), [customer_id])).get(customer_id)
        if values is None:
            return None
        known = access.known[values["document_id"]]
        if known.circumstances.reason is not None or not any(
            in_scope(each.scope, known.circumstances) for each in ways
        ):
            return None
        whose = [known.document["_id"], *(part.document["_id"] for part in known.parts)]
        return known, await self._ledger.of(whose)
