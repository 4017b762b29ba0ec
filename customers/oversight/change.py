"""What another policy decides otherwise."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from policies import Action


class Level(IntEnum):
    """How much leaves, in order; the names are those of both packages' verdicts."""

    WITHHELD = 0
    MASKED = 1
    CLEAR = 2


class Direction(StrEnum):
    """Whether another policy shows more, less, or more of some customers and less of others."""

    MORE = "more"
    LESS = "less"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Change:
    """One decision that another policy makes otherwise.

    Attributes:
        roles, purpose: As recorded.
        action: What was done with the field.
        field: Its path; None where the whole request is decided otherwise.
        before, after: What was decided and what would have been, in words.
        old_rule, new_rule: The rules that decide; None for the default deny, or where that is not known.
        direction: Whether more or less would have been seen.
    """

    roles: tuple[str, ...]
    purpose: str
    action: Action
    field: str | None
    before: str
    after: str
    old_rule: int | None
    new_rule: int | None
    direction: Direction
