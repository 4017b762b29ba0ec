"""How long data is kept at most for each purpose, out of its file. Pure but for reading it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policies.catalogue import Field
from policies.decisions import PolicySet
from policies.errors import Fault, PolicyInvalidError
from policies.source import Toml, quoted
from policies.vocabulary import NAME

FILE: Final = "limits.toml"
WHOLE: Final = frozenset({"profile", "event"})
"""What goes as a whole."""
_OBJECTS: Final = frozenset({"profile", "order", "ticket", "event"})
_KEYS: Final = frozenset({"object", "purpose", "from", "categories"})
_MAX_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limit:
    """How long one kind of data is kept.

    Attributes:
        name: of the limit.
        object: of the catalogue: profile, order, ticket or event.
        purpose: what it is kept for.
        period: how long, as ISO 8601: that purpose's.
        moment: the date field that it is counted from; None of a profile.
        fields: what is removed of each record; empty where it goes as a whole.
    """

    name: str
    object: str
    purpose: str
    period: str
    moment: str | None
    fields: tuple[Field, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """The sealed groups that the fields make up, sorted."""
        return tuple(sorted({field.group for field in self.fields if field.group is not None}))


def load_limits(directory: Path | None, policies: PolicySet) -> tuple[Limit, ...]:
    """The limits in a policy directory, or the packaged ones where it brings none, in order.

    Raises:
        PolicyInvalidError: With every fault, each at its line.
    """
    path = None if directory is None else directory / FILE
    if path is None or not path.exists():
        path = Path(__file__).with_name(FILE)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PolicyInvalidError([Fault(FILE, None, f"cannot be read: {error.strerror}")]) from error
    if len(content) > _MAX_BYTES:
        raise PolicyInvalidError([Fault(FILE, None, f"is larger than {_MAX_BYTES // 1024} KiB")])
    return parse_limits(content, policies)


def parse_limits(content: bytes, policies: PolicySet) -> tuple[Limit, ...]:
    """The limits in these bytes of TOML.

    Raises:
        PolicyInvalidError: With every fault found.
    """
    faults: list[Fault] = []
    toml = Toml(FILE, content, faults)
    limits: list[Limit] = []
    for name, values in toml.data.items():
        if not isinstance(values, dict) or not NAME.fullmatch(name):
            toml.fault(f"{quoted(name)} is not a table with a lower-case name", name)
            continue
        toml.unknown_keys(name, values, _KEYS)
        limit = _limit(toml, name, values, policies)
        if limit is not None:
            limits.append(limit)
    if faults:
        raise PolicyInvalidError(faults)
    return tuple(limits)


def _limit(toml: Toml, name: str, values: Mapping[str, Any], policies: PolicySet) -> Limit | None:
    kind, purpose = toml.text_value(name, values, "object"), toml.text_value(name, values, "purpose")
    if kind and kind not in _OBJECTS:
        toml.fault(f"[{name}] object must be one of {', '.join(sorted(_OBJECTS))}", name, "object")
        return None
    found = policies.purposes.get(purpose)
    if purpose and found is None:
        toml.fault(f"[{name}] purpose: there is no purpose {quoted(purpose)}", name, "purpose")
    period = None if found is None else found.retention
    if found is not None and period is None:
        toml.fault(f"[{name}] purpose: {quoted(purpose)} has no retention", name, "purpose")
    moment = _moment(toml, name, values, kind, policies)
    fields = _fields(toml, name, values, kind, policies)
    if not kind or period is None or fields is None:
        return None
    return Limit(name, kind, purpose, period, moment, fields)


def _moment(toml: Toml, name: str, values: Mapping[str, Any], kind: str, policies: PolicySet) -> str | None:
    if kind in ("profile", ""):
        if "from" in values:
            toml.fault(f"[{name}] from: a person is kept from when anything was last heard of them", name, "from")
        return None
    moment = toml.text_value(name, values, "from")
    known = policies.catalogue.object(kind)
    if moment and not any(each.name == moment and not each.sealed and each.kind == "datetime" for each in known):
        toml.fault(f"[{name}] from must be a clear date field of {kind}", name, "from")
    return moment


def _fields(
    toml: Toml, name: str, values: Mapping[str, Any], kind: str, policies: PolicySet
) -> tuple[Field, ...] | None:
    """What is removed of each record: whole sealed groups, and nothing that the law demands; None where it is at fault."""
    named = values.get("categories", [])
    if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
        toml.fault(f"[{name}] categories must be a list of categories", name, "categories")
        return None
    if kind in WHOLE or not kind:
        if named:
            toml.fault(f"[{name}] categories: what is a {kind} goes as a whole", name, "categories")
        return ()
    known = policies.catalogue.object(kind)
    found: dict[str, Field] = {}
    for category in named:
        mine = [
            each
            for each in known
            if each.sealed and (each.category == category or each.category.startswith(f"{category}."))
        ]
        if not mine:
            toml.fault(f"[{name}] categories: {kind} has nothing sealed of {quoted(category)}", name, "categories")
        found |= {each.path: each for each in mine}
    if not named:
        toml.fault(f"[{name}] needs categories = a list that names what is removed", name, "categories")
        return None
    _check_rest(toml, name, kind, found, policies)
    return tuple(each for each in known if each.path in found)


def _check_rest(toml: Toml, name: str, kind: str, found: Mapping[str, Field], policies: PolicySet) -> None:
    """Nothing that stays is sealed together with what goes, and nothing that goes is kept by law."""
    for group, together in policies.catalogue.groups(kind).items():
        left = [each.path for each in together if each.path not in found]
        if left and len(left) < len(together):
            toml.fault(f"[{name}] categories: {', '.join(left)} is sealed with them ({group})", name, "categories")
    for rule in policies.retention:
        both = [each.path for each in rule.fields if rule.object == kind and each.path in found]
        if both:
            toml.fault(f"[{name}] categories: {', '.join(both)} is kept by law ({rule.name})", name, "categories")
