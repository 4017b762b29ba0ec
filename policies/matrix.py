"""Who sees which field for a purpose, as rows; and those rows for a terminal."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from policies.catalogue import Field
from policies.decisions import FieldGrant, PolicySet
from policies.errors import UnknownPurposeError, UnknownRoleError
from policies.vocabulary import Purpose, Role, Verdict
from policies.wording import ICONS, best_verdict, cell_words

_STYLES = {Verdict.CLEAR: "green", Verdict.MASKED: "yellow", Verdict.WITHHELD: "red"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What one role may do with one field.

    Attributes:
        role: whose.
        verdict: the best a reading can give.
        words: the whole decision about reading, such as `clear for own regions, else masked (last four)`.
        rule: the rule that decided (or denied); None for the default deny.
        line: its line in rules.csv.
        may: what else is granted, of `filter`, `write` and `export`.
    """

    role: str
    verdict: Verdict
    words: str
    rule: int | None
    line: int | None
    may: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One field and a cell for each role, in the order of the matrix's roles."""

    field: Field
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Role by field, for one purpose.

    Attributes:
        purpose: the purpose asked about.
        policy_version: the policy that decided.
        roles: the columns.
        rows: one for each field of the catalogue, in its order.
    """

    purpose: Purpose
    policy_version: str
    roles: tuple[Role, ...]
    rows: tuple[MatrixRow, ...]


def matrix(policy_set: PolicySet, purpose: str, roles: Iterable[str] | None = None) -> Matrix:
    """Who sees which field for a purpose.

    Args:
        policy_set: the policy.
        purpose: one of its purposes.
        roles: the columns, in this order; None: every role that may do anything for the purpose (all, when none may).

    Raises:
        UnknownPurposeError, UnknownRoleError: the policy has no such name; the error lists those it has.
    """
    if purpose not in policy_set.purposes:
        raise UnknownPurposeError(policy_set.purposes)
    chosen = _roles_for(policy_set, purpose) if roles is None else tuple(dict.fromkeys(roles))
    if not policy_set.roles.keys() >= set(chosen):
        raise UnknownRoleError(policy_set.roles)
    grants = [policy_set.decide((role,), purpose) for role in chosen]
    rows: list[MatrixRow] = []
    for field in policy_set.catalogue.fields.values():
        cells = tuple(
            _cell(
                policy_set,
                field,
                role,
                grant.read[field.path],
                {
                    "filter": grant.filter[field.path],
                    "write": grant.write[field.path],
                    "export": grant.export[field.path],
                },
            )
            for role, grant in zip(chosen, grants, strict=True)
        )
        rows.append(MatrixRow(field, cells))
    columns = tuple(policy_set.roles[role] for role in chosen)
    return Matrix(policy_set.purposes[purpose], policy_set.version, columns, tuple(rows))


def matrix_table(shown: Matrix) -> Table:
    """The matrix for a terminal: icon, word and colour, never colour alone; readable when piped."""
    table = Table(
        title=f"Who sees what for {shown.purpose.name} (policy {shown.policy_version})",
        caption="  ".join(f"{icon} {verdict.value}" for verdict, icon in ICONS.items()),
        show_lines=False,
    )
    table.add_column("Field", no_wrap=True)
    for role in shown.roles:
        table.add_column(role.name)
    previous = shown.rows[0].field.object if shown.rows else ""
    for row in shown.rows:
        if row.field.object != previous:
            table.add_section()
            previous = row.field.object
        table.add_row(Text(row.field.path), *(_styled(cell) for cell in row.cells))
    return table


def _roles_for(policy_set: PolicySet, purpose: str) -> tuple[str, ...]:
    found: list[str] = []
    for role in policy_set.roles:
        grant = policy_set.decide((role,), purpose)
        tables = (grant.read, grant.filter, grant.write, grant.export)
        if grant.erase or any(each for table in tables for each in table.values()):
            found.append(role)
    return tuple(found) or tuple(policy_set.roles)


def _cell(policy_set: PolicySet, field: Field, role: str, read: FieldGrant, others: dict[str, FieldGrant]) -> Cell:
    rule = read.alternatives[0].rule if read.alternatives else read.rule
    return Cell(
        role=role,
        verdict=best_verdict(read),
        words=cell_words(read, field),
        rule=rule,
        line=None if rule is None else policy_set.rules[rule - 1].line,
        may=tuple(name for name, grant in others.items() if grant),
    )


def _styled(cell: Cell) -> Text:
    rule = "" if cell.rule is None else f" [{cell.rule}]"
    return Text(f"{ICONS[cell.verdict]} {cell.words}{rule}", style=_STYLES[cell.verdict])
