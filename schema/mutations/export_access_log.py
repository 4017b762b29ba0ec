"""The mutations `exportAccessLog` and `cancelAccessLogExport`, and the queries `accessLogExport` and `accessLogExports`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Annotated

import strawberry
from strawberry.utils.str_converters import to_camel_case

from audit import BundleForm
from customers.access import Access
from customers.disclosure import reference_text
from customers.errors import ExportNotAllowedError, ExportsBusyError
from customers.oversight.exports import AccessLogExports, Wanted
from policies import Scope
from schema.context import Info
from schema.errors import ConfideGraphQLError, ConflictError, ForbiddenError, NotFoundError
from schema.permission import needs, structural
from schema.types.access_entry import AccessLogFilter, access_query, check_filters, filter_paths
from schema.types.access_log_export import AccessLogExport, AccessLogExportForm, shown_export
from vault import DataKey

_PERMISSION = ("export", "access_entry.*")
_NONE_OF_YOURS = "There is no export of yours with this id."

Id = Annotated[strawberry.ID, strawberry.argument(description="The export's id.")]


@strawberry.input(description="What to export of the access log.")
class ExportAccessLogInput:
    """Which entries, in which form."""

    filter: AccessLogFilter | None = strawberry.field(
        default=None, description="Conditions that must all hold; by default the whole log."
    )
    form: AccessLogExportForm = strawberry.field(
        default=AccessLogExportForm.JSONL, description="What the file holds besides the records."
    )


@strawberry.type(description="An export that has begun.")
class ExportAccessLogPayload:
    """The payload of `exportAccessLog`."""

    export: AccessLogExport = structural("The export; ask for it again by its id until it is done.")


@strawberry.type(description="An export that is no more.")
class CancelAccessLogExportPayload:
    """The payload of `cancelAccessLogExport`."""

    id: strawberry.ID = structural("The id that no longer names anything.")


@strawberry.mutation(
    description="Begin an export of the access log, with everything that proves it. It holds whole entries, so it "
    "needs the permission to read and to export every field of them. It is recorded before it begins.",
    directives=needs(*_PERMISSION),
)
async def export_access_log(
    info: Info,
    input: Annotated[ExportAccessLogInput, strawberry.argument(description="What to export.")],  # noqa: A002
) -> ExportAccessLogPayload:
    """Begin one export job."""
    access, exports = info.context.access, _exports(info)
    used = tuple(filter_paths(input.filter))
    with _told(access, used):
        exports.require(access, used)
        check_filters(used, access.grant, Scope.ANY)
        subject = await _subject(info, input.filter)
        wanted = Wanted(
            query=access_query(input.filter, None if subject is None else reference_text(subject)),
            form=BundleForm[input.form.name],
            filters=used,
            conditions=_conditions(input.filter),
            subject=subject,
        )
        job = await exports.start(access, wanted)
    return ExportAccessLogPayload(export=shown_export(job))


@strawberry.mutation(
    description="Give up an export that is not finished, or remove one that is. It leaves nothing to fetch.",
    directives=needs(*_PERMISSION),
)
async def cancel_access_log_export(info: Info, id: Id) -> CancelAccessLogExportPayload:  # noqa: A002 - as `node`
    """End one export job."""
    access = info.context.access
    with _told(access):
        if not await _exports(info).cancel(access, str(id)):
            raise NotFoundError(_NONE_OF_YOURS)
    return CancelAccessLogExportPayload(id=id)


@strawberry.type(description="What can be asked about exports.")
class ExportQuery:
    """The part of the root of every query that is about exports."""

    @strawberry.field(
        description="How far an export of the access log is. Refused as not found where it is not the caller's own.",
        directives=needs(*_PERMISSION),
    )
    async def access_log_export(self, info: Info, id: Id) -> AccessLogExport:  # noqa: A002 - as `node`
        """One export job of the caller's."""
        access = info.context.access
        with _told(access):
            job = await _exports(info).state(access, str(id))
            if job is None:
                raise NotFoundError(_NONE_OF_YOURS)
        return shown_export(job)

    @strawberry.field(
        description="The caller's own exports of the access log, the newest first; the few that are kept.",
        directives=needs(*_PERMISSION),
    )
    async def access_log_exports(self, info: Info) -> list[AccessLogExport]:
        """Every export job of the caller's."""
        access = info.context.access
        with _told(access):
            return [shown_export(each) for each in await _exports(info).all(access)]


def _exports(info: Info) -> AccessLogExports:
    exports = info.context.services.exports
    if exports is None:
        raise ForbiddenError("This server makes no exports of the access log.")
    return exports


@contextmanager
def _told(access: Access, filters: Sequence[str] = ()) -> Iterator[None]:
    """A refusal of the use case as GraphQL tells it; what is recorded of any refusal is that an export was tried."""
    try:
        yield
    except ConfideGraphQLError:
        AccessLogExports.refuse(access, filters)
        raise
    except ExportNotAllowedError:
        raise ForbiddenError("The caller may not export the access log for this purpose.") from None
    except ExportsBusyError as error:
        AccessLogExports.refuse(access, filters)
        raise ConflictError(
            f"You have {error.most} exports that are not finished. Wait for one, or cancel one."
        ) from None


async def _subject(info: Info, given: AccessLogFilter | None) -> bytes | None:
    """The audit reference of the customer that the export is about, if it is about one."""
    if given is None or given.customer is None:
        return None
    customer_id = str(given.customer)
    key = (await info.context.services.vault.keys([customer_id])).get(customer_id)
    if not isinstance(key, DataKey):
        raise NotFoundError(
            "There is no living customer with this id; an erased one's entries can be found by nobody.",
            field="customer",
        )
    return key.audit_reference


def _conditions(given: AccessLogFilter | None) -> dict[str, str]:
    """The conditions as GraphQL names them."""
    values = {} if given is None else {name: value for name, value in vars(given).items() if value is not None}
    return {
        to_camel_case(name): value.name if isinstance(value, Enum) else str(value) for name, value in values.items()
    }


__all__ = ["ExportQuery", "cancel_access_log_export", "export_access_log"]
