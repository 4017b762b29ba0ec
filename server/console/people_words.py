"""Cases in plain words: how one came up, how alike two people are and what that is worth. Text only, never markup."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from customers.identity.journal import MergeState
from customers.identity.matching import Level, words_for
from customers.identity.merge_list import Merge
from customers.identity.review import CaseState, ReviewCase
from customers.identity.rules import CaseKind
from customers.identity.side_by_side import CAUTION, COMPARED, Cell
from customers.profiles.provenance import OriginKind
from policies import Catalogue, PolicySet, Verdict
from server.console.pages import day_time
from server.console.people import CaseView
from server.console.words import listed, purpose_label, role_label

KINDS: Final[Mapping[CaseKind, tuple[str, str]]] = {
    CaseKind.TWO_PEOPLE: ("One event named two people", "An event came that named two people who are known already."),
    CaseKind.ALIAS: ("Said to be one", "A source said that two people who are known already are one."),
    CaseKind.OVER_LIMIT: ("Too many addresses", "One profile got more addresses or numbers than a person may have."),
    CaseKind.SIMILAR: ("Alike", "Two profiles look alike."),
}
STATES: Final[Mapping[CaseState, str]] = {
    CaseState.OPEN: "To decide",
    CaseState.MERGED: "Same person",
    CaseState.APART: "Different people",
}
_COMPARED: Final[Mapping[str, str]] = {
    "given_name": "given name",
    "family_name": "family name",
    "birth_date": "birth date",
    "address": "address",
    "phone": "phone number",
    "email": "e-mail address",
    "national_id": "national id",
    "external_id": "number of another system",
    "anonymous_id": "device",
}
_ORIGINS: Final[Mapping[OriginKind, str]] = {
    OriginKind.EVENT: "events of",
    OriginKind.WEBHOOK: "webhook of",
    OriginKind.IMPORT: "import of",
    OriginKind.STAFF: "staff, with",
    OriginKind.CUSTOMER: "the customer, with",
    OriginKind.CLIENT: "the program",
    OriginKind.ENRICHMENT: "the provider",
}
# How much a level says, by its class and icon: for one person, a little for it, against it.
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", re.ASCII)
_SAME: Final = frozenset({Level.SAME, Level.VARIANT})
_NEARLY: Final = ("allowed", "●", "agrees"), ("masked", "◐", "nearly"), ("withheld", "○", "differs")


@dataclass(frozen=True, slots=True)
class Strength:
    """How strongly one comparison agreed: what was compared, a class, an icon, a word, and the level in words."""

    compared: str
    tone: str
    icon: str
    word: str
    said: str


@dataclass(frozen=True, slots=True)
class ShownCell:
    """What stands in one cell; `why` says why a value is withheld, `origin` where it came from, of one that is compared."""

    state: str
    value: str = ""
    why: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One field of both profiles."""

    label: str
    cells: tuple[ShownCell, ...]
    strength: Strength | None

    @property
    def withheld(self) -> bool:
        """Whether it is withheld of everybody, for one reason."""
        return len(set(self.cells)) == 1 and self.cells[0].state == "withheld"


def origin_words(kind: OriginKind, source: str) -> str:
    """By what way a value came, and from whom. What a customer did themselves was done with no other program."""
    if kind is OriginKind.CUSTOMER and source == kind.value:
        return "From the customer"
    return f"From {_ORIGINS[kind]} {source}"


def strengths(case: ReviewCase) -> tuple[Strength, ...]:
    """What was compared and how it agreed, the strongest first."""
    order = [word for _, _, word in _NEARLY]
    found = [_strength(name, level) for name, level in case.evidence.items()]
    return tuple(sorted(found, key=lambda each: (order.index(each.word), each.compared)))


def caution(view: CaseView) -> str | None:
    """What to think of where they are alike by what was said by customers, or by who sends events; None where not."""
    said = [_COMPARED.get(each, each.replace("_", " ")) for each in view.opened.profiles.self_said]
    if not said:
        return None
    text = f"{listed(said)} {'was' if len(said) == 1 else 'were'} said by a customer, or by a web page or app"
    return f"{text[:1].upper()}{text[1:]} that sends events. {CAUTION}"


