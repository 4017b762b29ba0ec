"""Changes one profile document as it was read, and keeps the blind index in step with its identifiers.

Two databases' documents cannot be written at once, so they are written in an order that no crash and no race spoils:

1. identifiers that the profile gains are claimed before the document is written;
2. once it is written they are confirmed, which marks their rows anew;
3. identifiers that it lost, or could not gain after all, are given up last: their rows are looked at, then the document,
   and only rows that bear the mark they bore then are removed.

So whoever gives up an identifier that another change of the same profile has taken meanwhile either sees it in the
document, or finds it marked anew, or removes it before it is confirmed. In this last case the confirmation claims it
again; where another customer was faster, the change is undone and nobody was told that it was made.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from customers.errors import IdentifierTakenError
from customers.identity.model import Identifier
from customers.profiles.made import identifier_fields, identifiers_of
from customers.profiles.sealing import groups_changed
from customers.profiles.store import CustomerStore, Document
from policies import Catalogue
from vault import Claim, DataKey, Vault
from vault import IdentifierTakenError as ClaimRefusedError

Identifiers = tuple[Identifier, ...]
ChangeOfIdentifiers = Callable[[Identifiers], Identifiers]


class ProfileChanger:
    """Applies changes; who may make them, and their records, are the caller's."""

    def __init__(self, store: CustomerStore, vault: Vault, *, now: Callable[[], datetime]) -> None:
        self._store = store
        self._vault = vault
        self._now = now

    async def apply(
        self,
        catalogue: Catalogue,
        document: Document,
        key: DataKey,
        changes: dict[str, Any],
        change: ChangeOfIdentifiers | None,
    ) -> bool:
        """Apply changes to a document as it was read; say False, with nothing changed, if it is another by now.

        Args:
            catalogue: The fields there are.
            document: The whole profile document.
            key: Its customer's.
            changes: Values by field name, but for identifiers; None removes one.
            change: What identifiers there are to be, from those there are; None leaves them alone.

        Raises:
            IdentifierTakenError: Another customer has one of them; nothing was changed.
        """
        customer_id: str = document["_id"]
        gained: list[Claim] = []
        lost: list[Claim] = []
        if change is not None:
            before = identifiers_of(document, key)
            after = change(before)
            gained = [Claim(each.type, each.value, customer_id) for each in after if each not in before]
            lost = [Claim(each.type, each.value, customer_id) for each in before if each not in after]
            changes = {**changes, **identifier_fields(after)}
        setting, removing = groups_changed(catalogue, key, document, changes)
        setting["updated_at"] = self._now()
        try:
            await self._vault.blind.claim_many(gained)
        except ClaimRefusedError as error:
            raise IdentifierTakenError("identifier") from error
        applied = await self._store.update(customer_id, document["version"], _update(setting, removing))
        if applied:
            try:
                await self._vault.blind.confirm_many(gained)
            except ClaimRefusedError as error:
                await self._store.update(customer_id, document["version"] + 1, _undoing(document, setting, removing))
                await self._give_up(customer_id, gained)
                raise IdentifierTakenError("identifier") from error
        await self._give_up(customer_id, lost if applied else gained)
        return applied

    async def _give_up(self, customer_id: str, claims: Sequence[Claim]) -> None:
        """Release identifiers, but for those that the profile turns out to hold by then through another change."""
        if not claims:
            return
        seen = await self._vault.blind.seen(claims)
        documents = await self._store.find([customer_id])
        key = (await self._vault.keys([customer_id])).get(customer_id)
        if documents and isinstance(key, DataKey):
            held = {(each.type, each.value) for each in identifiers_of(documents[0], key)}
            seen = {claim: marks for claim, marks in seen.items() if (claim.index, claim.value) not in held}
        await self._vault.blind.release_many(seen)


def _update(setting: dict[str, Any], removing: dict[str, str]) -> dict[str, Any]:
    return {"$set": setting, **({"$unset": removing} if removing else {})}


def _undoing(document: Document, setting: dict[str, Any], removing: dict[str, str]) -> dict[str, Any]:
    """What brings back the document as it was read, but for its version."""
    was: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name in (*setting, *removing):
        outer, dot, group = name.partition(".")
        held = (document.get(outer) or {}).get(group) if dot else document.get(outer)
        if held is None:
            absent[name] = ""
        else:
            was[name] = held
    return _update(was, absent)
