"""A row as it stands in a file, before anybody asks what it means."""

from collections.abc import Mapping
from dataclasses import dataclass

from customers.collection.model import Fault, Raw

# Characters. A row may hold this many, line breaks and quotes counted, and a cell this many. The csv module has a
# limit of its own for cells, 131,072, which a row within ours cannot reach.
MAX_ROW = 131_072
MAX_CELL = 32_768
MAX_COLUMNS = 500
# Rows next to each other that are one order.
MAX_LINES = 500
# After so many quotes that were never closed the file is not what it was taken for.
MAX_UNCLOSED = 100


@dataclass(frozen=True, slots=True)
class Record:
    """A row: its number, the line it begins on, and its cells by column; or what is wrong with it.

    `position` is the column at fault, counted from 1, or 0 where the whole row is.
    """

    number: int
    line: int
    cells: Mapping[str, Raw]
    fault: Fault | None = None
    position: int = 0
