"""A step of a privacy request: recorded in the access log first, then made.

The record of a step of an erasure names the request (as its case) and not the person, any other names the person and
not the request: together they would tie what is left of the person in the log to the erasure.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from audit import AccessLog, Outcome
from audit import Kind as RecordKind
from customers.access import Access
from customers.disclosure import Disclosure
from customers.rights.requests.errors import RequestChangedError, RequestNotFoundError
from customers.rights.requests.meaning import SOURCE
from customers.rights.requests.model import Kind, PrivacyRequest, What
from customers.rights.requests.standing import PATH
from customers.rights.requests.store import RequestStore, Stored
from policies import Verdict
from vault import DataKey, Vault


class Steps:
    """Finds requests, and makes steps of them.

    Args:
        store: Where requests are kept.
        vault: The keys.
        log: Where each step is recorded before it is made.
        now: The time.
    """

    def __init__(self, store: RequestStore, vault: Vault, log: AccessLog, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._vault = vault
        self._log = log
        self._now = now

    async def found(self, request_id: str) -> Stored:
        """The request of this name.

        Raises:
            RequestNotFoundError: There is none.
        """
        found = await self._store.get(request_id)
        if found is None:
            raise RequestNotFoundError
        return found

    async def key(self, request: PrivacyRequest) -> DataKey:
        """The key of the person whose request it is.

        Raises:
            RequestChangedError: They are being erased, or were.
        """
        key = None
        if request.customer_id is not None:
            key = (await self._vault.keys([request.customer_id])).get(request.customer_id)
        if not isinstance(key, DataKey):
            raise RequestChangedError
        return key

    async def make(self, access: Access, found: Stored, changed: PrivacyRequest, what: What) -> Stored:
        """Record a step and make it."""
        entry = await self.record(access, changed, what, await self.key(found.request))
        return await self._store.save(replace(found, request=changed.noted(self._now(), what, entry)))

    async def record(self, access: Access, request: PrivacyRequest, what: What, key: DataKey | None) -> str:
        """Record a step; give the entry."""
        asked = access.disclosure.request
        if asked.operation is None:
            asked = replace(asked, operation=f"{SOURCE}.{what.value}")
        if request.kind is Kind.ERASURE:
            asked = replace(asked, case=request.id)
        noted = Disclosure(asked, access.grant, kind=RecordKind.WRITE)
        noted.add_fields({PATH: (Verdict.CLEAR, access.grant.write[PATH].alternatives[0].rule)})
        if key is not None and request.kind is not Kind.ERASURE:
            noted.add_subject(key.audit_reference)
        return str(await self._log.append(noted.record(self._now(), Outcome.ALLOWED)))
