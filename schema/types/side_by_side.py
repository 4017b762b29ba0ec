"""The profiles of an opened case, as GraphQL shows them: field beside field, each with where its value came from."""

import strawberry
from strawberry.scalars import JSON

from customers.identity.side_by_side import COMPARED, Cell, Row, SideBySide
from schema.permission import structural
from schema.types.access_entry import AccessVerdict
from schema.types.provenance import FieldOrigin, field_origin


@strawberry.type(description="How alike two profiles are in one respect. Never a value.")
class IdentityEvidence:
    """One comparison."""

    compared: str = structural("What was compared, such as email or birth_date.")
    level: str = structural("How alike it is, such as same.")
    self_said: bool = structural(
        "Whether they are alike by what a customer, or a source of events, said, or may have said where that is damaged."
    )


@strawberry.type(description="One profile of a case.")
class IdentityCaseSide:
    """One side."""

    id: strawberry.ID = structural("Its id; a stable pseudonym where the policy masks it.")


@strawberry.type(description="One field of one profile of a case.")
class IdentityCaseValue:
    """One cell."""

    value: JSON | None = structural("As the caller may see it; null where there is none, it is withheld, or damaged.")
    verdict: AccessVerdict = structural("Whether it is in clear, masked, or withheld.")
    damaged: bool = structural("Whether what is stored is not what was sealed there.")
    origin: FieldOrigin | None = structural(
        "Where it came from, of a field that is compared; null where that was not kept, or the value is withheld."
    )
    origin_damaged: bool = structural("Whether what is stored of where it came from is not what was sealed there.")


@strawberry.type(description="One field of all profiles of a case.")
class IdentityCaseField:
    """One row."""

    field: str = structural("The field's name in the catalogue, such as postal_code.")
    compared: str | None = structural("What `evidence` calls it, of a field that is compared.")
    level: str | None = structural("How alike it is, where it was compared.")
    values: list[IdentityCaseValue] = structural("Of each profile, in the order of `sides`.")


def evidence_of(shown: SideBySide) -> list[IdentityEvidence]:
    """What of the evidence may be told."""
    return [
        IdentityEvidence(compared=each, level=level, self_said=each in shown.self_said)
        for each, level in sorted(shown.evidence.items())
    ]


def fields_of(shown: SideBySide) -> list[IdentityCaseField]:
    """The fields, those that are compared first."""
    return [_field(each) for each in shown.rows]


def _field(row: Row) -> IdentityCaseField:
    return IdentityCaseField(
        field=row.name,
        compared=COMPARED.get(row.name),
        level=row.level,
        values=[_value(row.name, each) for each in row.cells],
    )


def _value(name: str, cell: Cell) -> IdentityCaseValue:
    return IdentityCaseValue(
        value=cell.value,
        verdict=AccessVerdict[cell.verdict.name],
        damaged=cell.damaged,
        origin=None if cell.origin is None else field_origin(name, cell.origin),
        origin_damaged=cell.origin_damaged,
    )
