"""What a run over the base is told and tells. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What a run is at."""

    INDEXING = "indexing"
    LEARNING = "learning"
    COMPARING = "comparing"
    MERGING = "merging"


OnProgress = Callable[[Step, int, int], None]
"""Told how many of how many a step has done."""


@dataclass(slots=True)
class MatchReport:
    """What a run did; numbers of profiles but where said.

    Attributes:
        indexed: Opened to make their tokens.
        passed_over: Combinations that too many share to be worth comparing.
        compared: Looked at for candidates.
        pairs: Pairs that were compared.
        sure, grey: Pairs of people that are one for sure, and that somebody must look at; not those who were told apart.
        told_apart: Pairs of people that would be found, but a person said that they are two.
        opened: Cases opened.
        merged: Merges made.
        held: Sure pairs that were not joined: limits, a contradiction, or changed meanwhile. They wait for a person.
        parameters: Which parameters were used; 0 for those shipped.
        learnt: Whether they were learnt in this run.
        left: Changed profiles that a limit left for the next run.
        dry: Whether nothing was decided.
    """

    indexed: int = 0
    passed_over: int = 0
    compared: int = 0
    pairs: int = 0
    sure: int = 0
    grey: int = 0
    told_apart: int = 0
    opened: int = 0
    merged: int = 0
    held: int = 0
    parameters: int = 0
    learnt: bool = False
    left: int = 0
    dry: bool = False
