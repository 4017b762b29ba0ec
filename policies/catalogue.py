"""The catalogue: every field of every document, once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from policies.source import Toml, quoted
from policies.vocabulary import CATEGORY_NAME, NAME, ROOT_CATEGORY, FieldKind, Mask

Word = TypeVar("Word", bound=StrEnum)

INDEXES = frozenset({"email", "phone", "external_id"})
"""The blind indexes the vault knows how to normalise for."""

_RESERVED = frozenset({"categories", "extensions"})
_KEYS = frozenset(
    {"category", "label", "description", "kind", "group", "mask", "index", "filterable", "sortable"},
)
_TEXT = frozenset({FieldKind.TEXT})
_DATES = frozenset({FieldKind.DATE, FieldKind.DATETIME})
_MASK_KINDS: Mapping[Mask, frozenset[FieldKind]] = {
    Mask.REDACT: frozenset(FieldKind),
    Mask.FIRST_CHARACTER: _TEXT,
    Mask.LAST_FOUR: _TEXT,
    Mask.DOMAIN_ONLY: _TEXT,
    Mask.YEAR_ONLY: _DATES,
    Mask.GENERALISE: _TEXT | _DATES | {FieldKind.INTEGER, FieldKind.DECIMAL},
    Mask.PSEUDONYM: _TEXT,
}
"""What each mask can be honoured on; anything else would always be redacted, which the catalogue should then say."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of one document.

    Attributes:
        path: `object.name`, such as `profile.email`.
        object: the document it belongs to.
        name: its name in that document.
        category: the data category, in the names of the Fides taxonomy.
        label: a few plain words a customer understands.
        description: one sentence.
        kind: the shape of its value.
        sealed: whether it is stored encrypted.
        group: the sealed group it is encrypted with; None when it is stored in clear.
        mask: what a masked reading shows; None when it is never shown masked.
        index: the blind index that finds it by equality; None when it has none.
        filterable: whether a query may filter by it, where the policy allows that too.
        sortable: whether a query may sort by it, where the policy allows filtering by it.
    """

    path: str
    object: str
    name: str
    category: str
    label: str
    description: str
    kind: FieldKind
    sealed: bool
    group: str | None
    mask: Mask | None
    index: str | None
    filterable: bool
    sortable: bool


@dataclass(frozen=True)
class Catalogue:
    """All fields and the category tree.

    Attributes:
        fields: by path, in the order of the file.
        categories: name → the customer's words for it.
        parents: category → the category it belongs to; roots are absent.
        version: the first 16 hexadecimal digits of the file's SHA-256.
    """

    fields: Mapping[str, Field]
    categories: Mapping[str, str]
    parents: Mapping[str, str]
    version: str
    _objects: Mapping[str, tuple[Field, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort the fields by object, once."""
        objects: dict[str, tuple[Field, ...]] = {}
        for each in self.fields.values():
            objects[each.object] = (*objects.get(each.object, ()), each)
        object.__setattr__(self, "_objects", MappingProxyType(objects))

    @property
    def objects(self) -> tuple[str, ...]:
        """The documents, in the order of the file."""
        return tuple(self._objects)

    def object(self, name: str) -> tuple[Field, ...]:
        """The fields of a document, in order; empty for a document the catalogue does not know."""
        return self._objects.get(name, ())

    def groups(self, name: str) -> Mapping[str, tuple[Field, ...]]:
        """The sealed groups of a document and the fields sealed together in each."""
        groups: dict[str, tuple[Field, ...]] = {}
        for each in self.object(name):
            if each.group is not None:
                groups[each.group] = (*groups.get(each.group, ()), each)
        return MappingProxyType(groups)


def parse_catalogue(toml: Toml, version: str) -> Catalogue:
    """The catalogue in that file. Everything wrong with it is recorded on `toml`, at its line."""
    categories = _categories(toml)
    fields: dict[str, Field] = {}
    for name, members in toml.data.items():
        if name in _RESERVED:
            continue
        if not isinstance(members, dict) or not NAME.fullmatch(name):
            toml.fault(f"{quoted(name)} is not an object with fields", name)
            continue
        for member, values in members.items():
            path = f"{name}.{member}"
            if not isinstance(values, dict) or not NAME.fullmatch(member):
                toml.fault(f"[{quoted(path)[1:-1]}] is not a field", path)
                continue
            fields[path] = _field(toml, name, member, values, categories)
    if not fields:
        toml.fault("declares no field")
    _check_indexes(toml, fields)
    parents = {name: name.rpartition(".")[0] for name in categories if "." in name}
    return Catalogue(MappingProxyType(fields), MappingProxyType(categories), MappingProxyType(parents), version)


