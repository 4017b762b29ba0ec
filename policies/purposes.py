"""Purposes and roles out of their files."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from policies.source import Toml, quoted
from policies.vocabulary import NAME, LawfulBasis, Purpose, Role

MAX_DEPTH = 9
"""Edges from a purpose, role or category to its root. Casbin's role managers look no further than this."""

_PURPOSE_KEYS = frozenset(
    {
        "parent",
        "basis",
        "label",
        "description",
        "survives_restriction",
        "retention",
        "direct_marketing",
        "sale_or_sharing",
    }
)
_PERIOD = re.compile(r"P(?=\d)(\d{1,3}Y)?(\d{1,3}M)?(\d{1,4}D)?")
_ROLE_KEYS = frozenset({"label", "description"})


def parse_purposes(toml: Toml) -> Mapping[str, Purpose]:
    """The purposes in that file, in order. Everything wrong with it is recorded on `toml`, at its line."""
    tables = _tables(toml)
    purposes: dict[str, Purpose] = {}
    for name, values in tables.items():
        toml.unknown_keys(name, values, _PURPOSE_KEYS)
        lineage = _lineage(toml, name, tables)
        basis = _basis(toml, name, lineage, tables)
        purposes[name] = Purpose(
            name=name,
            parent=lineage[1] if len(lineage) > 1 else None,
            basis=basis,
            label=toml.text_value(name, values, "label"),
            description=toml.text_value(name, values, "description"),
            survives_restriction=_flag(toml, name, "survives_restriction", lineage, tables),
            lineage=lineage,
            retention=_retention(toml, name, lineage, tables),
            direct_marketing=_flag(toml, name, "direct_marketing", lineage, tables),
            sale_or_sharing=_flag(toml, name, "sale_or_sharing", lineage, tables),
        )
    return MappingProxyType(purposes)


def parse_roles(toml: Toml) -> Mapping[str, Role]:
    """The roles in that file, in order. Everything wrong with it is recorded on `toml`, at its line."""
    roles: dict[str, Role] = {}
    for name, values in _tables(toml).items():
        toml.unknown_keys(name, values, _ROLE_KEYS)
        roles[name] = Role(
            name,
            toml.text_value(name, values, "label"),
            toml.text_value(name, values, "description"),
        )
    return MappingProxyType(roles)


def _tables(toml: Toml) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    for name, values in toml.data.items():
        if not isinstance(values, dict) or not NAME.fullmatch(name):
            toml.fault(f"{quoted(name)} is not a table with a lower-case name", name)
        else:
            tables[name] = values
    if not tables:
        toml.fault("declares nothing")
    return tables


def _lineage(toml: Toml, name: str, tables: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    lineage = [name]
    while (parent := tables[lineage[-1]].get("parent")) is not None:
        if not isinstance(parent, str) or parent not in tables:
            if len(lineage) == 1:
                toml.fault(f"[{name}] has the unknown parent {quoted(str(parent))}", name, "parent")
            break
        if parent in lineage:
            toml.fault(f"[{name}] is part of itself", name, "parent")
            break
        lineage.append(parent)
    if len(lineage) > MAX_DEPTH + 1:
        toml.fault(f"[{name}] lies more than {MAX_DEPTH} levels deep", name, "parent")
    return tuple(lineage)


def _basis(toml: Toml, name: str, lineage: tuple[str, ...], tables: Mapping[str, Mapping[str, Any]]) -> LawfulBasis:
    """The root's basis. Rules for a parent hold for its children, so a child cannot stand on other ground."""
    own, root = tables[name].get("basis"), tables[lineage[-1]].get("basis")
    if len(lineage) > 1 and own is not None and own != root:
        toml.fault(f"[{name}] cannot have another lawful basis than [{lineage[-1]}]", name, "basis")
    try:
        return LawfulBasis(str(root))
    except ValueError:
        if len(lineage) == 1:
            toml.fault(f"[{name}] needs basis = one of {', '.join(LawfulBasis)}", name, "basis")
        return LawfulBasis.CONSENT


def _flag(toml: Toml, name: str, key: str, lineage: tuple[str, ...], tables: Mapping[str, Mapping[str, Any]]) -> bool:
    """A purpose's own word, or the nearest one above it; false where none says anything."""
    for each in lineage:
        if key in tables[each]:
            return toml.flag(name, tables[each], key)
    return False


def _retention(
    toml: Toml, name: str, lineage: tuple[str, ...], tables: Mapping[str, Mapping[str, Any]]
) -> str | None:
    for each in lineage:
        found = tables[each].get("retention")
        if found is None:
            continue
        if isinstance(found, str) and _PERIOD.fullmatch(found):
            return found
        if each == name:
            toml.fault(f"[{name}] needs retention = a period such as P3Y, P18M or P30D", name, "retention")
        return None
    return None
