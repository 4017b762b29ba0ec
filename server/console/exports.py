"""The console's `Exports`: the jobs of the platform, which GraphQL and the download serve too."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from graphql import GraphQLError

from customers.access import Access
from customers.oversight.asking import access_of
from customers.oversight.exports import Job
from schema.errors import ConfideGraphQLError, ErrorCode, ForbiddenError, NotFoundError
from schema.service import Asked, GraphQLService
from schema.translate import translated
from server.console.errors import ReadRefusedError
from server.console.parts import Download, ExportForm, ExportState, OnBehalf
from server.exports import recorded
from server.platform import Platform

T = TypeVar("T")
_START: Final = """mutation ConsoleExport($input: ExportAccessLogInput!) {
  exportAccessLog(input: $input) { export { id } }
}
"""


class ToldError(ConfideGraphQLError):
    """What GraphQL's answer says went wrong."""

    code = ErrorCode.FORBIDDEN
    default_message = ForbiddenError.default_message

    def __init__(self, told: Mapping[str, Any]) -> None:
        GraphQLError.__init__(self, str(told["message"]), extensions=dict(told["extensions"]))


class ConsoleExports:
    """The console's `Exports`: started through GraphQL, as any client does, so that its rules are the only ones."""

    def __init__(self, platform: Platform, service: GraphQLService) -> None:
        self._platform = platform
        self._service = service

    async def start(self, who: OnBehalf, conditions: Mapping[str, Any], form: ExportForm) -> str:
        """Start an export; its id.

        Raises:
            ConfideGraphQLError: It was refused.
        """
        variables = {"input": {"filter": dict(conditions) or None, "form": form.name}}
        asked = Asked(_START, None, variables, who.purpose, who.case, who.trace)
        answer = await self._service.answer(asked, who.caller)
        for told in answer.errors or ():
            raise ToldError(told)
        return str(answer.data["exportAccessLog"]["export"]["id"])

    async def state(self, who: OnBehalf, job: str) -> ExportState | None:
        """How far it is; None for an id that is not of an export of theirs.

        Raises:
            ReadRefusedError: They may not export any more.
        """
        found = await self._asked(who, "ConsoleExportState", lambda access: self._platform.exports.state(access, job))
        return None if found is None else _state(found)

    async def download(self, who: OnBehalf, job: str) -> Download | None:
        """The finished file, once it is recorded that it is fetched; None while there is none.

        Raises:
            ReadRefusedError: They may not export any more.
        """
        found = await self._asked(
            who, "ConsoleExportFile", lambda access: self._platform.exports.download(access, job)
        )
        return None if found is None else Download(found.path, found.name)

    async def _asked(self, who: OnBehalf, operation: str, work: Callable[[Access], Awaitable[T | None]]) -> T | None:
        platform = self._platform
        try:
            access = access_of(
                platform.policies.current,
                who.caller,
                who.purpose,
                case=who.case,
                operation=operation,
                trace=who.trace,
            )
            return await recorded(platform, access, _there(work(access)))
        except NotFoundError:
            return None
        except Exception as error:
            told = translated(error, platform.services)
            raise ReadRefusedError({"message": told.message, "extensions": told.extensions}, None) from error


async def _there(work: Awaitable[T | None]) -> T:
    found = await work
    if found is None:
        raise NotFoundError
    return found


def _state(job: Job) -> ExportState:
    return ExportState(
        form=job.form,
        stage=job.stage,
        conditions=job.conditions,
        read=job.read,
        of=job.of,
        found=job.found,
        size=job.size,
        sha256=job.sha256,
        until=job.until,
        message=job.message,
    )


__all__ = ["ConsoleExports"]
