"""What a person does with suggested corrections: looks at them, applies one with a click, or says that all is well.

What a suggestion says is computed from the value as the gateway reveals it to this caller. Whoever may not see a field in
clear of every customer, for a purpose that no objection or missing consent stands against, sees no suggestion about it:
that there is one tells something of the value.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from customers.access import Access
from customers.errors import ProfileConflictError, ReadNotAllowedError
from customers.profiles.permission import check_paths
from customers.profiles.service import ProfileGateway
from customers.profiles.writing import ProfileWriter
from customers.quality.errors import CorrectionGoneError
from customers.quality.looking import check_whole, mark_of, seen_of
from customers.quality.queue import Correction, CorrectionQueue, CorrectionState
from customers.spelling import CORRECTABLE, ORIGINAL, suggestions
from policies import LawfulBasis, Scope, Verdict

_VERSION: Final = "version"
_READ: Final = frozenset((*CORRECTABLE, _VERSION))
_ROUNDS: Final = 20
_OBJECTABLE: Final = frozenset({LawfulBasis.CONSENT, LawfulBasis.LEGITIMATE_INTERESTS})


@dataclass(frozen=True, slots=True)
class Shown:
    """A suggestion as its reviewer sees it: the value there is, and the one suggested."""

    correction: Correction
    current: str = field(repr=False)
    suggested: str = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True)
class ShownPage:
    """Suggestions, and whether more follow."""

    items: tuple[Shown, ...]
    more: bool


class Corrections:
    """The queue as one caller may see it. Every method is called inside `Vault.reading`."""

    def __init__(self, gateway: ProfileGateway, writer: ProfileWriter, queue: CorrectionQueue) -> None:
        self._gateway = gateway
        self._writer = writer
        self._queue = queue

    async def page(
        self, access: Access, first: int, after: int = 0, fields: Collection[str] = CORRECTABLE
    ) -> ShownPage:
        """Open suggestions, the oldest first; those that are none any more are left out.

        Raises:
            ReadNotAllowedError: The caller may see none.
        """
        asked = _permitted(access) & set(fields)
        if not asked:
            raise ReadNotAllowedError([f"profile.{name}" for name in fields])
        found: list[Shown] = []
        for _ in range(_ROUNDS):
            wanted = first + 1 - len(found)
            rows = await self._queue.page(after, wanted, asked)
            found += await self._shown(access, rows)
            if len(rows) < wanted or len(found) > first:
                break
            after = rows[-1].seq
        return ShownPage(tuple(found[:first]), len(found) > first)

    async def apply(self, access: Access, correction_id: str) -> str:
        """Write what is suggested, and give the customer's id.

        What was there before is kept where only the person and the privacy officer see it.

        Raises:
            CorrectionGoneError: There is no such suggestion (any more), or none that the caller may see.
            ReadNotAllowedError, WriteNotAllowedError: The caller may not; nothing was changed.
            ProfileConflictError: The profile changed meanwhile; nothing was changed.
            audit.AuditUnavailableError: The write could not be recorded; nothing was changed.
        """
        shown = await self._one(access, correction_id)
        name = shown.correction.field
        changes: dict[str, Any] = {name: shown.suggested, "traits": {ORIGINAL + name: shown.current}}
        await self._writer.update(access, shown.correction.customer_id, changes, version=shown.version)
        # After the write: what dies in between leaves a suggestion that is none any more.
        await self._queue.remove(shown.correction)
        return shown.correction.customer_id

    async def dismiss(self, access: Access, correction_id: str) -> str:
        """Say that the value is right as it is; it is not suggested again until it changes. Gives the customer's id.

        Raises:
            CorrectionGoneError, ReadNotAllowedError: As `apply`.
            WriteNotAllowedError: The caller could not apply it either.
            ProfileConflictError: Somebody decided it just now.
        """
        shown = await self._one(access, correction_id)
        check_paths(access, [f"profile.{shown.correction.field}"])
        if not await self._queue.dismiss(shown.correction, access.caller.actor):
            raise ProfileConflictError
        return shown.correction.customer_id

    async def _one(self, access: Access, correction_id: str) -> Shown:
        permitted = _permitted(access)
        if not permitted:
            raise ReadNotAllowedError([f"profile.{name}" for name in CORRECTABLE])
        correction = await self._queue.get(correction_id)
        if correction is None or correction.state is not CorrectionState.OPEN or correction.field not in permitted:
            raise CorrectionGoneError
        found = await self._shown(access, [correction])
        if not found:
            raise CorrectionGoneError
        return found[0]

    async def _shown(self, access: Access, rows: Collection[Correction]) -> list[Shown]:
        """Those of these suggestions that still hold, with what they say."""
        ids = sorted({each.customer_id for each in rows})
        values = await self._gateway.by_ids(access, _READ, ids) if ids else {}
        found = (self._said(access, each, values.get(each.customer_id)) for each in rows)
        return [each for each in found if each is not None]

    def _said(self, access: Access, correction: Correction, values: Mapping[str, Any] | None) -> Shown | None:
        if values is None:
            return None
        known = access.known[values["document_id"]]
        seen = seen_of(access.grant, known.circumstances, _READ)
        if correction.field not in seen or _VERSION not in seen:
            return None
        check_whole(values, seen)
        for each in suggestions(values, seen):
            current = values[each.field]
            if each.field == correction.field and mark_of(known.key, each, current) == correction.mark:
                return Shown(correction, current, each.to, values[_VERSION])
        return None


def _permitted(access: Access) -> set[str]:
    """The fields whose suggestions the caller may see."""
    if access.grant.purpose.basis in _OBJECTABLE:
        return set()
    return {
        name
        for name in CORRECTABLE
        if any(
            each.verdict is Verdict.CLEAR and each.scope is Scope.ANY
            for each in access.grant.read[f"profile.{name}"].alternatives
        )
    }
