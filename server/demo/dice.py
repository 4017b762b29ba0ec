"""Chance that falls alike on every machine and every run."""

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws that depend on the seed alone.

    Only `Random.random()` is used, the one method whose sequence Python promises never to change for a given seed
    (library reference, "Notes on Reproducibility").
    """

    def __init__(self, *seed: object) -> None:
        # Not for secrets: the demo company must come out the same everywhere.
        self._random = random.Random("/".join(map(str, seed))).random  # noqa: S311 - see above

    def fraction(self) -> float:
        """A number from 0 up to, and without, 1."""
        return self._random()

    def chance(self, probability: float) -> bool:
        """True in this share of the cases."""
        return self._random() < probability

    def below(self, stop: int) -> int:
        """A whole number from 0 up to, and without, `stop`."""
        return int(self._random() * stop)

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as likely as the others."""
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the options, each as likely as its weight says."""
        marks = list(accumulate(weight for _, weight in options))
        mark = self._random() * marks[-1]
        return next((option for (option, _), top in zip(options, marks, strict=True) if mark < top), options[-1][0])

    def fill(self, pattern: str) -> str:
        """The pattern with a digit for each # and a letter for each @."""
        return "".join(
            str(self.below(10)) if sign == "#" else self.pick("ABDEFGHJLNPRSTUWXY") if sign == "@" else sign
            for sign in pattern
        )
