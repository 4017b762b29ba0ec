"""Decisions about values that are no fields of the catalogue: traits and properties of events, by their categories.

A record names them like `event.properties:user.contact`. What was read so stands for the category and for all below it
of which the record says nothing else, as whoever decided found them alike. Another policy may tell them apart.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from audit import Decision, Deviation, Record
from customers.oversight.change import Change
from policies import Action, Catalogue, FieldGrant, Grant

_MARK: Final = ":"


def parted(path: str) -> tuple[str, str] | None:
    """What has values by category (`event.properties`), and the category; None for a field of the catalogue."""
    part, mark, category = path.partition(_MARK)
    return (part, category) if mark else None


def is_known(path: str, catalogue: Catalogue) -> bool:
    """Whether a catalogue has this category, and values by category in such a place."""
    found = parted(path)
    return found is not None and found[0] in catalogue.fields and found[1] in catalogue.categories


def granted(grant: Grant, action: Action, path: str) -> FieldGrant | None:
    """What is granted on values of the category; None for a path that is a field's."""
    found = parted(path)
    return None if found is None else grant.of_category(found[1], action)


@dataclass(frozen=True, slots=True)
class Spread:
    """A record that says of every category by itself what it said of the one above it.

    Attributes:
        record: With those categories named.
        said: The path in the record as it was, for each that was added.
    """

    record: Record
    said: Mapping[str, str]

    @classmethod
    def of(cls, record: Record, categories: Collection[str]) -> "Spread":
        """The record with all of these categories named; the same record where it names none."""
        listed = [path for each in record.decisions for path in each.fields if parted(path)]
        if not listed:
            return cls(record, {})
        said = {path: above for path, above in _below(listed, categories) if path != above}
        added: dict[str, list[str]] = {}
        for path, above in said.items():
            added.setdefault(above, []).append(path)

        def spread(each: Decision | Deviation) -> tuple[str, ...]:
            return (*each.fields, *(path for above in each.fields for path in added.get(above, ())))

        whole = msgspec.structs.replace(
            record,
            decisions=tuple(msgspec.structs.replace(each, fields=spread(each)) for each in record.decisions),
            exceptions=tuple(msgspec.structs.replace(each, fields=spread(each)) for each in record.exceptions),
        )
        return cls(whole, said)

    def gathered(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        """The changes, with what is decided alike of a category and of all below it said once, of that category."""
        if not self.said:
            return tuple(changes)
        ways = {each.field: _way(each) for each in changes if each.field is not None and parted(each.field)}
        everything = {*self.said, *self.said.values(), *ways}
        uniform = {
            path for path in ways if all(ways.get(each) == ways[path] for each in everything if _is_below(each, path))
        }
        return tuple(
            each
            for each in changes
            if each.field is None or not any(_is_below(each.field, above) for above in uniform)
        )


def _below(listed: Collection[str], categories: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Every path that the listed ones stand for, with the one of them that stands for it."""
    known, places = set(listed), {path.partition(_MARK)[0] for path in listed}
    for category in categories:
        for part in places:
            above = category
            while above and f"{part}{_MARK}{above}" not in known:
                above = above.rpartition(".")[0]
            if above:
                yield f"{part}{_MARK}{category}", f"{part}{_MARK}{above}"


def _is_below(path: str, above: str) -> bool:
    return path.startswith(f"{above}.")


def _way(change: Change) -> tuple[object, ...]:
    return change.before, change.after, change.old_rule, change.new_rule, change.direction
