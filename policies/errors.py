"""What can go wrong with a policy.

PoliciesError
├── PolicyInvalidError      the files do not make a policy; lists every fault with its file and line
├── UnknownPurposeError     a decision was asked for a purpose the policy does not declare
├── UnknownRoleError        an explanation or a matrix was asked for a role the policy does not declare
└── UnknownFieldError       an explanation was asked for a field the catalogue does not declare

Messages name what the policy declares, never what the caller sent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class PoliciesError(Exception):
    """Anything this package raises."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in one policy file; `line` counts from 1, None where it concerns the whole file."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        """`rules.csv:12: what is wrong`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


class PolicyInvalidError(PoliciesError):
    """The policy files are not a policy. `faults` lists all of them, in file and line order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (fault.file, fault.line or 0, fault.message)))
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        listed = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"The policy has {count}; nothing was loaded.\n{listed}")


class _UnknownNameError(PoliciesError):
    """A name the policy does not declare; the message lists the ones it does."""

    noun = "name"

    def __init__(self, known: Iterable[str]) -> None:
        self.known = tuple(sorted(known))
        super().__init__(f"This policy has no such {self.noun}. It knows: {', '.join(self.known)}.")


class UnknownPurposeError(_UnknownNameError):
    """The purpose is not one of the policy's."""

    noun = "purpose"


class UnknownRoleError(_UnknownNameError):
    """The role is not one of the policy's."""

    noun = "role"


class UnknownFieldError(_UnknownNameError):
    """The field is not one of the catalogue's."""

    noun = "field"
