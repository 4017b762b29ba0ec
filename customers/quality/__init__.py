"""Data quality: how complete, right and fresh profiles are; what could be put right, and who may be there twice.

`judge` and `suggestions` are pure. `make_report` reads the whole base through the gateway; `Corrections` is what a person
does with what it suggests. docs/data-quality.md describes it.
"""

from customers.quality.corrections import Corrections, Shown, ShownPage
from customers.quality.days import FEWEST, DayStore, Duplicates, FieldCount, Means, Report, told
from customers.quality.errors import CorrectionGoneError, ReportRunningError
from customers.quality.looking import quality_of
from customers.quality.queue import Correction, CorrectionQueue
from customers.quality.report import PURPOSE, ROLE, make_report
from customers.quality.rules import Issue, IssueKind, Quality, judge
from customers.quality.service import QualityService
from customers.quality.standards import Standards, load_standards, parse_standards
from customers.spelling import Suggestion, SuggestionKind, suggestions

__all__ = [
    "FEWEST",
    "PURPOSE",
    "ROLE",
    "Correction",
    "CorrectionGoneError",
    "CorrectionQueue",
    "Corrections",
    "DayStore",
    "Duplicates",
    "FieldCount",
    "Issue",
    "IssueKind",
    "Means",
    "Quality",
    "QualityService",
    "Report",
    "ReportRunningError",
    "Shown",
    "ShownPage",
    "Standards",
    "Suggestion",
    "SuggestionKind",
    "judge",
    "load_standards",
    "make_report",
    "parse_standards",
    "quality_of",
    "suggestions",
    "told",
]
