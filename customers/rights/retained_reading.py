"""Reads what is kept by law: for purposes that the law gives, by whom the policy allows, and recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from customers.access import Access
from customers.errors import PurposeNotAllowedError
from customers.profiles.reader import transform_of
from customers.rights.retained import COLLECTION, GROUP, SCHEMA_VERSION, Retained, RetainedStore
from policies import Catalogue, Grant, LawfulBasis, Scope, Verdict
from vault import DataKey, Vault


@dataclass(frozen=True, slots=True)
class Shown:
    """One record as a caller may see it: values by path of the catalogue, None where one is withheld."""

    id: str
    seq: int
    object: str
    rule: str
    law: str
    until: datetime
    values: Mapping[str, Any]


class RetainedReader:
    """Shows the records, opening what was granted."""

    def __init__(self, retained: RetainedStore, vault: Vault, catalogue: Catalogue) -> None:
        self._retained = retained
        self._vault = vault
        self._fields = catalogue.fields

    async def page(self, access: Access, *, after: int, limit: int) -> tuple[list[Shown], bool]:
        """Up to `limit` records in the order they were written, and whether there are more. Inside `Vault.reading`.

        A rule counts that holds for every customer: whose region or person it is nobody knows any more. The caller
        records the disclosure before anything is given out.

        Raises:
            PurposeNotAllowedError: The purpose does not rest on a legal obligation, or the policy grants nothing for it.
        """
        grant = access.grant
        if grant.purpose.basis is not LawfulBasis.LEGAL_OBLIGATION or not any(
            _best(grant, path) for path in grant.read if not path.startswith("access_entry.")
        ):
            raise PurposeNotAllowedError
        found, more = await self._retained.page(after, limit)
        access.disclosure.add_fields({"order.id": _best(grant, "order.id") or (Verdict.WITHHELD, None)})
        keys = await self._vault.keys(sorted({each.key for each in found})) if found else {}
        shown = []
        for each in found:
            key = keys.get(each.key)
            if isinstance(key, DataKey):  # else its time is over just now
                shown.append(self._shown(access, each, key))
        return shown, more

    def _shown(self, access: Access, record: Retained, key: DataKey) -> Shown:
        values = key.open_groups(record.sealed, COLLECTION, record.id, (GROUP,), SCHEMA_VERSION)
        verdicts = {
            path: _best(access.grant, path) or (Verdict.WITHHELD, _denied(access.grant, path)) for path in values
        }
        access.disclosure.add_fields(verdicts)
        access.disclosure.add_subject(key.audit_reference)
        return Shown(
            id=record.id,
            seq=record.seq,
            object=record.object,
            rule=record.rule,
            law=record.law,
            until=record.until,
            values={path: self._value(path, value, verdicts[path][0], key) for path, value in values.items()},
        )

    def _value(self, path: str, value: Any, verdict: Verdict, key: DataKey) -> Any:
        field = self._fields.get(path)
        if verdict is Verdict.WITHHELD or field is None:
            return None
        transform = transform_of(field, verdict)
        return value if transform is None else transform(value, key)


def _best(grant: Grant, path: str) -> tuple[Verdict, int] | None:
    """The best way in which a field may leave, whoever's it is; none where it may not."""
    granted = grant.read.get(path)
    for each in granted.alternatives if granted else ():
        if each.scope is Scope.ANY:
            return each.verdict, each.rule
    return None


def _denied(grant: Grant, path: str) -> int | None:
    granted = grant.read.get(path)
    return None if granted is None else granted.rule
