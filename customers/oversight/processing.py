"""The record of processing activities (GDPR Art. 30), out of what the platform goes by anyway. Pure.

Nothing of it is written by hand, so it cannot be out of date: purposes say why and for how long, rules say who works with
which categories, the catalogue says what they are and how they are kept, recipients are those that are told. What only
the company knows (who the controller's representative is, whether data leaves for a third country and on which ground) is
left open and said to be.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from audit import timestamp
from audit.spreadsheet import spreadsheet_safe
from policies import FieldGrant, Grant, LawfulBasis, PolicySet, Purpose, Scope, Verdict

FORMAT: Final = 1
_ARTICLES: Final[Mapping[LawfulBasis, str]] = {
    LawfulBasis.CONSENT: "GDPR Art. 6(1)(a)",
    LawfulBasis.CONTRACT: "GDPR Art. 6(1)(b)",
    LawfulBasis.LEGAL_OBLIGATION: "GDPR Art. 6(1)(c)",
    LawfulBasis.VITAL_INTERESTS: "GDPR Art. 6(1)(d)",
    LawfulBasis.PUBLIC_TASK: "GDPR Art. 6(1)(e)",
    LawfulBasis.LEGITIMATE_INTERESTS: "GDPR Art. 6(1)(f)",
}
_PEOPLE: Final = ("customers", "visitors of the shops and apps")
_OWN: Final = "the person themselves"
OPEN: Final = (
    "the controller's representative and data protection officer, with how to reach them (Art. 30(1)(a))",
    "whether data goes to a third country, and the safeguards there (Art. 30(1)(e))",
)
COLUMNS: Final = (
    "purpose", "label", "description", "basis", "article", "people", "categories", "roles", "recipients", "retention",
    "kept_by_law", "direct_marketing", "sale_or_sharing",
)  # fmt: skip
"""May not be reordered, renamed or removed without another number of `FORMAT`."""


@dataclass(frozen=True, slots=True)
class DataCategory:
    """A category of data that a purpose uses.

    Attributes:
        category: Its name (Fides taxonomy).
        label: What people call it.
        sealed: Whether every field of it is kept sealed under the person's own key.
    """

    category: str
    label: str
    sealed: bool


@dataclass(frozen=True, slots=True)
class InternalRole:
    """A role that works with data for a purpose.

    Attributes:
        role: Its name.
        label: What people call it.
        does: Of: sees, sees masks of, searches by, changes, exports, erases.
    """

    role: str
    label: str
    does: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outside:
    """Somebody to whom data is disclosed (Art. 30(1)(d)).

    Attributes:
        name: Who.
        kind: How they are told of changes, or `enrichment` where they are asked about customers.
        categories: The categories they are given.
        purposes: For what; None where that is not limited.
    """

    name: str
    kind: str
    categories: tuple[str, ...]
    purposes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Obtained:
    """Where data comes from that is not obtained from the person (GDPR Art. 14(2)(f)).

    Attributes:
        name: The source, as its enrichment names it.
        purposes: For what it is asked.
        categories: What it adds.
        licence: Under which licence, where there is one.
        expires_after: After how long what it said is removed, as an ISO 8601 period.
    """

    name: str
    purposes: tuple[str, ...]
    categories: tuple[str, ...]
    licence: str | None
    expires_after: str | None


@dataclass(frozen=True, slots=True)
class KeptByLaw:
    """Records that stay when a person is erased, and why; `categories` are those of them that the purpose uses."""

    name: str
    object: str
    period: str
    law: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Activity:
    """One purpose, and all that is done for it."""

    purpose: str
    label: str
    description: str
    basis: str
    article: str
    people: tuple[str, ...]
    categories: tuple[DataCategory, ...]
    roles: tuple[InternalRole, ...]
    retention: str | None
    kept_by_law: tuple[KeptByLaw, ...]
    direct_marketing: bool
    sale_or_sharing: bool
    survives_restriction: bool


@dataclass(frozen=True, slots=True)
class ProcessingRecord:
    """The whole record.

    Attributes:
        controller: Who is responsible, where the deployment says so.
        policy: The version of the policy that it is of.
        made_at: When it was made.
        activities: One for each purpose that anybody may state.
        unused: Purposes that are declared and for which no role may do anything with fields about people.
        recipients: Who outside is given data.
        obtained: Whom the platform asks about customers, and what they add.
        measures: How it is protected (Art. 30(1)(g), 32), as far as the platform does it.
        open: What the company has to add.
    """

    controller: str | None
    policy: str
    made_at: datetime
    activities: tuple[Activity, ...]
    unused: tuple[str, ...]
    recipients: tuple[Outside, ...]
    measures: tuple[str, ...]
    obtained: tuple[Obtained, ...] = ()
    open: tuple[str, ...] = OPEN

    def recipients_for(self, purpose: str) -> tuple[Outside, ...]:
        """Who outside is given data for a purpose."""
        return tuple(each for each in self.recipients if each.purposes is None or purpose in each.purposes)


def processing_record(
    policies: PolicySet,
    *,
    controller: str | None,
    recipients: Iterable[Outside],
    now: datetime,
    obtained: Iterable[Obtained] = (),
) -> ProcessingRecord:
    """The record as of now.

    Args:
        policies: The policy in force, with its catalogue, purposes and retention.
        controller: Who is responsible; None where the deployment does not say.
        recipients: Who outside is given data.
        now: The time.
        obtained: Whom the platform asks about customers.
    """
    made = [_activity(policies, purpose) for purpose in policies.purposes.values()]
    return ProcessingRecord(
        controller,
        policies.version,
        now,
        tuple(each for each in made if each.roles),
        tuple(each.purpose for each in made if not each.roles),
        tuple(recipients),
        _measures(policies),
        tuple(obtained),
    )


def _activity(policies: PolicySet, purpose: Purpose) -> Activity:
    used: dict[str, bool] = {}
    roles = []
    for role in policies.roles.values():
        grant = policies.decide((role.name,), purpose.name)
        does = _does(policies, grant, used)
        if does:
            label = f"{role.label} ({_OWN})" if _is_own(grant) else role.label
            roles.append(InternalRole(role.name, label, does))
    categories = tuple(
        DataCategory(name, label, _is_sealed(policies, name))
        for name, label in policies.catalogue.categories.items()
        if name in used
    )
    return Activity(
        purpose.name,
        purpose.label,
        purpose.description,
        purpose.basis.value,
        _ARTICLES[purpose.basis],
        _PEOPLE,
        categories,
        tuple(roles),
        purpose.retention,
        _kept(policies, used),
        purpose.direct_marketing,
        purpose.sale_or_sharing,
        purpose.survives_restriction,
    )


def _does(policies: PolicySet, grant: Grant, used: dict[str, bool]) -> tuple[str, ...]:
    """What a role does for a purpose with data about people; the categories are noted in `used`."""
    found: dict[str, bool] = {}

    def note(word: str, granted: FieldGrant) -> None:
        category = policies.catalogue.fields[granted.path].category
        if granted and _of_people(category):
            found[word] = used[category] = True

    for granted in grant.read.values():
        clear = any(each.verdict is Verdict.CLEAR for each in granted.alternatives)
        note("sees" if clear else "sees masks of", granted)
    for word, action in (("searches by", grant.filter), ("changes", grant.write), ("exports", grant.export)):
        for granted in action.values():
            note(word, granted)
    if grant.erase:
        found["erases"] = True
    return tuple(found)


def _is_own(grant: Grant) -> bool:
    ways = [
        each.scope for table in (grant.read, grant.write) for held in table.values() for each in held.alternatives
    ]
    return bool(ways) and all(each is Scope.OWN for each in ways)


def _of_people(category: str) -> bool:
    return category == "user" or category.startswith("user.")


def _is_sealed(policies: PolicySet, category: str) -> bool:
    return all(field.sealed for field in policies.catalogue.fields.values() if field.category == category)


def _kept(policies: PolicySet, used: Mapping[str, bool]) -> tuple[KeptByLaw, ...]:
    """What the law has the company keep longer, of the categories that a purpose uses."""
    found = []
    for rule in policies.retention:
        categories = tuple(dict.fromkeys(field.category for field in (*rule.fields, *rule.person)))
        mine = tuple(each for each in categories if each in used)
        if mine:
            found.append(KeptByLaw(rule.name, rule.object, rule.period, rule.law, mine))
    return tuple(found)


def _measures(policies: PolicySet) -> tuple[str, ...]:
    fields = [field for field in policies.catalogue.fields.values() if _of_people(field.category)]
    sealed = sum(field.sealed for field in fields)
    return (
        f"{sealed} of {len(fields)} fields about people are sealed with AES-256-GCM under a key of the person's own.",
        "Nothing is read without a role, a purpose and a rule that allows it; what no rule allows is withheld.",
        "Every read, change, export and erasure is in a tamper-evident access log before its answer leaves.",
        "Erasure destroys the person's key outside the databases, so that no copy and no backup can be read.",
        "Consent, objection and restriction are felt by the next read.",
    )


def as_json(record: ProcessingRecord) -> dict[str, Any]:
    """The record for programs."""
    return {"format": FORMAT, **asdict(record), "made_at": timestamp(record.made_at)}


def as_csv(record: ProcessingRecord) -> str:
    """The record for a spreadsheet, which runs nothing of it: a line for each activity."""
    out = io.StringIO(newline="")
    out.write("\N{BYTE ORDER MARK}")  # spreadsheets take a file without one for another encoding
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for each in record.activities:
        cells: Sequence[str] = (
            each.purpose,
            each.label,
            each.description,
            each.basis,
            each.article,
            "; ".join(each.people),
            "; ".join(category.category for category in each.categories),
            "; ".join(f"{role.label}: {', '.join(role.does)}" for role in each.roles),
            "; ".join(outside.name for outside in record.recipients_for(each.purpose)),
            each.retention or "",
            "; ".join(f"{kept.name} {kept.period} ({kept.law})" for kept in each.kept_by_law),
            _yes(each.direct_marketing),
            _yes(each.sale_or_sharing),
        )
        writer.writerow([spreadsheet_safe(cell) for cell in cells])
    return out.getvalue()


def _yes(held: bool) -> str:  # noqa: FBT001 - what a cell says
    return "yes" if held else "no"


__all__ = [
    "COLUMNS",
    "FORMAT",
    "Activity",
    "DataCategory",
    "InternalRole",
    "KeptByLaw",
    "Obtained",
    "Outside",
    "ProcessingRecord",
    "as_csv",
    "as_json",
    "processing_record",
]
