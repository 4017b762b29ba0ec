"""Lays values out as a document: clear fields beside one sealed group for each category that has values."""

from collections.abc import Iterable, Mapping
from typing import Any

from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.store import Collection, Document
from policies import Catalogue, Field
from vault import DataKey


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
    catalogue: Catalogue, key: DataKey, document: Mapping[str, Any], changes: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What to `$set` and `$unset` in a profile so that `changes` hold, opening and sealing only their groups.

    An object (such as `traits`) is merged into the one that is there; a key of None in it is removed.
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
        if value is None:
            opened[group].pop(name, None)
        elif isinstance(value, dict):
            merged = {**opened[group].get(name, {}), **value}
            opened[group][name] = {part: held for part, held in merged.items() if held is not None}
        else:
            opened[group][name] = value
    for group, held in opened.items():
        if held:
            setting[f"sealed.{group}"] = key.seal(Collection.PROFILES, document_id, group, SCHEMA_VERSION, held)
        else:
            removing[f"sealed.{group}"] = ""
    return setting, removing
