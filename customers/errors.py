"""What can go wrong while working with customers.

CustomersError
├── ProfileNotFoundError
├── ProfileConflictError
├── IdentifierTakenError
├── IdentifierUnprovenError
├── InputInvalidError
├── PurposeError
│   ├── PurposeRequiredError
│   ├── PurposeUnknownError
│   └── PurposeNotAllowedError
├── FieldsNotAllowedError
│   ├── ExportNotAllowedError
│   ├── FilterNotAllowedError
│   ├── ReadNotAllowedError
│   ├── SortNotAllowedError
│   └── WriteNotAllowedError
├── EraseNotAllowedError
├── CertificateError
│   ├── CertificateInvalidError
│   └── CertificateNotProvedError
├── BreakGlassError
│   ├── BreakGlassNotFoundError
│   ├── BreakGlassNotPossibleError
│   └── BreakGlassSpentError
├── ExportsBusyError
├── CursorInvalidError
├── NoticeChangedError
├── UnsubscribeInvalidError
├── MergeNotPossibleError
├── IdentityBusyError
├── IntakeBusyError
├── SourceError
│   ├── SourceNotFoundError
│   └── SourceTakenError
├── ImportFileError
│   ├── MappingInvalidError
│   └── HeaderInvalidError
└── ImportStoppedError
"""

from collections.abc import Iterable
from dataclasses import dataclass


class CustomersError(Exception):
    """Anything this package raises; its text never holds an input or a stored value."""


class ProfileNotFoundError(CustomersError):
    """There is no such profile, or the caller may not know that there is; the two are told apart by nobody."""

    def __init__(self) -> None:
        super().__init__("there is no such profile")


class ProfileConflictError(CustomersError):
    """The profile changed since the caller read it; nothing was written."""

    def __init__(self) -> None:
        super().__init__("the profile has changed since it was read; read it again and retry")


class IdentifierTakenError(CustomersError):
    """Another profile already has this identifier; `index` is which kind it was."""

    def __init__(self, index: str) -> None:
        super().__init__(f"another profile already has this {index}")
        self.index = index


class IdentifierUnprovenError(CustomersError):
    """A customer has identifiers only because a sender said so whom nobody need believe; another may have them."""

    def __init__(self) -> None:
        super().__init__("an identifier of the customer was never proved")


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of an input: its name and a sentence, never its value."""

    field: str
    problem: str


class InputInvalidError(CustomersError):
    """An input breaks the rules of its fields; `problems` lists every one that was found."""

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{each.field}: {each.problem}" for each in self.problems))


class PurposeError(CustomersError):
    """The reason for asking does not allow an answer."""


class PurposeRequiredError(PurposeError):
    """No purpose was stated."""

    def __init__(self) -> None:
        super().__init__("state a purpose: personal data is never read without one")


class PurposeUnknownError(PurposeError):
    """The stated purpose is not in the vocabulary."""

    def __init__(self) -> None:
        super().__init__("the stated purpose is not one that the policy knows")


class PurposeNotAllowedError(PurposeError):
    """The caller may not state this purpose."""

    def __init__(self) -> None:
        super().__init__("the caller may not act for this purpose")


class FieldsNotAllowedError(CustomersError):
    """The caller may not do this with some fields; `paths` are their names in the catalogue, sorted."""

    action = "use"

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(sorted(set(paths)))
        super().__init__(f"for this purpose the caller may not {self.action} {', '.join(self.paths)}")


class ExportNotAllowedError(FieldsNotAllowedError):
    """These fields may not leave in a file of this caller's."""

    action = "export"


class FilterNotAllowedError(FieldsNotAllowedError):
    """Filtering by a field is reading it, and the caller may not."""

    action = "filter by"


class ReadNotAllowedError(FieldsNotAllowedError):
    """What is asked for cannot be told without these fields, and the caller may not read them."""

    action = "read"


class SortNotAllowedError(FieldsNotAllowedError):
    """Sorting by a field is reading it, and the caller may not."""

    action = "sort by"


