"""Counting distinct customers by their audit references, exactly and in little memory.

Each reference gets a number when it is first met, and whatever is to be counted holds one bit for each number. So the
memory is that of the distinct references, about 180 bytes each, and not of the records that name them.
"""

from collections.abc import Iterable


class References:
    """The references met so far, numbered from 0 in the order in which they were met."""

    __slots__ = ("_joined", "_next", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._next = 0
        self._joined = 0

    def number(self, reference: str) -> int:
        """The reference's number, a new one where it is met for the first time."""
        found = self._numbers.setdefault(reference, self._next)
        if found == self._next:
            self._next += 1
        return found

    def find(self, reference: str) -> int | None:
        """The reference's number; None where it was never met."""
        return self._numbers.get(reference)

    def join(self, part: str, person: str) -> tuple[int, int] | None:
        """Have a reference that was met count as another one, met or not.

        Returns:
            The number that was the first one's alone, if it had one of its own, and the one that is both's now: what
            holds the first is to hold the second instead (`Marks.move`).
        """
        old = self._numbers[part]
        new = self._numbers.setdefault(person, old)
        if old == new:
            return None
        self._numbers[part] = new
        self._joined += 1
        return old, new

    def __len__(self) -> int:
        """How many there are, those that were joined counted once."""
        return self._next - self._joined


class Marks:
    """A set of numbers, one bit for each up to the highest; `len` says how many are in it."""

    __slots__ = ("_bits",)

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        """Put a number into the set."""
        at = number >> 3
        if at >= len(self._bits):
            self._bits.extend(bytes(at + 1 + len(self._bits) // 8 - len(self._bits)))
        self._bits[at] |= 1 << (number & 7)

    def merge(self, other: "Marks") -> None:
        """Put every number of another set into this one."""
        both = int(self) | int(other)
        self._bits = bytearray(both.to_bytes(both.bit_length() // 8 + 1, "little"))

    def move(self, old: int, new: int) -> None:
        """Have the one number instead of the other, where that is in the set."""
        if old in self:
            self._bits[old >> 3] &= ~(1 << (old & 7))
            self.add(new)

    def __int__(self) -> int:
        """The set as one number, whose bits are what is in it."""
        return int.from_bytes(self._bits, "little")

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return at < len(self._bits) and bool(self._bits[at] >> (number & 7) & 1)

    def __len__(self) -> int:
        return int(self).bit_count()

    def __bool__(self) -> bool:
        return any(self._bits)


def union(sets: Iterable[Marks]) -> Marks:
    """Every number that is in one of the sets."""
    found = Marks()
    for each in sets:
        found.merge(each)
    return found
