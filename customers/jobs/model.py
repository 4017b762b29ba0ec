"""What a job is, and when a failed one is tried again. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """How far a job has come. The values are stored; they may not be changed or reused."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    """Given up on: a person looks at it, and revives it or lets it be."""


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Attributes:
        id: `kind:key`. Adding a job that is known, also one that is done, adds nothing.
        kind: which handler it is for.
        about: the customers it is about, with whom it goes when they are erased.
        payload: what the handler needs: names and numbers, never a personal value.
        due: not before this.
        state: how far it has come.
        attempt: how often it was begun, this time included.
        fence: grows each time it is taken, so that one who lost it changes nothing any more.
        failure: why it failed last, as a code.
    """

    id: str
    kind: str
    about: tuple[str, ...]
    payload: Mapping[str, Any] = field(repr=False)
    due: datetime
    state: JobState
    attempt: int
    fence: int
    failure: str | None


class JobFailedError(Exception):
    """It did not work this time.

    Args:
        code: Why, in a word that may be stored and shown.
        after: Wait at least so long, because the other side said so.
    """

    def __init__(self, code: str, after: timedelta = timedelta(0)) -> None:
        super().__init__(code)
        self.code = code
        self.after = after


class JobHopelessError(JobFailedError):
    """It will never work: it is not tried again until a person revives it."""


class JobPostponedError(Exception):
    """Nothing went wrong; it is not time yet."""

    def __init__(self, until: datetime) -> None:
        super().__init__("later")
        self.until = until


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a failed job is tried again, and how long it waits: twice as long each time.

    Attributes:
        most: attempts before it is given up on.
        first: what it waits about after the first.
        longest: what it waits about at most.
    """

    most: int = 12
    first: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=6)

    def pause(self, attempt: int, random: Callable[[int], bytes]) -> timedelta:
        """How long to wait after so many attempts: between half and one and a half of what it comes to.

        By chance, so that what failed together is not tried again together.
        """
        whole = min(self.first * (1 << min(attempt - 1, 30)), self.longest)
        return whole * (0.5 + int.from_bytes(random(4)) / 2**32)
