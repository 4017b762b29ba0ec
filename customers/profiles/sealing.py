"""Lays values out as a document: clear fields beside one sealed group for each category that has values."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from customers.profiles.provenance import PROVENANCE, TRAIT, UNCLASSIFIED, Origin, Provenance
from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.store import Collection, Document
from policies import Catalogue, Field
from vault import DataKey

EXPIRES_AT: Final = "expires_at"
"""The clear field that says when the first of a profile's values may not be used any more; it is not there otherwise."""


def laid_out(
    fields: Iterable[Field], collection: Collection, document_id: str, key: DataKey, values: Mapping[str, Any]
) -> Document:
    """The clear fields and `sealed` groups of a document; fields without a value leave no trace."""
    clear: Document = {}
    groups: dict[str, dict[str, Any]] = {}
    for field in fields:
        value = values.get(field.name)
        if value is None or field.name == "id":
            continue
        if field.group is None:
            clear[field.name] = value
        else:
            groups.setdefault(field.group, {})[field.name] = value
    clear["sealed"] = {
        group: key.seal(collection, document_id, group, SCHEMA_VERSION, held) for group, held in groups.items()
    }
    clear["schema"] = SCHEMA_VERSION
    return clear


def groups_changed(
    catalogue: Catalogue,
    key: DataKey,
    document: Mapping[str, Any],
    changes: Mapping[str, Any],
    origins: Provenance | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """What to `$set` and `$unset` in a profile so that `changes` hold, opening and sealing only their groups.

    An object (such as `traits`) is merged into the one that is there; a key of None in it is removed.

    Args:
        catalogue: The fields there are.
        key: The customer's.
        document: The profile.
        changes: Values by field name.
        origins: Those that hold once it is changed; None leaves them as they are, but for those of what is removed.
    """
    document_id: str = document["_id"]
    sealed: Mapping[str, bytes] = document.get("sealed") or {}
    setting: dict[str, Any] = {}
    removing: dict[str, str] = {}
    opened: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        group = catalogue.fields[f"profile.{name}"].group
        if group is None:
            if value is None:
                removing[name] = ""
            else:
                setting[name] = value
            continue
        if group not in opened:
            envelope = sealed.get(group)
            opened[group] = (
                {}
                if envelope is None
                else key.open(envelope, Collection.PROFILES, document_id, group, SCHEMA_VERSION)
            )
        _change(opened[group], name, value)
    for group, held in opened.items():
        if held:
            setting[f"sealed.{group}"] = key.seal(Collection.PROFILES, document_id, group, SCHEMA_VERSION, held)
        else:
            removing[f"sealed.{group}"] = ""
    if origins is None:
        origins = _without(document, key, changes)
    if origins is not None and origins.changed:
        seal_origins(key, document, origins, setting, removing)
    return setting, removing


def holds(catalogue: Catalogue, key: DataKey, document: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Whether a profile is as these changes would make it; takes what `groups_changed` takes.

    Raises:
        vault.EnvelopeError: What is stored there is not what was sealed there.
    """
    sealed: Mapping[str, bytes] = document.get("sealed") or {}
    opened: dict[str, Mapping[str, Any]] = {}
    for name, value in changes.items():
        group = catalogue.fields[f"profile.{name}"].group
        if group is not None and group not in opened:
            envelope = sealed.get(group)
            opened[group] = (
                {}
                if envelope is None
                else key.open(envelope, Collection.PROFILES, document["_id"], group, SCHEMA_VERSION)
            )
        held = document.get(name) if group is None else opened[group].get(name)
        if isinstance(value, dict):
            mine = held or {}
            if any(mine.get(part) != each for part, each in value.items()):
                return False
        elif held != value:
            return False
    return True


def _change(group: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        group.pop(name, None)
    elif isinstance(value, dict):
        merged = {**group.get(name, {}), **value}
        group[name] = {part: held for part, held in merged.items() if held is not None}
    else:
        group[name] = value


def provenance_of(document: Mapping[str, Any], key: DataKey) -> Provenance:
    """The origins that a profile document holds.

    Raises:
        vault.EnvelopeError: What is stored there is not what was sealed there.
    """
    envelope = (document.get("sealed") or {}).get(PROVENANCE)
    if envelope is None:
        return Provenance()
    return Provenance(key.open(envelope, Collection.PROFILES, document["_id"], PROVENANCE, SCHEMA_VERSION))


def seal_origins(
    key: DataKey,
    document: Mapping[str, Any],
    origins: Provenance,
    setting: dict[str, Any],
    removing: dict[str, str],
) -> None:
    """Add what keeps these origins to what is to be `$set` and `$unset` in a profile."""
    if held := origins.stored():
        setting[f"sealed.{PROVENANCE}"] = key.seal(
            Collection.PROFILES, document["_id"], PROVENANCE, SCHEMA_VERSION, held
        )
    elif PROVENANCE in (document.get("sealed") or {}):
        removing[f"sealed.{PROVENANCE}"] = ""
    first = origins.expires_first()
    if first is not None:
        setting[EXPIRES_AT] = first
    elif EXPIRES_AT in document:
        removing[EXPIRES_AT] = ""


def heard(origins: Provenance, name: str, value: Any, origin: Origin) -> None:
    """Note where the new value of a field came from, of `traits` that of each; None is that it has none any more."""
    if name != "traits":
        origins.remove(name, origin) if value is None else origins.put(name, origin)
        return
    if value is None:
        gone = [each for each in origins if each.startswith(TRAIT) and origins.category(each) == UNCLASSIFIED]
        value = dict.fromkeys(each.removeprefix(TRAIT) for each in gone)
    for trait, held in value.items():
        heard(origins, TRAIT + trait, held, origin)


def _without(document: Mapping[str, Any], key: DataKey, changes: Mapping[str, Any]) -> Provenance | None:
    """The origins without those of what these changes remove; None where they remove nothing that could have one."""
    gone = {name for name, value in changes.items() if value is None}
    gone |= {TRAIT + name for name, value in (changes.get("traits") or {}).items() if value is None}
    if not gone or PROVENANCE not in (document.get("sealed") or {}):
        return None
    origins = provenance_of(document, key)
    if "traits" in gone:
        gone |= {each for each in origins if each.startswith(TRAIT) and origins.category(each) == UNCLASSIFIED}
    for name in gone:
        origins.drop(name)
    return origins
