"""What is kept by law of people who were erased, as GraphQL shows it."""

from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from audit import timestamp
from customers.rights.retained_reading import RetainedReader, Shown
from schema.context import Info, RequestContext
from schema.errors import CursorInvalidError
from schema.paging import first_of
from schema.permission import needs, structural
from schema.scalars import Timestamp
from schema.types.page import PageInfo


@strawberry.type(description="One value of a record that is kept.")
class RetainedValue:
    """One field with its value."""

    field: str = structural("The field's name in the catalogue, such as order.total.")
    value: JSON | None = structural("Its value, as far as the policy grants it for the purpose stated; else null.")


@strawberry.type(description="A record that the law demands to be kept, of somebody who was erased.")
class RetainedRecord:
    """One record."""

    id: strawberry.ID = structural("Its id, which leads to nobody.")
    object: str = structural("What it is a record of: order or ticket.")
    rule: str = structural("The rule of the policy by which it is kept.")
    law: str = structural("The law that demands it.")
    kept_until: Timestamp = structural("Until when it is kept; its key is destroyed then.")
    values: list[RetainedValue] = structural("What is kept.")


@strawberry.type(description="A page of records that are kept.")
class RetainedRecordConnection:
    """Relay's connection."""

    nodes: list[RetainedRecord] = structural("The records, in the order they came to be kept.")
    page_info: PageInfo = structural("Where this page stands.")


@strawberry.type(description="What is kept by law.")
class RetainedQuery:
    """A part of the root of queries."""

    @strawberry.field(
        description="What the law demands to be kept of people who were erased. For purposes that rest on a legal "
        "obligation alone; each page is recorded.",
        directives=needs("read", "order.*"),
    )
    async def retained_records(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="How many to give, 1 to 100.")] = 25,
        after: Annotated[str | None, strawberry.argument(description="The `endCursor` of the page before.")] = None,
    ) -> RetainedRecordConnection:
        """One page of records."""
        context = info.context
        services = context.services
        reader = RetainedReader(services.eraser.retained, services.vault, services.policies().catalogue)
        records, more = await reader.page(context.access, after=_position(context, after), limit=first_of(first))
        return RetainedRecordConnection(
            nodes=[_node(each) for each in records],
            page_info=PageInfo(
                has_next_page=more,
                has_previous_page=after is not None,
                start_cursor=_cursor(context, records[0].seq) if records else None,
                end_cursor=_cursor(context, records[-1].seq) if records else None,
            ),
        )


def _node(record: Shown) -> RetainedRecord:
    return RetainedRecord(
        id=strawberry.ID(record.id),
        object=record.object,
        rule=record.rule,
        law=record.law,
        kept_until=Timestamp(timestamp(record.until)),
        values=[RetainedValue(field=path, value=value) for path, value in sorted(record.values.items())],
    )


def _binding(context: RequestContext) -> bytes:
    return f"retained {context.caller.actor} {context.access.grant.purpose.name}".encode()


def _cursor(context: RequestContext, seq: int) -> str:
    return context.services.vault.seal_token("cursor", str(seq).encode(), _binding(context))


def _position(context: RequestContext, cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        return int(context.services.vault.open_token("cursor", cursor, _binding(context)))
    except ValueError:
        raise CursorInvalidError from None
