"""Orders and tickets of one person as one list, be they of one profile or of several that were merged. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from customers.access import Access, Known
from customers.profiles.joined import own_count
from customers.profiles.store import Collection, Document
from vault import DataKey

Place = int | tuple[tuple[str, int], ...]
"""Where a page goes on: below which ordinal, for each of the profiles that are one person."""

# What the lists of several profiles are put in one order by.
MOMENTS: Final[Mapping[Collection, str]] = {Collection.ORDERS: "placed_at", Collection.TICKETS: "opened_at"}


def tops_of(customer: Known, count: str, before: Place | None) -> dict[str, int]:
    """The highest ordinal to give of each profile of a person."""
    members = (customer.document, *(part.document for part in customer.parts))
    tops = {each["_id"]: own_count(each, count) for each in members}
    if isinstance(before, int):
        before = ((customer.document["_id"], before),)
    for member, ordinal in before or ():
        if member in tops:
            tops[member] = min(tops[member], ordinal - 1)
    return tops


def in_one_order(
    customer: Known,
    documents: Mapping[str, Sequence[Document]],
    tops: Mapping[str, int],
    moment: str | None,
    first: int,
) -> Iterator[tuple[DataKey, Document, Place]]:
    """The orders or tickets of all profiles of a person, with keys and positions.

    Each profile's own keep their order. Between them the later moment comes first; where the caller may not see moments
    the order must not tell them, and one profile's come after another's.
    """
    own: str = customer.document["_id"]
    if not customer.parts:
        for each in documents[own]:
            yield customer.key, each, each["ordinal"]
        return
    keys = {own: customer.key} | {part.document["_id"]: part.key for part in customer.parts}
    waiting = {member: list(reversed(documents[member])) for member in keys}
    reached = {member: tops[member] + 1 for member in keys}
    for _ in range(first):
        heads = [(member, queue[-1]) for member, queue in waiting.items() if queue]
        if not heads:
            return
        member = _latest(heads, moment)
        document = waiting[member].pop()
        reached[member] = document["ordinal"]
        yield keys[member], document, tuple(reached.items())


def _latest(heads: Sequence[tuple[str, Document]], moment: str | None) -> str:
    """Whose document is the latest; the first one's where the moment is not there, or not to be told."""
    if moment is not None:
        dated = [each for each in heads if each[1].get(moment) is not None]
        if dated:
            return max(dated, key=lambda each: each[1][moment])[0]
    return heads[0][0]


def binding(access: Access, collection: Collection, customer_id: str) -> bytes:
    """What a cursor of one customer's orders or tickets is bound to."""
    return msgspec.json.encode([access.caller.actor, access.grant.purpose.name, collection.value, customer_id])
