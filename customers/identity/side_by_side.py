"""A case as the person who decides it sees it: its profiles side by side, each field as their role may see it.

Everything comes through the gateway, so a mask, a withdrawn consent or a restriction holds here as anywhere; what the
comparison found stands beside the fields it looked at, as a level and never as a value. Beside each compared value stands
where it came from, shown where the value is. Whoever knows enough of somebody could say the same of themselves, so a
likeness that rests on what people said of themselves is marked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from customers.access import Access, in_scope
from customers.identity.matching import Level
from customers.profiles.origins import ORIGINS, origin_names
from customers.profiles.provenance import Origin, OriginKind
from customers.profiles.service import ProfileGateway, Values
from policies import Verdict
from vault import EnvelopeError

COMPARED: Final[Mapping[str, str]] = {
    "given_name": "given_name",
    "family_name": "family_name",
    "birth_date": "birth_date",
    "street": "address",
    "postal_code": "address",
    "city": "address",
    "country": "address",
    "phone": "phone",
    "email": "email",
    "national_id": "national_id",
}
"""What is shown that was compared: the profile's field, and the name its level has in a case's evidence."""
ALSO: Final = ("language", "region", "loyalty_tier", "order_count", "ticket_count", "created_at", "updated_at")
"""What else helps to tell two people apart."""
_BY_IDENTIFIER: Final = "identifiers"
NAMES: Final = frozenset((*COMPARED, *ALSO)) | origin_names(COMPARED)
SELF_SAID: Final = frozenset({OriginKind.CUSTOMER, OriginKind.EVENT})
"""What a customer may have said of themselves, or whoever sends events, as any web page's visitor can."""
CAUTION: Final = (
    "Whoever knows somebody's name, birth date and place could say the same. Ask why there are two, and who said so."
)
"""What to think of where a likeness rests on that."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of one profile.

    Attributes:
        value: As the role may see it; None where there is none, or where it is withheld.
        verdict: Whether the value is clear, masked, or withheld.
        damaged: Whether what is stored is not what was sealed there; `value` is None then.
        origin: Where the value came from, of a field that was compared; None where that was not kept, or where the value
            is withheld.
        origin_damaged: Whether what is stored of where it came from is not what was sealed there.
    """

    value: Any = field(repr=False)
    verdict: Verdict
    damaged: bool = False
    origin: Origin | None = None
    origin_damaged: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One field of all profiles of a case.

    Attributes:
        name: The profile's field; `profile.<name>` is its path in the catalogue.
        cells: In the order of `SideBySide.sides`.
        level: How alike the comparison found it, such as `same` or `typo`; None where it was not compared. Street, postal
            code, city and country were compared as one.
    """

    name: str
    cells: tuple[Cell, ...]
    level: str | None


@dataclass(frozen=True, slots=True)
class Side:
    """One profile of a case.

    Attributes:
        id: Its id as the role may see it.
        customer_id: Its real id, for naming the survivor; to be shown only where `id` is the same.
    """

    id: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The profiles of a case, and their fields in the same order.

    Attributes:
        sides: Those that are still there and may be named, each once: fewer than the case names where one was erased, or
            where they were joined meanwhile.
        rows: Every field that is shown, those compared first.
        evidence: What of the case's evidence may be told.
        self_said: Those of `evidence` in which they are alike by what customers or senders of events may have said.
    """

    sides: tuple[Side, ...]
    rows: tuple[Row, ...]
    evidence: Mapping[str, str]
    self_said: tuple[str, ...] = ()


async def side_by_side(
    gateway: ProfileGateway, access: Access, customers: tuple[str, ...], evidence: Mapping[str, str]
) -> SideBySide:
    """Read these profiles together: one query for documents and one for keys, and one more where any has parts.

    Inside `Vault.reading`; what is read is noted in `access.disclosure`, and to be recorded before anybody sees it.
    """
    found = await gateway.by_ids(access, NAMES, list(customers))
    once = {str(found[each]["document_id"]): found[each] for each in customers if each in found}
    evidence = told_of(access, evidence, once) if all(each in found for each in customers) else {}
    rows = tuple(
        Row(
            name, tuple(_cell(access, name, values) for values in once.values()), evidence.get(COMPARED.get(name, ""))
        )
        for name in (*COMPARED, *ALSO)
    )
    sides = tuple(Side(str(values["id"]), each) for each, values in once.items())
    return SideBySide(sides, rows, evidence, _self_said(rows, evidence))


def told_of(access: Access, evidence: Mapping[str, str], customers: Iterable[str]) -> dict[str, str]:
    """What of a case's evidence may be told: of a field that is withheld of one of them, its likeness would tell the value.

    Args:
        access: The caller's; these customers were read in the same request.
        evidence: Levels, by what was compared.
        customers: The ids of their documents.
    """
    ids = list(customers)

    def shown(compared: str) -> bool:
        names = [name for name, stands_for in COMPARED.items() if stands_for == compared] or [_BY_IDENTIFIER]
        return all(any(_verdict(access, name, each) is not Verdict.WITHHELD for name in names) for each in ids)

    return {compared: level for compared, level in evidence.items() if shown(compared)}


def _cell(access: Access, name: str, values: Values) -> Cell:
    value = values.get(name)
    damaged = isinstance(value, EnvelopeError)
    verdict = _verdict(access, name, str(values["document_id"]))
    origins = values.get(ORIGINS) or {}
    if verdict is Verdict.WITHHELD or name not in COMPARED:
        origins = {}
    unknown = isinstance(origins, EnvelopeError)
    return Cell(None if damaged else value, verdict, damaged, None if unknown else origins.get(name), unknown)


def _self_said(rows: Iterable[Row], evidence: Mapping[str, str]) -> tuple[str, ...]:
    """Which likenesses rest on it, or may: where it cannot be known who said something, anybody may have."""
    found = {
        COMPARED[row.name]
        for row in rows
        if row.name in COMPARED
        and any(cell.origin_damaged or (cell.origin and cell.origin.kind in SELF_SAID) for cell in row.cells)
    }
    return tuple(each for each in sorted(evidence) if each in found and evidence[each] != Level.DIFFERENT.value)


def _verdict(access: Access, name: str, customer_id: str) -> Verdict:
    circumstances = access.known[customer_id].circumstances
    if circumstances.reason is not None:
        return Verdict.WITHHELD
    granted = access.grant.read[f"profile.{name}"]
    fitting = (each.verdict for each in granted.alternatives if in_scope(each.scope, circumstances))
    return next(fitting, Verdict.WITHHELD)
