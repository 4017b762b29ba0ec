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

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from customers.access import Part
from customers.errors import IdentifierTakenError
from customers.identity.model import PRIMARY_FIELDS, Identifier, IdentifierType, primary, with_primary
from customers.profiles.joined import PARTS
from customers.profiles.made import identifier_fields, identifiers_of
from customers.profiles.provenance import TRAIT, Origin, Provenance
from customers.profiles.sealing import EXPIRES_AT, groups_changed, heard, holds, provenance_of
from customers.profiles.store import CustomerStore, Document
from customers.spelling import ORIGINAL, arriving
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
        *,
        origin: Origin | None = None,
        originals: Mapping[str, str] | None = None,
    ) -> bool:
        """Apply changes to a document as it was read; say False, with nothing changed, if it is another by now.

        Where they come from somebody (`origin`), values are brought into their usual spelling, and fields of which
        something later was said stay as they are.

        Args:
            catalogue: The fields there are.
            document: The whole profile document.
            key: Its customer's.
            changes: Values by field name, but for identifiers; None removes one.
            change: What identifiers there are to be, from those there are; None leaves them alone.
            parts: What was merged into the profile.
            origin: Where the values came from; None notes nothing, but forgets the origins of what is removed.
            originals: Values as they came where others are in `changes`, as `arriving` gives them.

        Raises:
            IdentifierTakenError: Another customer has one of them; nothing was changed.
        """
        customer_id: str = document["_id"]
        origins: Provenance | None = None
        if origin is not None:
            origins = provenance_of(document, key)
            said = _Said(origins, [provenance_of(part.document, part.key) for part in parts], origin)
            changes = said.latest(_spelt(changes, document, origins, originals or {}))
        gained: list[Claim] = []
        lost: list[Claim] = []
        removed: set[Identifier] = set()
        if change is not None:
            before = identifiers_of(document, key)
            inherited = [each for part in parts for each in identifiers_of(part.document, part.key)]
            every = (*before, *(each for each in inherited if each not in before))
            whole = change(every) if origin is None else said.kept(change(every), every)
            after = _of_its_own(whole, before, inherited)
            removed = set(inherited).difference(whole)
            gained = [Claim(each.type, each.value, customer_id) for each in after if each not in before]
            lost = [Claim(each.type, each.value, customer_id) for each in every if each not in whole]
            changes = {**changes, **identifier_fields(after)}
            if origin is not None and (gone := said.identified(whole, every, originals or {})):
                changes["traits"] = {**gone, **(changes.get("traits") or {})}
        if parts and not await self._take_away(catalogue, parts, changes, removed):
            return False
        setting, removing = groups_changed(catalogue, key, document, changes, origins)
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

    def said(
        self,
        catalogue: Catalogue,
        document: Document,
        key: DataKey,
        changes: Mapping[str, Any],
        origin: Origin,
        originals: Mapping[str, str],
        *,
        fresh: timedelta,
    ) -> dict[str, Any] | None:
        """How to change a document without parts so that what somebody says holds, as `apply` would; identifiers stay.

        None where it holds already, and the same source said all of it less than `fresh` before; nothing is written here.
        """
        origins = provenance_of(document, key)
        spelt = _spelt(changes, document, origins, originals)
        if _told(spelt, origins, origin, fresh) and holds(catalogue, key, document, spelt):
            return None
        latest = _Said(origins, [], origin).latest(spelt)
        setting, removing = groups_changed(catalogue, key, document, latest, origins)
        setting["updated_at"] = self._now()
        return _update(setting, removing)

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
            its = {EXPIRES_AT, *(f"sealed.{group}" for group in sealed)}
            setting = {name: value for name, value in setting.items() if name in its}
            removing = {name: value for name, value in removing.items() if name in its}
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


class _Said:
    """What somebody says of a profile, held against what was said of it and its parts before."""

    def __init__(self, origins: Provenance, others: Sequence[Provenance], origin: Origin) -> None:
        self._origins = origins
        self._others = others
        self._origin = origin

    def latest(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The changes of which nothing later was said; they are noted."""
        found: dict[str, Any] = {}
        for name, value in changes.items():
            if name == "traits" and value is not None:
                value = {each: held for each, held in value.items() if not self._later(TRAIT + each)}  # noqa: PLW2901 - of all traits those
            elif self._later(name):
                continue
            found[name] = value
            heard(self._origins, name, value, self._origin)
        return found

    def kept(self, whole: Identifiers, before: Identifiers) -> Identifiers:
        """The identifiers there are to be, with a primary one that was said later in its place."""
        for kind, name in PRIMARY_FIELDS.items():
            old = primary(before, kind)
            if old is not None and old != primary(whole, kind) and self._later(name):
                whole = with_primary(whole, kind, old)
        return whole

    def identified(self, whole: Identifiers, before: Identifiers, originals: Mapping[str, str]) -> dict[str, None]:
        """Note what changed of the identifiers; the traits to remove, which keep how former ones came."""
        gone: dict[str, None] = {}
        fewer = set(whole) < set(before)
        for kind, name in PRIMARY_FIELDS.items():
            if (value := primary(whole, kind)) == primary(before, kind):
                continue
            trait = ORIGINAL + name
            if trait not in originals and self._origins.get(TRAIT + trait) is not None:
                gone[trait] = None
                heard(self._origins, TRAIT + trait, None, self._origin)
            if fewer and value is not None:  # it was there before, as another one; where from was not kept
                self._origins.drop(name)
            else:
                heard(self._origins, name, value, self._origin)
        if set(whole) != set(before) and not self._later("identifiers"):
            heard(self._origins, "identifiers", whole or None, self._origin)
        return gone

    def _later(self, name: str) -> bool:
        return any(each.later(name, self._origin.at) for each in (self._origins, *self._others))


def _told(changes: Mapping[str, Any], origins: Provenance, origin: Origin, fresh: timedelta) -> bool:
    """Whether the last word of each of these fields is the same source's, and not long ago."""
    names = [
        name
        for field, value in changes.items()
        for name in ((TRAIT + each for each in value) if field == "traits" and value is not None else (field,))
    ]
    known = [origins.get(name) for name in names]
    return all(
        each is not None
        and (each.kind, each.source, each.basis, each.licence, each.expires_at)
        == (origin.kind, origin.source, origin.basis, origin.licence, origin.expires_at)
        and each.at <= origin.at < each.at + fresh
        for each in known
    )


def _spelt(
    changes: Mapping[str, Any], document: Document, origins: Provenance, originals: Mapping[str, str]
) -> dict[str, Any]:
    """Changes in their usual spelling; as they came they are kept among the traits, for as long as they hold."""
    home = document.get("country") if "country" not in changes else None
    found, kept = arriving(changes, country=home)
    kept |= originals
    gone = {ORIGINAL + name: None for name in changes if ORIGINAL + name not in kept}
    known = {name: value for name, value in gone.items() if origins.get(TRAIT + name) is not None}
    if (kept or known) and changes.get("traits", ...) is not None:
        found["traits"] = {**known, **kept, **(changes.get("traits") or {})}
    return found


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
