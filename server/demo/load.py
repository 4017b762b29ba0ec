"""Loading the demo company into a database, through whatever can write a batch of its customers."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Protocol

from server.demo.model import DemoCustomer

BATCH = 100


class DemoWriter(Protocol):
    """Writes customers with everything they have; a batch is written whole or the call raises."""

    async def write(self, batch: Sequence[DemoCustomer]) -> None:
        """Write these customers, none of whom was written before."""


async def load(
    company: Iterable[DemoCustomer], writer: DemoWriter, progress: Callable[[int], None] | None = None
) -> int:
    """Write the company in batches of 100 and say how many customers were written.

    `progress` is called after each batch with how many have been written so far. Whatever the writer raises ends the
    load; batches before it stay written.
    """
    written = 0
    customers = iter(company)
    while batch := tuple(islice(customers, BATCH)):
        await writer.write(batch)
        written += len(batch)
        if progress:
            progress(written)
    return written