class WriteNotAllowedError(FieldsNotAllowedError):
    """The caller may not write these fields; nothing was written."""

    action = "write"


class EraseNotAllowedError(CustomersError):
    """The caller may not erase this customer; nothing was erased."""

    def __init__(self) -> None:
        super().__init__("for this purpose the caller may not erase a customer")


class BreakGlassError(CustomersError):
    """The glass is not broken, or its opening not changed."""


class BreakGlassNotFoundError(BreakGlassError):
    """There is no such opening, or none that the caller may know of."""

    def __init__(self) -> None:
        super().__init__("there is no such opening")


class BreakGlassNotPossibleError(BreakGlassError):
    """As things stand this cannot be done; `why` says it in constant words."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class BreakGlassSpentError(BreakGlassError):
    """As many customers were seen by this opening as one opening is for; nothing of these was shown.

    Args:
        most: How many that are.
    """

    def __init__(self, most: int) -> None:
        super().__init__("this opening of the glass shows no more customers")
        self.most = most


class CertificateError(CustomersError):
    """A certificate of an erasure does not say what it should."""


class CertificateInvalidError(CertificateError):
    """These bytes are no certificate."""

    def __init__(self) -> None:
        super().__init__("not the canonical bytes of a certificate of an erasure")


class CertificateNotProvedError(CertificateError):
    """The receipt does not prove the certificate; the text says why."""


class ExportsBusyError(CustomersError):
    """The caller has as many unfinished exports as one may have; `most` is how many."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} exports are not finished yet: wait for one, or cancel one")
        self.most = most


class CursorInvalidError(CustomersError):
    """A cursor was altered, is too old, or belongs to another query or caller."""

    def __init__(self) -> None:
        super().__init__("the cursor is not valid for this query; start again without it")


class NoticeChangedError(CustomersError):
    """There is another text under this notice's name, version and language; a text that was shown is never changed."""

    def __init__(self) -> None:
        super().__init__("a notice is never changed; publish its text under a new version")


class UnsubscribeInvalidError(CustomersError):
    """A token that unsubscribes nobody: of whatever kind it is, the same is said."""

    def __init__(self) -> None:
        super().__init__("this link does not unsubscribe anybody")


class MergeNotPossibleError(CustomersError):
    """Two profiles cannot be joined, or not be taken apart; nothing was changed. `why` is a constant sentence."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class IdentityBusyError(CustomersError):
    """Somebody is being made or changed by others at this moment; nothing was written, and it may be tried again."""

    def __init__(self) -> None:
        super().__init__("somebody these are about is being made or changed at this moment; try again")


class ImportFileError(CustomersError):
    """A file cannot be imported as a whole; no row of it was written by this run."""


class MappingInvalidError(ImportFileError):
    """A mapping cannot be used; `problems` lists every fault that was found in it."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class HeaderInvalidError(ImportFileError):
    """The columns of a file do not fit; columns are named by position, for a missing header makes values of them."""


class ImportStoppedError(CustomersError):
    """An import ended early; every row before `resume_from` has been dealt with, and none from it on.

    The cause is chained: what the writer raised, or why the file could not be read further.
    """

    def __init__(self, resume_from: int, why: str) -> None:
        super().__init__(f"{why}; every row before row {resume_from} is done")
        self.resume_from = resume_from


class IntakeBusyError(CustomersError):
    """More events are arriving than can be stored: nothing was acknowledged, and all may be sent again.

    `retry_after` is when to, in seconds. What of it was stored all the same is known again by its message ids.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("more events are arriving than can be stored right now; send these again a little later")
        self.retry_after = retry_after


class SourceError(CustomersError):
    """Something about a source of events."""


class SourceNotFoundError(SourceError):
    """There is no source of this name."""

    def __init__(self) -> None:
        super().__init__("there is no source of this name; list them, or make one")


class SourceTakenError(SourceError):
    """There is a source of this name already."""

    def __init__(self) -> None:
        super().__init__("there is a source of this name already; rotate its key, or choose another name")
