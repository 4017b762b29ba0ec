"""Adds up what is wrong, profile by profile; of anybody's values nothing stays. Pure."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime

from customers.quality.days import FEWEST, Duplicates, FieldCount, Means, Report, coarse
from customers.quality.rules import Quality, out_of_hundred
from customers.spelling import Suggestion

_BEST_AT_NONE = "staleness"
_PARTS = ("score", "completeness", "validity", _BEST_AT_NONE)


class Tally:
    """The sums of one report."""

    def __init__(self) -> None:
        self.profiles = 0
        self.not_allowed = 0
        self.damaged = 0
        self._sums: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self._issues: Counter[tuple[str, str]] = Counter()
        self._corrections: Counter[tuple[str, str]] = Counter()

    def add(self, quality: Quality, suggested: Iterable[Suggestion]) -> None:
        """Count one profile."""
        self.profiles += 1
        for part in _PARTS:
            value = getattr(quality, part)
            if value is not None:
                self._sums[part] += value
                self._counts[part] += 1
        self._issues.update({(each.field, each.kind.value) for each in quality.issues})
        self._corrections.update((each.field, each.kind.value) for each in suggested)

    def report(self, day: date, finished_at: datetime, policy: str, duplicates: Duplicates | None) -> Report:
        """What it comes to, as it may be kept."""
        return Report(
            day=day,
            finished_at=finished_at,
            policy=policy,
            profiles=coarse(self.profiles),
            not_allowed=coarse(self.not_allowed),
            damaged=coarse(self.damaged),
            means=Means(**{part: self._mean(part) for part in _PARTS}),
            issues=_listed(self._issues),
            corrections=_listed(self._corrections),
            duplicates=duplicates,
        )

    def _mean(self, part: str) -> int | None:
        """A mean of few would tell of each. The best there can be is only the mean of nothing but the best."""
        count, total = self._counts[part], self._sums[part]
        if count < FEWEST:
            return None
        if part == _BEST_AT_NONE:
            return 100 - out_of_hundred(100 * count - total, 100 * count)
        return out_of_hundred(total, 100 * count)


def _listed(counts: Counter[tuple[str, str]]) -> tuple[FieldCount, ...]:
    """The most frequent first; those too few for a number last, in the order of their names."""
    ordered = sorted(counts.items(), key=lambda each: (-(coarse(each[1]) or 0), each[0]))
    return tuple(FieldCount(field, kind, coarse(count)) for (field, kind), count in ordered)
