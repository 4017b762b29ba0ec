"""What one run over the candidate index has seen of it, so that it looks nothing up twice.

Holds ids and keyed tokens and never a combination. Right as long as nobody else gives slots away meanwhile: the runs over a
base take turns, and whoever erases only takes rows away. So a block may name somebody who is gone, whose key nobody gets
any more. Pure.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

__all__ = ["ROWS", "KnownBlocks"]

ROWS: Final = 250_000
"""How many rows of the index are remembered at most: some 50 MiB."""


class KnownBlocks:
    """Blocks by the token of their first slot, up to a number of rows; what is beyond is looked up each time."""

    def __init__(self, most: int = ROWS) -> None:
        """Nothing is known yet; `most` is how many rows it becomes."""
        self._most = most
        self._rows = 0
        self._blocks: dict[bytes, tuple[str | None, ...]] = {}
        self._of: dict[str, tuple[bytes, ...]] = {}

    @property
    def rows(self) -> int:
        """How many rows are remembered."""
        return self._rows

    def get(self, first: bytes) -> dict[int, str] | None:
        """Customers by slot of the block whose first slot has this token; None where it is not known."""
        block = self._blocks.get(first)
        return None if block is None else {slot: each for slot, each in enumerate(block) if each is not None}

    def put(self, first: bytes, block: Mapping[int, str]) -> None:
        """Remember a whole block as it is now; one that there is no room for is not known afterwards."""
        held = tuple(block.get(slot) for slot in range(max(block) + 1)) if block else ()
        self._drop(first)
        if self._rows + len(held) + 1 <= self._most:
            self._blocks[first] = held
            self._rows += len(held) + 1

    def put_customer(self, customer_id: str, firsts: Sequence[bytes]) -> None:
        """Remember in which blocks a customer is, if all of those are known."""
        self._of.pop(customer_id, None)
        if all(each in self._blocks for each in firsts):
            self._of[customer_id] = tuple(firsts)

    def sharing(self, customer_id: str, most: int) -> set[str] | None:
        """Who shares a block with a customer; None where that is not known.

        Args:
            customer_id: The customer.
            most: Of blocks with more customers than that nobody counts.
        """
        firsts = self._of.get(customer_id)
        if firsts is None:
            return None
        found: set[str] = set()
        for first in firsts:
            block = self._blocks.get(first)
            if block is None:
                return None
            members = [each for each in block if each is not None]
            if len(members) <= most:
                found.update(members)
        found.discard(customer_id)
        return found

    def forget(self, firsts: Iterable[bytes]) -> None:
        """Know nothing of these blocks: somebody else may have written to them."""
        for first in firsts:
            self._drop(first)

    def forget_customers(self, customer_ids: Collection[str]) -> None:
        """Know nothing of any block that names one of these: they may not be in it any more."""
        gone = set(customer_ids)
        for each in gone:
            self._of.pop(each, None)
        for first in [first for first, block in self._blocks.items() if not gone.isdisjoint(block)]:
            self._drop(first)

    def _drop(self, first: bytes) -> None:
        block = self._blocks.pop(first, None)
        if block is not None:
            self._rows -= len(block) + 1
