"""The CDNOW sample: the real purchases of 2,357 customers of a record shop, January 1997 to June 1998.

Published by Fader and Hardie (Interfaces 31, 2001, with the permission of CDNOW); a tenth of the cohort that first
bought in the first quarter of 1997. It is read as a plain file out of the wheel that ships it, never importing it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib import metadata
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from server.demo.errors import DemoDataMissingError

_FILE = "lifetimes/datasets/CDNOW_sample.txt"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One row of the sample: the day, how many discs, and what they cost in cents."""

    day: date
    units: int
    total_minor: int


def sample_file() -> Path:
    """Where the sample lies in the installed wheel.

    Raises:
        DemoDataMissingError: The wheel is not installed, or no longer holds the file.
    """
    try:
        files = metadata.files("lifetimes") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.as_posix() == _FILE and (path := Path(str(file.locate()))).is_file():
            return path
    raise DemoDataMissingError("the CDNOW sample is not installed: run scripts/setup demo")


def purchases(path: Path) -> Iterator[tuple[str, tuple[Purchase, ...]]]:
    """The five-digit number of each customer with their purchases, oldest first."""
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    for customer, own in groupby(rows, key=itemgetter(0)):
        yield customer, tuple(sorted((_purchase(row) for row in own), key=lambda each: each.day))


def _purchase(row: list[str]) -> Purchase:
    _, _, day, units, dollars = row
    return Purchase(date.fromisoformat(day), int(units), int(Decimal(dollars) * 100))
