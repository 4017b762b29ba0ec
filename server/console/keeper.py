"""What the pages of those who keep data go through when they ask something else than GraphQL: the policy, and the log.

Every look and every change is admitted by the policy for the purpose that was stated, and is recorded before it is
shown or made; what is refused is recorded as refused.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from audit import AccessLog, AuditError, Decision, Kind, Outcome, Record, Verdict, timestamp
from customers.access import Access
from customers.disclosure import Disclosure, Request
from policies import Action, Grant, PolicySet
from schema.context import Services
from schema.errors import ConfideGraphQLError, ForbiddenError
from schema.translate import translated
from server.console.errors import ConsoleError, ReadRefusedError
from server.console.parts import OnBehalf
from server.console.sections import OPERATIONS, Section, changes_operations

_LONGEST_OPERATION: Final = 128


class Keeper:
    """Admits and records.

    Args:
        log: the access log.
        services: what resolvers call; their errors are told in the same words here.
        policies: the policy in force.
        now: the present, with a time zone.
    """

    def __init__(
        self,
        log: AccessLog,
        services: Services,
        policies: Callable[[], PolicySet],
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._services = services
        self._policies = policies
        self._now = now

    async def look(self, who: OnBehalf, section: Section, operation: str) -> str:
        """Let them look at a part of the console that shows nothing of anybody; where it is recorded.

        Raises:
            ReadRefusedError: The policy does not let them; that is recorded too.
            AuditError: It cannot be recorded, so it is not to be shown.
        """
        await self._admit(who, section.opens(self._grant(who)), operation)
        return await self._append(who, operation, Kind.READ, Outcome.ALLOWED)

    async def may_change(self, who: OnBehalf, operation: str) -> None:
        """Return only if they may change how data comes in; a refusal is recorded.

        Raises:
            ReadRefusedError: They may not.
        """
        await self._admit(who, changes_operations(self._grant(who)), operation)

    async def changed(self, who: OnBehalf, operation: str, outcome: Outcome = Outcome.ALLOWED) -> str:
        """Make it durable that they change something; where it is recorded."""
        return await self._append(who, operation, Kind.ADMIN, outcome)

    async def admit(self, who: OnBehalf, section: Section, operation: str) -> Access:
        """Their access to people, where the policy opens this section for their purpose; what it does is recorded by it.

        Raises:
            ReadRefusedError: The policy does not let them; that is recorded too.
        """
        grant = self._grant(who)
        await self._admit(who, section.opens(grant), operation)
        request = Request(who.caller, who.purpose, who.case, operation, None, who.trace)
        return Access(who.caller, grant, Disclosure(request, grant))

    @contextmanager
    def told(self, *passing: type[Exception]) -> Iterator[None]:
        """What goes wrong in here, but for what is named, is told in the words that GraphQL has for it."""
        try:
            yield
        except Exception as error:
            if isinstance(error, (ConsoleError, AuditError, *passing)):
                raise
            raise refused(translated(error, self._services)) from error

    def _grant(self, who: OnBehalf) -> Grant:
        return self._policies().decide(who.caller.roles, who.purpose)

    async def _admit(self, who: OnBehalf, admitted: bool, operation: str) -> None:  # noqa: FBT001 - what was decided
        if not admitted:
            entry = await self._append(who, operation, Kind.READ, Outcome.REFUSED)
            raise refused(ForbiddenError(), entry)

    async def _append(self, who: OnBehalf, operation: str, kind: Kind, outcome: Outcome) -> str:
        granted = self._grant(who)
        grant = granted.of_category(OPERATIONS, Action.READ if kind is Kind.READ else Action.WRITE)
        if not grant:  # such as failed jobs, which who answers for privacy tries again and does not write
            grant = granted.of_category(OPERATIONS, Action.READ)
        rule = grant.alternatives[0].rule if grant else grant.rule
        decided = Decision(
            decision=Verdict.CLEAR if grant and outcome is Outcome.ALLOWED else Verdict.WITHHELD,
            fields=(OPERATIONS,),
            rule=rule,
        )
        entry = await self._log.append(
            Record(
                kind=kind,
                time=timestamp(self._now()),
                actor=who.caller.actor,
                client=who.caller.client,
                roles=tuple(sorted(set(who.caller.roles))),
                purpose=who.purpose,
                case=who.case,
                operation=operation[:_LONGEST_OPERATION],
                decisions=(decided,),
                outcome=outcome,
                policy=self._policies().version,
                trace=who.trace,
            )
        )
        return str(entry)


def refused(error: ConfideGraphQLError, entry: str | None = None) -> ReadRefusedError:
    """A refusal as GraphQL tells it."""
    return ReadRefusedError({"message": error.message, "extensions": error.extensions}, entry)


__all__ = ["Keeper", "refused"]