def score_words(score: float | None) -> str | None:
    """How sure it is, as a share of a hundred; never a round hundred or nothing."""
    if score is None:
        return None
    return f"{min(99.9, max(0.1, score * 100)):.1f} %"


def _strength(name: str, level: str) -> Strength:
    compared = _COMPARED.get(name, name.replace("_", " "))
    try:
        known = Level(level)
    except ValueError:
        return Strength(compared, *_NEARLY[1], level.replace("_", " "))
    tone = _NEARLY[0] if known in _SAME else _NEARLY[2] if known is Level.DIFFERENT else _NEARLY[1]
    return Strength(compared, *tone, words_for(known))


def rows(view: CaseView, policies: PolicySet) -> tuple[ShownRow, ...]:
    """The profiles of a case side by side, field for field; what no role of the reader's sees is said once a field."""
    by_name = {name: _strength(name, level) for name, level in view.opened.case.evidence.items()}
    found = []
    for row in view.opened.profiles.rows:
        known = policies.catalogue.fields[f"profile.{row.name}"]
        cells = tuple(_cell(view, row.name, each, policies) for each in row.cells)
        found.append(ShownRow(known.label, cells, by_name.get(COMPARED.get(row.name, row.name))))
    return tuple(found)


def _cell(view: CaseView, name: str, cell: Cell, policies: PolicySet) -> ShownCell:
    if cell.damaged:
        return ShownCell("damaged", why="What is stored is not what was sealed there.")
    if cell.verdict is Verdict.WITHHELD:
        return ShownCell("withheld", why=_why(view, name, policies))
    if cell.value is None or cell.value == "":
        return ShownCell("none")
    return ShownCell(
        "masked" if cell.verdict is Verdict.MASKED else "clear",
        _text(cell.value),
        origin=_origin(cell) if name in COMPARED else "",
    )


def _origin(cell: Cell) -> str:
    """Where a value came from: by what way, and from whom."""
    if cell.origin_damaged:
        return "Where it came from is damaged"
    if cell.origin is None:
        return "Where it came from was not kept"
    return origin_words(cell.origin.kind, _text(cell.origin.source))


def _why(view: CaseView, name: str, policies: PolicySet) -> str:
    granted = view.access.grant.read[f"profile.{name}"]
    if granted:
        return "This person's rights do not allow it for this purpose."
    roles = listed([role_label(policies, role) for role in view.access.grant.roles]) or "no role"
    by = "no rule allows it" if granted.rule is None else f"rule {granted.rule}"
    return f"Not for {roles} under {purpose_label(policies, view.access.grant.purpose.name)}: {by}."


def _text(value: Any) -> str:
    text = day_time(value) if isinstance(value, str) and _MOMENT.fullmatch(value) else str(value)
    return text if len(text) <= 200 else f"{text[:199]}…"  # noqa: PLR2004 - a line of the page


def merge_state(merge: Merge) -> tuple[str, str, str]:
    """How a merge stands: a class, an icon and a word."""
    if merge.state is MergeState.MERGED:
        return "allowed", "✓", "Joined"
    if merge.state is MergeState.UNDONE:
        return "not_found", "∅", "Taken apart"
    return "masked", "!", "Under way"


def by_whom(actor: str | None, reader: str) -> str:
    """Who did something, without names: those of staff are for who reads the access log."""
    if actor is None:
        return ""
    if actor == reader:
        return "you"
    return "a source's events" if actor.startswith("source:") else "somebody else"


def labels(catalogue: Catalogue) -> dict[str, str]:
    """What people call the fields of a profile, by their names."""
    return {field.name: field.label for field in catalogue.object("profile")}


__all__ = [
    "KINDS",
    "STATES",
    "ShownCell",
    "ShownRow",
    "Strength",
    "by_whom",
    "caution",
    "labels",
    "merge_state",
    "origin_words",
    "rows",
    "score_words",
    "strengths",
]
