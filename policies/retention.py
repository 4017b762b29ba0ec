"""What the law has us keep when a customer is erased, out of its file. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from policies.catalogue import Catalogue, Field
from policies.source import Toml, quoted
from policies.vocabulary import NAME

_KEYS = frozenset({"object", "categories", "of_the_person", "when", "from", "period", "law"})
_PERIOD = re.compile(r"P(?=\d)(?:(\d{1,3})Y)?(?:(\d{1,3})M)?(?:(\d{1,4})D)?", re.ASCII)
_MONTHS = 12
_LONGEST_LAW = 200


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Records of one kind that are kept, and what of them.

    Attributes:
        name: of the rule.
        object: of the catalogue.
        fields: what is kept of each record, in the catalogue's order.
        person: what is kept of the profile with each.
        when: clear fields of the record with the values they must have; empty where every record is kept.
        moment: the clear field that the period is counted from, from the end of its year.
        period: as ISO 8601.
        law: where it is written.
    """

    name: str
    object: str
    fields: tuple[Field, ...]
    person: tuple[Field, ...]
    when: Mapping[str, frozenset[str]]
    moment: str
    period: str
    law: str

    @property
    def paths(self) -> tuple[str, ...]:
        """The catalogue's names of all that is kept, sorted."""
        return tuple(sorted(field.path for field in (*self.fields, *self.person)))

    def keeps(self, document: Mapping[str, Any]) -> bool:
        """Whether a record is one of those."""
        return all(document.get(name) in values for name, values in self.when.items())

    def until(self, moment: datetime) -> datetime:
        """The last second of keeping a record of that moment."""
        year = datetime(moment.astimezone(UTC).year + 1, 1, 1, tzinfo=UTC)
        return later(year, self.period) - timedelta(seconds=1)


def is_period(text: str) -> bool:
    """Whether a text is a period of at least a day."""
    return _PERIOD.fullmatch(text) is not None and any(map(int, re.findall(r"\d+", text)))


def later(moment: datetime, period: str) -> datetime:
    """The moment that lies a period (`P1Y6M`) later; the 31st of a month that has none is its last day."""
    return _moved(moment, period, 1)


def earlier(moment: datetime, period: str) -> datetime:
    """The moment that lies a period before; as `later`."""
    return _moved(moment, period, -1)


def _moved(moment: datetime, period: str, sign: int) -> datetime:
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise ValueError("not a period")
    years, months, days = (int(each or 0) for each in found.groups())
    months = moment.year * _MONTHS + moment.month - 1 + sign * (years * _MONTHS + months)
    year, month = divmod(months, _MONTHS)
    first = moment.replace(year=year, month=month + 1, day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=min(moment.day, (following - first).days) - 1 + sign * days)


def parse_retention(toml: Toml, catalogue: Catalogue) -> tuple[RetentionRule, ...]:
    """The rules in that file, in order. Everything wrong with it is recorded on `toml`, at its line."""
    rules: list[RetentionRule] = []
    if not catalogue.fields:  # it could not be read; that is fault enough
        return ()
    for name, values in toml.data.items():
        if not isinstance(values, dict) or not NAME.fullmatch(name):
            toml.fault(f"{quoted(name)} is not a table with a lower-case name", name)
            continue
        toml.unknown_keys(name, values, _KEYS)
        rule = _rule(toml, name, values, catalogue)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _rule(toml: Toml, name: str, values: Mapping[str, Any], catalogue: Catalogue) -> RetentionRule | None:
    kind = toml.text_value(name, values, "object")
    known = catalogue.object(kind) if kind in ("order", "ticket") else ()
    if kind and not known:
        toml.fault(f'[{name}] object must be "order" or "ticket"', name, "object")
    law, period = toml.text_value(name, values, "law"), toml.text_value(name, values, "period")
    if len(law) > _LONGEST_LAW:
        toml.fault(f"[{name}] law is over {_LONGEST_LAW} characters", name, "law")
    if period and not is_period(period):
        toml.fault(f"[{name}] needs period = a period such as P10Y, P18M or P30D", name, "period")
        period = ""
    moment = toml.text_value(name, values, "from")
    if (
        known
        and moment
        and not any(field.name == moment and not field.sealed and field.kind == "datetime" for field in known)
    ):
        toml.fault(f"[{name}] from must be a clear date field of {kind}", name, "from")
    fields = _of_categories(toml, name, values, "categories", known, catalogue)
    people = _of_categories(toml, name, values, "of_the_person", catalogue.object("profile"), catalogue)
    if known and not fields:
        toml.fault(f"[{name}] needs categories = a list that names what is kept", name, "categories")
    when = _when(toml, name, values, known)
    if not (kind and known and law and period and moment and fields):
        return None
    return RetentionRule(name, kind, fields, people, when, moment, period, law)


def _of_categories(
    toml: Toml,
    name: str,
    values: Mapping[str, Any],
    key: str,
    known: tuple[Field, ...],
    catalogue: Catalogue,
) -> tuple[Field, ...]:
    """The fields of an object that are of one of the categories a rule names."""
    named = values.get(key, [])
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        toml.fault(f"[{name}] {key} must be a list of categories", name, key)
        return ()
    found: dict[str, Field] = {}
    for category in named:
        mine = [each for each in known if each.category == category or each.category.startswith(f"{category}.")]
        if known and not mine:
            word = "declares no such category" if category not in catalogue.categories else "has no field there of"
            toml.fault(f"[{name}] {key}: the catalogue {word} {quoted(category)}", name, key)
        found |= {each.path: each for each in mine}
    return tuple(each for each in known if each.path in found)


def _when(toml: Toml, name: str, values: Mapping[str, Any], known: tuple[Field, ...]) -> Mapping[str, frozenset[str]]:
    given = values.get("when", {})
    if not isinstance(given, dict):
        toml.fault(f"[{name}] when must name fields and their values", name, "when")
        return {}
    clear = {field.name for field in known if not field.sealed}
    for field, wanted in given.items():
        if known and field not in clear:
            toml.fault(f"[{name}] when: {quoted(field)} is no clear field of that object", name, "when")
        if not isinstance(wanted, list) or not wanted or not all(isinstance(each, str) for each in wanted):
            toml.fault(f"[{name}] when: {quoted(field)} needs a list of texts", name, "when")
            return {}
    return {field: frozenset(wanted) for field, wanted in given.items()}
