"""Answers one GraphQL request: gate, run, record, and only then give the answer out."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, OperationType

from audit import EntryId, Kind, Outcome
from customers.access import Access
from customers.caller import Caller
from customers.disclosure import Disclosure, Request
from customers.errors import BreakGlassSpentError
from schema.build import BuiltSchema
from schema.context import RequestContext, Services
from schema.documents import Document, Documents
from schema.errors import (
    ConfideGraphQLError,
    DataDamagedError,
    DocumentRefusedError,
    ErrorCode,
    InputInvalidError,
    InternalError,
    NotFoundError,
    Problem,
    ProtocolError,
    PurposeError,
    PurposeNotAllowedError,
    PurposeRequiredError,
    PurposeUnknownError,
    TimeoutExceededError,
    UnavailableError,
)
from schema.executor import execute
from schema.kept_plans import KeptPlans
from schema.limits import check_variables
from schema.planning import Plan
from schema.publishing import published
from schema.translate import translated
from schema.turns import Turns

_LONGEST_NAME = 128
_CASE = re.compile(r"[A-Za-z0-9._:/#-]{1,64}", re.ASCII)
_OURS = frozenset({DataDamagedError.code, *(kind.code for kind in UnavailableError.__subclasses__())})

Failed = Callable[[ErrorCode, BaseException, str | None], None]
"""Is told of a failure that is not the caller's doing: its code, what caused it, and the request's trace."""


def _unheard(_code: ErrorCode, _cause: BaseException, _trace: str | None) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as HTTP brought it.

    Attributes:
        query: The document's text.
        operation_name: Which of its operations to run, where it has several.
        variables: The variables' values.
        purpose: The `Confide-Purpose` header.
        case: The `Confide-Case` header.
        trace: The trace's id, 32 hexadecimal digits.
        read_only: Whether only a query may run, as by GET.
        encoded: Whether the answer's data is only to become JSON, so that it need not be dicts.
    """

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None
    purpose: str | None
    case: str | None
    trace: str | None
    read_only: bool = False
    encoded: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of a GraphQL response. `ran` says whether execution began (GraphQL over HTTP needs to know)."""

    data: Any
    errors: list[dict[str, Any]] | None
    extensions: dict[str, Any] | None
    ran: bool


class GraphQLService:
    """The one way from a request to an answer.

    Args:
        built: The schema.
        documents: Its documents.
        services: What resolvers call.
        failed: Is told of failures that are not the caller's doing, for the log: a request's first of each code.
        turns: How many requests are worked on at once.
    """

    def __init__(
        self,
        built: BuiltSchema,
        documents: Documents,
        services: Services,
        *,
        failed: Failed = _unheard,
        turns: Turns | None = None,
    ) -> None:
        self._turns = turns or Turns()
        self._built = built
        self._plans = KeptPlans(built)
        self._documents = documents
        self._services = services
        self._failed = failed

    def prepare(self, query: str) -> Document:
        """The document, parsed, bounded and validated.

        Raises:
            DocumentRefusedError: It cannot be run; nothing was.
        """
        return self._documents.prepare(query)

    async def answer(
        self, asked: Asked, caller: Caller, *, again: Callable[[], Awaitable[Caller]] | None = None
    ) -> Answer:
        """Run a request and give its answer, once what it read is durably recorded.

        Every refusal and failure that a request can cause is in `errors`, but for those that are HTTP's to tell.

        Args:
            asked: The request.
            caller: Who asks.
            again: Says who asks once more, where they had to wait for their turn: until then they may be revoked.

        Raises:
            ProtocolError: Something else than a query came with `read_only`; nothing was run.
            Exception: What `again` raised; nothing was run.
        """
        try:
            async with self._turns.one() as waited:
                if waited and again is not None:
                    caller = await again()
                return await self._answered(asked, caller)
        except TimeoutExceededError as error:
            self._failed(error.code, error, asked.trace)
            return _failed(error)

    async def _answered(self, asked: Asked, caller: Caller) -> Answer:
        document = operation = None
        try:
            caller = await self._services.widened(caller, (asked.purpose or "").strip(), asked.case)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told as one of the closed set
            told = translated(error, self._services)
            self._failed(told.code, error, asked.trace)
            return _failed(told)
        try:
            check_variables(asked.variables, self._documents.limits)
            document = self._documents.prepare(asked.query)
            operation = document.operation(asked.operation_name)
            if asked.read_only and operation.operation is not OperationType.QUERY:
                raise ProtocolError(Problem.MUTATION_BY_GET)
            document.cost(asked.operation_name, asked.variables)
            context = self._context(asked, caller, document, operation)
        except DocumentRefusedError as error:
            return _refused(error.errors)
        except PurposeNotAllowedError as error:
            return await self._refused_purpose(error, asked, caller, document, operation)
        except GraphQLError as error:
            return _refused([error])
        return await self._run(asked, document, context)

    async def _refused_purpose(
        self,
        error: PurposeNotAllowedError,
        asked: Asked,
        caller: Caller,
        document: Document | None,
        operation: OperationDefinitionNode | None,
    ) -> Answer:
        """The refusal of a purpose that the caller may not state, once it is durably recorded.

        Whoever asks is known by then, and what they asked for is a purpose that there is: it is an attempt, not noise.
        """
        if document is not None and operation is not None:
            try:
                # What is no case's number is not told instead, nor kept.
                case = asked.case if _is_case(asked.case) else None
                access = self._granted(replace(asked, case=case), caller, document, operation)
                kind = _kind(self._plans.of(document, operation, asked.operation_name, asked.variables)[0])
                record = access.disclosure.record(self._services.now(), Outcome.REFUSED, kind)
                await self._services.log.append(record)
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is told as one of the closed set
                told = translated(failure, self._services)
                self._failed(told.code, failure, asked.trace)
                return _failed(told)
        return _refused([error])

    async def _run(self, asked: Asked, document: Document, context: RequestContext) -> Answer:
        """Execute inside a read that the vault knows of, and record before anything is given out."""
        try:
            async with self._reading(context):
                result = await execute(
                    self._built.schema,
                    document,
                    variables=asked.variables,
                    context=context,
                    operation_name=asked.operation_name,
                    version=self._services.policies().version,
                    structs=asked.encoded,
                )
                raised = result.errors or []
                errors = [self._located(each) for each in raised]
                entry = await self._record(context, errors)
        except DocumentRefusedError as error:
            return _refused(error.errors)
        except BreakGlassSpentError as error:
            return _failed(translated(error, self._services))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told as one of the closed set
            told = translated(error, self._services)
            self._failed(told.code, error, asked.trace)
            return _failed(told)
        shown = [published(each) for each in errors]
        self._tell(raised, shown, asked.trace)
        broken = next((each for each in errors if isinstance(each.original_error, UnavailableError)), None)
        if broken is not None and isinstance(broken.original_error, UnavailableError):
            return _failed(broken.original_error)
        return Answer(data=result.data, errors=shown or None, extensions=_extensions(context, entry), ran=True)

    def _tell(self, raised: Sequence[GraphQLError], shown: Sequence[Mapping[str, Any]], trace: str | None) -> None:
        """Have the log know of what is not the caller's doing: the answer says its code and no more."""
        known: set[str] = set()
        for error, answer in zip(raised, shown, strict=True):
            code = answer["extensions"]["code"]
            if code in _OURS and code not in known:
                known.add(code)
                self._failed(ErrorCode(code), _bottom(error), trace)

    def _reading(self, context: RequestContext) -> AbstractAsyncContextManager[Any]:
        """The read that the vault must know of. An erasure is none: it waits until every read has ended."""
        return nullcontext() if context.plan.alone else self._services.vault.reading()

    async def _record(self, context: RequestContext, errors: list[GraphQLError]) -> EntryId | None:
        """Make the access record durable. Raises if it cannot be, and then nothing is answered."""
        if context.granted is None:
            return None
        disclosure = context.granted.disclosure
        causes = [each.original_error for each in errors if isinstance(each.original_error, ConfideGraphQLError)]
        if not disclosure.touched and not causes:
            return None
        # A write has a record of its own; what is left to tell of one that failed is how it ended.
        outcome = kind = None
        if causes and not disclosure.reached:
            outcome = _outcome(causes)
            kind = _kind(context.plan)
        try:
            await self._services.count(context.caller, disclosure)
        except BreakGlassSpentError:
            await self._services.log.append(disclosure.record(self._services.now(), Outcome.REFUSED, kind))
            raise
        return await self._services.log.append(disclosure.record(self._services.now(), outcome, kind))

    def _located(self, error: GraphQLError) -> GraphQLError:
        """The error with its cause told as one of the closed set."""
        if error.original_error is None:
            return error
        cause = translated(_cause(error), self._services)
        return GraphQLError(
            cause.message,
            nodes=error.nodes,
            path=error.path,
            original_error=cause,
            extensions=cause.extensions,
        )

    def _context(
        self, asked: Asked, caller: Caller, document: Document, operation: OperationDefinitionNode
    ) -> RequestContext:
        plan, touches = self._plans.of(document, operation, asked.operation_name, asked.variables)
        granted = None
        if touches or asked.purpose is not None:
            try:
                granted = self._access(asked, caller, document, operation)
            except PurposeError:
                if touches:
                    raise
        return RequestContext(self._services, caller, plan, granted)

    def _access(self, asked: Asked, caller: Caller, document: Document, operation: OperationDefinitionNode) -> Access:
        purpose = (asked.purpose or "").strip()
        if not purpose:
            raise PurposeRequiredError
        policies = self._services.policies()
        if purpose not in policies.purposes:
            raise PurposeUnknownError
        if caller.purposes is not None and caller.purposes.isdisjoint(policies.purposes[purpose].lineage):
            raise PurposeNotAllowedError
        return self._granted(asked, caller, document, operation)

    def _granted(
        self, asked: Asked, caller: Caller, document: Document, operation: OperationDefinitionNode
    ) -> Access:
        """The access for the purpose stated, which there is."""
        purpose = (asked.purpose or "").strip()
        grant = self._services.policies().decide(caller.roles, purpose)
        request = Request(
            caller=caller,
            purpose=purpose,
            case=_case(asked.case),
            operation=None if operation.name is None else operation.name.value[:_LONGEST_NAME],
            document=document.name,
            trace=asked.trace,
        )
        return Access(caller, grant, Disclosure(request, grant))


