"""Whom a caller may write, by the fields that are to be written, and the record of it.

The record of a write is durable before the write begins: what cannot be recorded is not written.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from audit import AccessLog, Kind
from customers.access import Access, Known, Part, in_scope
from customers.consent.checking import check_decisions
from customers.disclosure import Disclosure
from customers.errors import FieldProblem, InputInvalidError, ProfileNotFoundError, WriteNotAllowedError
from customers.profiles.draft import ProfileDraft
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.made import rights_of
from customers.profiles.permission import check_lookup, check_paths, rule_of, written_paths
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore
from policies import PolicySet, Verdict
from vault import DataKey, Vault


class Writable:
    """Finds customers for those who may write them, and records that they do."""

    def __init__(
        self,
        store: CustomerStore,
        vault: Vault,
        log: AccessLog,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._vault = vault
        self._log = log
        self._policies = policies
        self._now = now

    async def find(
        self, access: Access, customer_id: str, paths: Sequence[str], *, rights_apply: bool = True
    ) -> Known:
        """A customer whom the caller may write, with every one of `paths` allowed; of one merged away, the survivor.

        Raises:
            WriteNotAllowedError: One of the paths, or of this customer.
            ProfileNotFoundError: They are not there, or erased.
        """
        check_paths(access, paths)
        documents = await self._store.find([customer_id])
        if documents and MERGED_INTO in documents[0]:
            documents = await self._store.find([documents[0][MERGED_INTO]])
        others = await self._store.find(documents[0][PARTS]) if documents and PARTS in documents[0] else []
        keys = await self._vault.keys([each["_id"] for each in (*documents, *others)] or [customer_id])
        key = keys.get(documents[0]["_id"]) if documents else None
        if not isinstance(key, DataKey):
            raise ProfileNotFoundError
        circumstances = circumstances_of(documents[0], access.caller, access.grant, self._now())
        refused = [
            path
            for path in paths
            if not any(in_scope(each.scope, circumstances) for each in access.grant.write[path].alternatives)
            or (rights_apply and circumstances.reason is not None)
        ]
        if refused:
            raise WriteNotAllowedError(refused)
        parts = tuple(Part(mine, each) for each in others if isinstance(mine := keys.get(each["_id"]), DataKey))
        return Known(key, circumstances, documents[0], parts)

    def check_created(self, access: Access, draft: ProfileDraft) -> None:
        """Refuse a draft that the caller may not make a profile of, or that holds nothing.

        Raises:
            InputInvalidError, WriteNotAllowedError: As `ProfileWriter.create`.
        """
        check_decisions(draft.consents, self._policies().purposes)
        paths = written_paths(draft)
        if not paths:
            raise InputInvalidError([FieldProblem("values", "must hold at least one value")])
        rights = replace(rights_of(draft, self._policies().purposes), restricted=False)
        document = {"_id": None, "region": draft.values.get("region"), "rights": rights.document()}
        circumstances = circumstances_of(document, access.caller, access.grant, self._now())
        refused = [
            path
            for path in paths
            if not any(in_scope(each.scope, circumstances) for each in access.grant.write[path].alternatives)
        ]
        if refused or circumstances.reason is not None:
            raise WriteNotAllowedError(refused or paths)
        check_lookup(access, paths)

    async def record_of(self, access: Access, paths: Sequence[str], own: Known) -> None:
        """As `record`, of a customer that was found, and of everybody who was merged into them."""
        await self.record(access, paths, (own.key, *(part.key for part in own.parts)))

    async def record(self, access: Access, paths: Sequence[str], keys: Iterable[DataKey]) -> None:
        """Make the record of a write durable, before it is made."""
        disclosure = Disclosure(access.disclosure.request, access.grant, kind=Kind.WRITE)
        disclosure.add_fields({path: (Verdict.CLEAR, rule_of(access, path)) for path in paths})
        for key in keys:
            disclosure.add_subject(key.audit_reference)
        await self._log.append(disclosure.record(self._now()))
