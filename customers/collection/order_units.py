"""Which rows of a file are one order: those next to each other that have the same number. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from customers.collection.model import Fault
from customers.collection.records import MAX_LINES, Record


def order_units(
    records: Iterable[Record], number_of: Callable[[Record], str | None], *, several: bool
) -> Iterator[tuple[Record, ...]]:
    """The rows of each order, in the order of the file; never more than a bounded number of rows is held.

    A row that cannot be read, or has no number, might be a part of the order before it or of the one after it. Where
    orders have several rows it is therefore put with the one before, which is then not whole, and the rows of the one
    after are marked as refused.

    Args:
        records: The rows.
        number_of: The order's number as it stands in a row; None where it has none.
        several: Whether orders have several rows in such a file.
    """
    held: list[Record] = []
    number: str | None = None
    refused: Fault | None = None
    doubt = False
    for record in records:
        its = None if record.fault else number_of(record)
        if its is None:
            if held and (not several or len(held) >= MAX_LINES):
                yield tuple(held)
                held = []
            held.append(record)
            doubt = several
            number = number if several else None
            continue
        if its != number:
            if held:
                yield tuple(held)
            held, number = [], its
            refused = Fault.LINE_REFUSED if doubt else None
        doubt = False
        held.append(record if refused is None else replace(record, fault=refused, position=0))
        if refused is Fault.TOO_MANY_LINES or len(held) > MAX_LINES:
            refused = Fault.TOO_MANY_LINES
            yield tuple(replace(each, fault=refused, position=0) for each in held)
            held = []
    if held:
        yield tuple(held)