def _outcome(causes: Sequence[ConfideGraphQLError]) -> Outcome:
    """How a request ended that reached nobody: the first cause counts."""
    if isinstance(causes[0], NotFoundError):
        return Outcome.NOT_FOUND
    return Outcome.FAILED if isinstance(causes[0], UnavailableError) else Outcome.REFUSED


def _kind(plan: Plan) -> Kind | None:
    """What a request tried, where that was not to read."""
    if plan.erases:
        return Kind.ERASURE_INTENT
    return Kind.WRITE if plan.writes else None


def _cause(error: GraphQLError) -> BaseException:
    """The exception at the bottom of graphql-core's wrappings."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and not isinstance(cause, ConfideGraphQLError):
        if cause.original_error is None:
            return InternalError()
        cause = cause.original_error
    return cause


def _bottom(error: GraphQLError) -> BaseException:
    """What was raised first, be it of graphql-core's own."""
    while isinstance(error.original_error, GraphQLError):
        error = error.original_error
    return error.original_error or error


def _case(case: str | None) -> str | None:
    """The case's number, or None where none is stated.

    Raises:
        InputInvalidError: It is not a number but could be a sentence, which may say anything about anybody.
    """
    if case is None or not case.strip():
        return None
    if not _is_case(case):
        raise InputInvalidError("Confide-Case must be a case's number: up to 64 letters, digits and . _ : / # -")
    return case.strip()


def _is_case(case: str | None) -> bool:
    return case is not None and _CASE.fullmatch(case.strip()) is not None


def _extensions(context: RequestContext, entry: EntryId | None) -> dict[str, Any] | None:
    if context.granted is None:
        return None
    explanation = context.granted.disclosure.explanation()
    return {"privacy": {**explanation, "entry": context.granted.disclosure.entry if entry is None else str(entry)}}


def _refused(errors: Any) -> Answer:
    return Answer(None, [published(each) for each in errors], None, ran=False)


def _failed(error: ConfideGraphQLError) -> Answer:
    return Answer(None, [published(error)], None, ran=True)


__all__ = ["Answer", "Asked", "GraphQLService"]
