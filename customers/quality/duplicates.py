"""Which profiles may be one person's, over a whole base in bounded memory: no value is held from one page to the next.

While the base is walked, each person's combinations (`customers.identity.matching`) are kept as keyed digests alone, under
a key that only this run has and never writes down. Those that share one are candidates; the likeliest are read again, a
page at a time, and compared. In a base too large to keep every digest, a share of all combinations is kept, chosen by the
digest itself, so that whoever shares a chosen combination is found; the share is part of the report.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from typing import Final

from customers.identity.matching import Person, combinations

MOST_DIGESTS: Final = 1_000_000
"""What is kept of them: about 12 bytes each, and the ids of whoever has one."""
MOST_COMPARED: Final = 20_000
MOST_IN_BLOCK: Final = 20
"""A combination that more people share gives no candidates: it says too little, and pairs grow squarely."""
_MOST_PAIRS: Final = 500_000
_EACH: Final = 12
_WHOLE: Final = 2**64

Pair = tuple[str, str]


class Blocks:
    """The digests of one run.

    Args:
        people: How many there are at most.
        random: Gives the run's key.
        most: How many digests to keep at most.
    """

    def __init__(self, people: int, random: Callable[[int], bytes], *, most: int = MOST_DIGESTS) -> None:
        self._key = random(32)
        self._most = most
        self.share = min(1.0, most / max(1, _EACH * people))
        self._below = int(self.share * _WHOLE)
        self._digests = array("Q")
        self._owners = array("L")
        self._ids: list[str] = []

    def __len__(self) -> int:
        """How many digests are kept."""
        return len(self._digests)

    def add(self, customer_id: str, person: Person) -> None:
        """Keep what of a person's combinations is of the share."""
        kept = [each for each in {self._digest(each) for each in combinations(person)} if each < self._below]
        if not kept or len(self._digests) + len(kept) > self._most:
            return
        self._digests.extend(kept)
        self._owners.extend([len(self._ids)] * len(kept))
        self._ids.append(customer_id)

    def pairs(self) -> tuple[int, list[Pair]]:
        """How many pairs share a combination, and those worth comparing: who shares most, first."""
        shared: Counter[tuple[int, int]] = Counter()
        for owners in self._blocks():
            if len(shared) >= _MOST_PAIRS:
                break
            for number, right in enumerate(owners):
                shared.update((left, right) for left in owners[:number])
        found = [
            (self._ids[left], self._ids[right])
            for (left, right), _ in shared.most_common(MOST_COMPARED)
        ]  # fmt: skip
        return len(shared), found

    def _blocks(self) -> Iterator[Sequence[int]]:
        order = sorted(range(len(self._digests)), key=self._digests.__getitem__)
        start = 0
        for place in range(1, len(order) + 1):
            if place < len(order) and self._digests[order[place]] == self._digests[order[start]]:
                continue
            if 1 < place - start <= MOST_IN_BLOCK:
                yield sorted(self._owners[each] for each in order[start:place])
            start = place

    def _digest(self, combination: tuple[str, tuple[str, ...]]) -> int:
        rule, parts = combination
        state = blake2b("\x1f".join((rule, *parts)).encode("utf-8", "surrogatepass"), key=self._key, digest_size=8)
        return int.from_bytes(state.digest(), "big")


def batches(pairs: Sequence[Pair], most: int) -> Iterator[list[Pair]]:
    """The pairs in lists that name at most so many customers each (and at least one pair)."""
    batch: list[Pair] = []
    named: set[str] = set()
    for pair in sorted(pairs):
        if batch and len(named | set(pair)) > most:
            yield batch
            batch, named = [], set()
        batch.append(pair)
        named.update(pair)
    if batch:
        yield batch
