"""m and the prior learnt by expectation maximisation, u from pairs taken at random; no pair needs to be labelled.

A pair is compared because it agreed on something, so what made it a candidate says nothing about how often fields
agree. Hence every blocking rule is a group of its own with its own share of matches, and teaches only the fields it
does not fix. What is learnt is weighed against what was believed before (Dirichlet priors), so a small base moves a
little and a level never seen does not become impossible. Pure; only counts of agreement patterns are needed.

A. P. Dempster, N. M. Laird, D. B. Rubin, JRSS B 39 (1977), 1-38; W. E. Winkler, Census Bureau RR 2000-05.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log

from customers.identity.matching.comparisons import LEVELS, Comparison, Level
from customers.identity.matching.frequencies import Frequencies, Terms
from customers.identity.matching.model import FIELDS, STARTING, Parameters
from customers.identity.matching.person import Field
from customers.identity.matching.starting import SHARED, Table

__all__ = ["Fit", "Group", "Observations", "Report", "fit", "learn"]

STRENGTH = 20.0
"""How many pairs of one person it takes to move m half way from what was believed."""
STRANGERS = 200.0
"""How many pairs of strangers it takes to move u half way."""
_FEWEST = 10.0
"""Pairs of one person that must be expected for m to be moved at all."""
_ROUNDS = 200
_STILL = 1e-5
_MOST_ALIKE = 0.05
"""No base is taken to hold one person in every twenty pairs."""

Seen = tuple[Field, Level]


@dataclass(frozen=True, slots=True)
class Group:
    """The patterns of the pairs that one rule gave, how often each was seen, and the fields the rule fixed."""

    patterns: Mapping[Comparison, int]
    fixed: frozenset[Field] = frozenset()


@dataclass(frozen=True, slots=True)
class Fit:
    """What expectation maximisation came to."""

    m: Table
    shares: tuple[float, ...]
    """The share of matches in each group."""
    expected: float
    """The pairs of one person expected in all groups together; a pair in two groups counts twice."""
    rounds: int
    converged: bool


@dataclass(slots=True)
class Observations:
    """All that learning needs of a base, gathered pair by pair; no values but the counts of terms.

    `pairs` is how many pairs the base has, compared or not.
    """

    records: int = 0
    pairs: int = 0
    by_rule: dict[frozenset[Field], Counter[Comparison]] = field(default_factory=dict)
    candidates: Counter[Comparison] = field(default_factory=Counter)
    random: Counter[Comparison] = field(default_factory=Counter)
    terms: Terms = field(default_factory=Terms)

    def add_candidate(self, comparison: Comparison, fixed: Iterable[frozenset[Field]]) -> None:
        """Count a candidate pair once, and once for each set of fields that a rule which gave it fixes."""
        self.candidates[comparison] += 1
        for each in fixed:
            self.by_rule.setdefault(each, Counter())[comparison] += 1

    def groups(self) -> list[Group]:
        """The patterns of each rule."""
        return [Group(patterns, fixed) for fixed, patterns in self.by_rule.items()]


@dataclass(frozen=True, slots=True)
class Report:
    """How learning went."""

    learnt: bool
    """False when there was too little to learn from, or it did not settle: then m is what was believed before."""
    converged: bool
    rounds: int
    expected: float
    """The pairs of one person expected among the candidates."""
    kept: frozenset[Field]
    """Fields whose m was left alone, because agreement would have counted against one person, or the reverse."""


def learn(seen: Observations, start: Parameters = STARTING) -> tuple[Parameters, Report]:
    """Learn the parameters of a base from its candidate pairs, random pairs and values.

    Random pairs hold a few matches too, which would make rare agreement look common; so u is taken twice, the second
    time without the matches that the first expects.
    """
    learnt = replace(start, u=_strangers(seen, start), records=seen.records)
    groups = seen.groups()
    fitted = Fit(start.m, (), 0.0, 0, converged=True)
    for _ in range(2):
        fitted = fit(groups, learnt)
        if not fitted.converged or fitted.expected < _FEWEST:
            fitted = replace(fitted, m=start.m)
        learnt = replace(learnt, m=fitted.m, prior=_prior(seen, replace(learnt, m=fitted.m)))
        matches = learnt.prior * seen.pairs
        twice = {each: 2 * matches / max(seen.records, 1) * _agreeing(learnt.m, each) for each in FIELDS}
        known = dict(seen.terms.frequencies(twice))
        learnt = replace(learnt, frequencies=known, u=_strangers(seen, learnt, known))
    kept = frozenset(each for each in FIELDS if not _makes_sense(learnt, each))
    if kept:
        learnt = replace(learnt, m={each: (start.m if each in kept else learnt.m)[each] for each in FIELDS})
    learnt = replace(learnt, prior=_prior(seen, learnt))
    enough = fitted.converged and fitted.expected >= _FEWEST
    return learnt, Report(enough, fitted.converged, fitted.rounds, learnt.prior * seen.pairs, kept)


def fit(groups: Sequence[Group], start: Parameters, *, strength: float = STRENGTH) -> Fit:
    """Find the m, and the share of matches in each group, that make the patterns seen most likely; u stays.

    Args:
        groups: The patterns; their fixed fields are left out.
        start: Where to start, what to weigh the evidence against, and u.
        strength: How many pairs `start.m` is worth.
    """
    rows = [_rows(each, start) for each in groups]
    m: dict[Field, dict[Level, float]] = {each: dict(start.m[each]) for each in FIELDS}
    shares = [0.1] * len(groups)
    expected, before = 0.0, float("-inf")
    for done in range(1, _ROUNDS + 1):
        counts: dict[Seen, float] = dict.fromkeys(((each, level) for each in FIELDS for level in LEVELS[each]), 0.0)
        shares, expected, likelihood = _expect(rows, m, shares, counts)
        likelihood += strength * sum(start.m[f][level] * log(m[f][level]) for f, level in counts if start.m[f][level])
        m = {each: _mean(each, counts, start.m[each], strength) for each in FIELDS}
        if likelihood - before < _STILL * max(1.0, expected):
            return Fit(m, tuple(shares), expected, done, converged=True)
        before = likelihood
    return Fit(m, tuple(shares), expected, _ROUNDS, converged=False)


Row = tuple[tuple[Seen, ...], float, int]
"""What a pattern shows outside its fixed fields, its probability between two people, and how often it was seen."""


def _rows(group: Group, parameters: Parameters) -> list[Row]:
    rows: Counter[tuple[tuple[Seen, ...], float]] = Counter()
    for comparison, count in group.patterns.items():
        shown, likely = _shown(comparison, group.fixed, parameters)
        rows[shown, likely] += count
    return [(shown, likely, count) for (shown, likely), count in rows.items()]


def _shown(comparison: Comparison, fixed: frozenset[Field], parameters: Parameters) -> tuple[tuple[Seen, ...], float]:
    shown = tuple(
        (each, level)
        for each, level in zip(FIELDS, comparison.levels, strict=True)
        if level is not None and each not in fixed
    )
    likely = 1.0
    for each, level in shown:
        likely *= (parameters.household if comparison.as_kin(each) else parameters.u)[each][level]
    return shown, likely


def _expect(
    rows: Sequence[Sequence[Row]], m: Table, shares: Sequence[float], counts: dict[Seen, float]
) -> tuple[list[float], float, float]:
    """The expectation step: adds to `counts`, gives the new shares, the matches expected, and the likelihood so far."""
    updated, expected, likelihood = [], 0.0, 0.0
    flat = {(each, level): share for each, levels in m.items() for level, share in levels.items()}
    for group, share in zip(rows, shares, strict=True):
        matches, total = 0.0, 0
        for shown, strangers, count in group:
            one = share
            for key in shown:
                one *= flat[key]
            both = one + (1 - share) * strangers
            if both <= 0:
                continue
            likely = one / both * count
            likelihood += count * log(both)
            matches += likely
            total += count
            for key in shown:
                counts[key] += likely
        expected += matches
        # Half a pair of each kind is taken to have been seen, so that a share never becomes 0 or 1 for good.
        updated.append((matches + 0.5) / (total + 1))
    return updated, expected, likelihood


def _mean(
    which: Field, counts: Mapping[Seen, float], before: Mapping[Level, float], strength: float
) -> dict[Level, float]:
    total = sum(counts[which, level] for level in before) + strength
    return {level: (counts[which, level] + strength * share) / total for level, share in before.items()}


def _strangers(
    seen: Observations, parameters: Parameters, known: Mapping[Field, Frequencies] | None = None
) -> dict[Field, dict[Level, float]]:
    """u: what random pairs show, less the matches among them; the same name or birth date from counts of values."""
    shown: dict[Field, Counter[Level]] = {each: Counter() for each in FIELDS}
    for comparison, count in seen.random.items():
        for each, level in zip(FIELDS, comparison.levels, strict=True):
            if level is not None:
                shown[each][level] += count
    u = {each: _share(each, shown[each], parameters) for each in FIELDS}
    for each, frequencies in (known or {}).items():
        if each is not Field.ADDRESS:
            u[each] = _with(u[each], Level.SAME, frequencies.mean)
    for each, others in SHARED.items():
        least = others / max(seen.records, 1)
        u[each] = _with(u[each], Level.SAME, max(u[each][Level.SAME], least))
    return u


def _share(which: Field, shown: Mapping[Level, int], parameters: Parameters) -> dict[Level, float]:
    believed = STARTING.u[which]
    total = sum(shown.values()) * (1 - parameters.prior)
    strangers = {
        level: max(shown.get(level, 0) - sum(shown.values()) * parameters.prior * parameters.m[which][level], 0.0)
        for level in believed
    }
    # So many pairs cannot tell anything rarer than once in them from what was believed.
    shares = {
        level: max((strangers[level] + STRANGERS * share) / (total + STRANGERS), min(share, 0.5 / (total + 1)))
        for level, share in believed.items()
    }
    whole = sum(shares.values())
    return {level: share / whole for level, share in shares.items()}


def _with(levels: Mapping[Level, float], level: Level, share: float) -> dict[Level, float]:
    """The same probabilities with one of them set, the others making room in proportion."""
    share = min(share, 0.5)
    room = (1 - share) / (1 - levels[level])
    return {each: share if each is level else other * room for each, other in levels.items()}


def _prior(seen: Observations, parameters: Parameters) -> float:
    """The prior under which the candidates hold as many matches as it says; pairs that are no candidates hold none."""
    if not seen.pairs:
        return parameters.prior
    odds: Counter[float] = Counter()
    for comparison, count in seen.candidates.items():
        shown, strangers = _shown(comparison, frozenset(), parameters)
        ratio = 1.0
        for each, level in shown:
            ratio *= parameters.m[each][level]
        odds[ratio / max(strangers, 1e-300)] += count
    prior = 1 / max(seen.records, 2)
    for _ in range(_ROUNDS):
        matches = sum(count * prior * ratio / (prior * ratio + 1 - prior) for ratio, count in odds.items())
        updated = min(max(matches, 1.0) / seen.pairs, _MOST_ALIKE)
        if abs(updated - prior) <= _STILL * prior:
            break
        prior = updated
    return prior


def _agreeing(m: Table, which: Field) -> float:
    return m[which].get(Level.SAME, 0.0)


def _makes_sense(parameters: Parameters, which: Field) -> bool:
    """Whether the same counts for one person, and different against."""
    return parameters.bits(which, Level.SAME) > 0 > parameters.bits(which, Level.DIFFERENT)