def _categories(toml: Toml) -> dict[str, str]:
    declared = toml.data.get("categories")
    if not isinstance(declared, dict):
        toml.fault("needs a table [categories]")
        return {}
    categories: dict[str, str] = {}
    for name, label in declared.items():
        if not CATEGORY_NAME.fullmatch(name) or not isinstance(label, str) or not label.strip():
            toml.fault(f"{quoted(name)} is not a category name with its words", "categories", name)
        categories[name] = str(label)
    for name in categories:
        parent = name.rpartition(".")[0]
        if parent and parent not in categories:
            toml.fault(f"{quoted(name)} belongs to {quoted(parent)}, which is not declared", "categories", name)
    if ROOT_CATEGORY not in categories:
        toml.fault(f"the category {ROOT_CATEGORY!r} is missing; erasure is decided on it", "categories")
    extensions = toml.data.get("extensions", {})
    for name in extensions if isinstance(extensions, dict) else ():
        if name not in categories:
            toml.fault(f"the extension {quoted(name)} is not in [categories]", "extensions", name)
    return categories


def _field(toml: Toml, owner: str, name: str, values: Mapping[str, Any], categories: Mapping[str, str]) -> Field:
    path = f"{owner}.{name}"
    toml.unknown_keys(path, values, _KEYS)
    category = toml.text_value(path, values, "category")
    if category and category not in categories:
        toml.fault(f"[{path}] has the unknown category {quoted(category)}", path, "category")
    group = values.get("group")
    if group is not None and not (isinstance(group, str) and NAME.fullmatch(group)):
        toml.fault(f"[{path}] group must be a name", path, "group")
    found = Field(
        path=path,
        object=owner,
        name=name,
        category=category,
        label=toml.text_value(path, values, "label"),
        description=toml.text_value(path, values, "description"),
        kind=_one_of(toml, path, values, "kind", FieldKind) or FieldKind.JSON,
        sealed=group is not None,
        group=None if group is None else str(group),
        mask=_one_of(toml, path, values, "mask", Mask),
        index=values.get("index"),
        filterable=toml.flag(path, values, "filterable"),
        sortable=toml.flag(path, values, "sortable"),
    )
    if "kind" not in values:
        toml.fault(f"[{path}] needs kind = one of {', '.join(FieldKind)}", path)
    _check_field(toml, found)
    return found


def _check_field(toml: Toml, found: Field) -> None:
    path = found.path
    about_a_person = found.category == ROOT_CATEGORY or found.category.startswith(ROOT_CATEGORY + ".")
    if about_a_person and found.mask is None:
        toml.fault(f"[{path}] is about a person and needs a mask", path)
    if found.mask is not None and found.kind not in _MASK_KINDS[found.mask]:
        toml.fault(f"[{path}] the mask {found.mask} cannot be put on a value of kind {found.kind}", path, "mask")
    if found.index is not None and not (isinstance(found.index, str) and found.index in INDEXES):
        toml.fault(f"[{path}] index must be one of {', '.join(sorted(INDEXES))}", path, "index")
    if found.index is not None and not found.sealed:
        toml.fault(f"[{path}] a blind index is for a sealed field; this one is stored in clear", path, "index")
    if found.sealed and found.filterable and found.index is None:
        toml.fault(f"[{path}] is sealed and has no index, so no query can filter by it", path, "filterable")
    if found.sealed and found.sortable:
        toml.fault(f"[{path}] is sealed, so no query can sort by it", path, "sortable")


def _check_indexes(toml: Toml, fields: Mapping[str, Field]) -> None:
    owners: dict[str, str] = {}
    for each in fields.values():
        if isinstance(each.index, str) and owners.setdefault(each.index, each.path) != each.path:
            toml.fault(f"[{each.path}] uses the index of [{owners[each.index]}]", each.path, "index")


def _one_of(toml: Toml, path: str, values: Mapping[str, Any], key: str, words: type[Word]) -> Word | None:
    value = values.get(key)
    if value is None:
        return None
    try:
        return words(value)
    except ValueError:
        toml.fault(f"[{path}] {key} must be one of {', '.join(words)}", path, key)
        return None
