"""Who may be whom: record linkage by probability, after Fellegi and Sunter (1969).

`prepare` takes a person's fields apart; `texts` gives what a keyed index finds likely pairs by; a `Scorer` says what
it thinks of a pair and why; `learn` makes its parameters from what a base shows. Pure: no database, no key, no clock.
"""

from customers.identity.matching.blocking import FIXES, Rule, combinations, shared, text_rules, texts
from customers.identity.matching.clustering import Outcome, cluster, may_join, one_to_one
from customers.identity.matching.comparisons import Comparison, Evidence, Level, compare, words_for
from customers.identity.matching.errors import MatchingError, ParametersInvalidError
from customers.identity.matching.learning import Observations, Report, learn
from customers.identity.matching.model import STARTING, Parameters, probability
from customers.identity.matching.pairs import (
    RANDOM_PAIRS,
    Scored,
    candidates,
    learn_from,
    observe,
    random_pairs,
    scored,
)
from customers.identity.matching.person import Field, Person, prepare
from customers.identity.matching.scoring import Decision, Guard, Score, Scorer, Thresholds

__all__ = [
    "FIXES",
    "RANDOM_PAIRS",
    "STARTING",
    "Comparison",
    "Decision",
    "Evidence",
    "Field",
    "Guard",
    "Level",
    "MatchingError",
    "Observations",
    "Outcome",
    "Parameters",
    "ParametersInvalidError",
    "Person",
    "Report",
    "Rule",
    "Score",
    "Scored",
    "Scorer",
    "Thresholds",
    "candidates",
    "cluster",
    "combinations",
    "compare",
    "learn",
    "learn_from",
    "may_join",
    "observe",
    "one_to_one",
    "prepare",
    "probability",
    "random_pairs",
    "scored",
    "shared",
    "text_rules",
    "texts",
    "words_for",
]
