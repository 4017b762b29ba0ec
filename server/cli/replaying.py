"""How a replay is shown: as tables, and as JSON."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from audit import timestamp
from customers.oversight.change import Change, Direction
from customers.oversight.replay import Replay, told
from policies import PolicySet
from server.cli.output import out

_MOST_SHOWN = 40


def show(found: Replay, policy: PolicySet, most: int = _MOST_SHOWN) -> None:
    """Print it for people."""
    out.print(
        f"Policy {found.policy} over {found.records} records from {timestamp(found.since)} to {timestamp(found.until)}, "
        f"{found.compared} of them with decisions.",
        markup=False,
    )
    if not found:
        out.print("Nothing would have been decided otherwise.")
    else:
        more, less = found.directions.get(Direction.MORE, 0), found.directions.get(Direction.LESS, 0)
        out.print(
            f"{found.changed} would have been decided otherwise, about {told(found.customers)} customers: "
            f"{more} would have shown or allowed more, {less} less."
        )
        out.print(_table(found, most))
        if len(found.groups) > most:
            out.print(f"… and {len(found.groups) - most} more; --json has them all.")
        _rules(found, policy, most)
    _unknown(found)


def document(found: Replay, policy: PolicySet) -> dict[str, Any]:
    """It as a JSON document; numbers of customers below eleven are told as words here too."""
    return {
        "policy": found.policy,
        "since": timestamp(found.since),
        "until": timestamp(found.until),
        "records": found.records,
        "compared": found.compared,
        "changed": found.changed,
        "customers": told(found.customers),
        "more": found.directions.get(Direction.MORE, 0),
        "less": found.directions.get(Direction.LESS, 0),
        "changes": [
            {
                "records": group.records,
                "customers": told(group.customers),
                "direction": group.change.direction,
                "roles": group.change.roles,
                "purpose": group.change.purpose,
                "action": group.change.action,
                "field": group.change.field,
                "from": group.change.before,
                "to": group.change.after,
                "old_rule": group.change.old_rule,
                "new_rule": group.change.new_rule,
                "new_rule_text": _text(group.change, policy),
            }
            for group in found.groups
        ],
        "unknown": {"purposes": found.purposes, "roles": found.roles, "fields": found.fields},
        "decided_by": found.decided_by,
        "row_scopes_not_compared": found.scopes_unknown,
        "filters_not_compared": found.filters_unknown,
    }


def _table(found: Replay, most: int) -> Table:
    table = Table("records", "customers", "roles", "purpose", "what", "from → to", "rules")
    for group in found.groups[:most]:
        change = group.change
        what = "the whole request" if change.field is None else f"{change.action} {change.field}"
        table.add_row(
            str(group.records),
            str(told(group.customers)),
            ", ".join(change.roles),
            change.purpose,
            what,
            f"{change.before} → {change.after}",
            f"{_number(change.old_rule)} → {_number(change.new_rule)}",
        )
    return table


def _number(rule: int | None) -> str:
    return "none" if rule is None else str(rule)


def _text(change: Change, policy: PolicySet) -> str | None:
    return None if change.new_rule is None else str(policy.rules[change.new_rule - 1])


def _rules(found: Replay, policy: PolicySet, most: int) -> None:
    """The new policy's rules that decide, as they stand in its file."""
    numbers = {group.change.new_rule for group in found.groups[:most]} - {None}
    for number in sorted(each for each in numbers if each is not None):
        out.print(f"new rule {number}: {policy.rules[number - 1]}", markup=False)


def _unknown(found: Replay) -> None:
    named: tuple[tuple[str, Mapping[str, int]], ...] = (
        ("purposes", found.purposes), ("roles", found.roles), ("fields", found.fields),
    )  # fmt: skip
    for what, counts in named:
        if counts:
            told_of = ", ".join(f"{name} ({count} records)" for name, count in counts.items())
            out.print(f"The policy does not know these {what}: {told_of}.", markup=False)
    if found.scopes_unknown:
        out.print(
            f"{found.scopes_unknown} records were decided by policies that are not at hand, so changes of row scopes "
            "alone do not show for them; name those policies with --past."
        )
    if found.filters_unknown:
        out.print(f"Of {found.filters_unknown} refused requests nobody can say which filter was refused.")
