"""Changes one profile document as it was read, and keeps the blind index in step with its identifiers.

Two databases' documents cannot be written at once, so they are written in an order that no crash and no race spoils:

1. identifiers that the profile gains are claimed before the document is written;
2. once it is written they are confirmed, which marks their rows anew;
3. identifiers that it lost, or could not gain after all, are given up last: their rows are looked at, then the document,
   and only rows that bear the mark they bore then are removed.

So whoever gives up an identifier that another change of the same profile has taken meanwhile either sees it in the
document, or finds it marked anew, or removes it before it is confirmed. In this last case the confirmation claims it
again; where another customer was faster, the change is undone and nobody was told that it was made.

Of a profile into which others were merged, what is taken away is taken from those too; nothing else of them changes.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from customers.access import Part
from customers.errors import IdentifierTakenError
from customers.identity.model import PRIMARY_FIELDS, Identifier, IdentifierType, primary
from customers.profiles.joined import PARTS
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
        parts: Sequence[Part] = (),
    ) -> bool:
        """Apply changes to a document as it was read; say False, with nothing changed, if it is another by now.

        Args:
            catalogue: The fields there are.
            document: The whole profile document.
            key: Its customer's.
            changes: Values by field name, but for identifiers; None removes one.
            change: What identifiers there are to be, from those there are; None leaves them alone.
            parts: What was merged into the profile.

        Raises:
            IdentifierTakenError: Another customer has one of them; nothing was changed.
        """
        customer_id: str = document["_id"]
        gained: list[Claim] = []
        lost: list[Claim] = []
        removed: set[Identifier] = set()
        if change is not None:
            before = identifiers_of(document, key)
            inherited = [each for part in parts for each in identifiers_of(part.document, part.key)]
            every = (*before, *(each for each in inherited if each not in before))
            whole = change(every)
            after = _of_its_own(whole, before, inherited)
            removed = set(inherited).difference(whole)
            gained = [Claim(each.type, each.value, customer_id) for each in after if each not in before]
            lost = [Claim(each.type, each.value, customer_id) for each in every if each not in whole]
            changes = {**changes, **identifier_fields(after)}
        if parts and not await self._take_away(catalogue, parts, changes, removed):
            return False
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
                await self.give_up(customer_id, gained)
                raise IdentifierTakenError("identifier") from error
        await self.give_up(customer_id, lost if applied else gained)
        return applied

    async def _take_away(
        self, catalogue: Catalogue, parts: Sequence[Part], changes: dict[str, Any], removed: set[Identifier]
    ) -> bool:
        """Take from the parts of a profile what it is not to have any more; say False if one is another by now."""
        for part in parts:
            held = identifiers_of(part.document, part.key)
            kept = tuple(each for each in held if each not in removed)
            less = {**_taken_away(changes), **(identifier_fields(kept) if kept != held else {})}
            setting, removing = groups_changed(catalogue, part.key, part.document, less)
            sealed = part.document.get("sealed") or {}
            # Only what it has: its clear fields stay as they were, and what it lacks it does not get.
            setting = {name: value for name, value in setting.items() if name.partition(".")[2] in sealed}
            removing = {name: value for name, value in removing.items() if name.partition(".")[2] in sealed}
            if not setting and not removing:
                continue
            applied = await self._store.update(
                part.document["_id"], part.document["version"], _update(setting, removing)
            )
            if not applied:
                return False
        return True

    async def give_up(self, customer_id: str, claims: Sequence[Claim]) -> None:
        """Release identifiers, but for those that the profile turns out to hold by then through another change."""
        if not claims:
            return
        seen = await self._vault.blind.seen(claims)
        documents = await self._store.find([customer_id])
        if documents and PARTS in documents[0]:
            documents += await self._store.find(documents[0][PARTS])
        keys = await self._vault.keys([customer_id, *(each["_id"] for each in documents[1:])])
        if documents:
            held = {
                (each.type, each.value)
                for document in documents
                if isinstance(key := keys.get(document["_id"]), DataKey)
                for each in identifiers_of(document, key)
            }
            seen = {claim: marks for claim, marks in seen.items() if (claim.index, claim.value) not in held}
        await self._vault.blind.release_many(seen)


def _of_its_own(whole: Identifiers, before: Identifiers, inherited: Sequence[Identifier]) -> Identifiers:
    """Those of a person's identifiers that stand in the survivor's own document: what its parts have stays there.

    One of theirs that becomes the primary one is in both.
    """
    shown = {
        Identifier(kind, value)
        for kind in PRIMARY_FIELDS
        if (value := primary(whole, kind)) is not None and value != _shown(kind, before, inherited)
    }
    return tuple(each for each in whole if each in before or each not in inherited or each in shown)


def _shown(kind: IdentifierType, before: Identifiers, inherited: Sequence[Identifier]) -> str | None:
    return primary((*before, *inherited), kind)


def _taken_away(changes: dict[str, Any]) -> dict[str, Any]:
    """What of some changes takes something away: fields, members of objects, and lists, which are replaced as a whole."""
    found: dict[str, Any] = {}
    for name, value in changes.items():
        if name in (*PRIMARY_FIELDS.values(), "identifiers"):
            continue
        if value is None or isinstance(value, list):
            found[name] = None
        elif isinstance(value, dict) and any(each is None for each in value.values()):
            found[name] = {part: None for part, held in value.items() if held is None}
    return found


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
