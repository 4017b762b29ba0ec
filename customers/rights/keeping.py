"""Keeps what the law demands of somebody who is being erased: opened for the last time, and sealed under another key.

It happens when nobody else can read the person any more and nothing of them changes, and before their key is destroyed
(`ErasureStep.DRAINED`). It can be done again: the ids of keys and records follow from the person's key, so a second
time finds the same.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from audit import timestamp
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.reader import SCHEMA_VERSION as GROUP_SCHEMA
from customers.profiles.store import Collection, CustomerStore
from customers.rights.certificate import Kept
from customers.rights.retained import COLLECTION, GROUP, SCHEMA_VERSION, RetainedStore
from policies import Field, PolicySet, RetentionRule
from vault import CustomerKeyExistsError, DataKey, EnvelopeError, Erasure, Vault

RETENTION_ID = "ret_"
_COLLECTIONS: Mapping[str, Collection] = {"order": Collection.ORDERS, "ticket": Collection.TICKETS}
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Found:
    """A record that a rule keeps: whose, which, and until when."""

    rule: RetentionRule
    document: Mapping[str, Any]
    until: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """What an erasure would do.

    Attributes:
        profiles: How many profiles are the person's.
        records: How many orders and tickets there are, by object; all of them go.
        kept: What of them is kept besides, sealed anew, under which law and until when.
        reached: Where else something of the person is looked for.
    """

    profiles: int
    records: Mapping[str, int]
    kept: tuple[Kept, ...]
    reached: tuple[str, ...]


def found_by(
    rules: Sequence[RetentionRule], documents: Mapping[str, Sequence[Mapping[str, Any]]], now: datetime
) -> Iterator[Found]:
    """What the rules keep of these documents (by object), of those whose time is not over yet."""
    for rule in rules:
        for document in documents.get(rule.object, ()):
            moment = document.get(rule.moment)
            if moment is not None and rule.keeps(document) and (until := rule.until(_aware(moment))) > now:
                yield Found(rule, document, until)


def summed(found: Sequence[Found]) -> tuple[Kept, ...]:
    """How many records each rule keeps until when."""
    counts: dict[tuple[str, datetime], list[Found]] = {}
    for each in found:
        counts.setdefault((each.rule.name, each.until), []).append(each)
    return tuple(
        Kept(
            fields=records[0].rule.paths,
            law=records[0].rule.law,
            object=records[0].rule.object,
            records=len(records),
            rule=name,
            until=timestamp(until),
        )
        for (name, until), records in sorted(counts.items())
    )


class Keeper:
    """Keeps, counts what was kept, and settles what an erasure that came to nothing has left."""

    def __init__(
        self,
        store: CustomerStore,
        retained: RetainedStore,
        vault: Vault,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._retained = retained
        self._vault = vault
        self._policies = policies
        self._now = now

    async def found(self, customer_id: str) -> tuple[list[Found], dict[str, int]]:
        """What would be kept of this person, and how many records of each kind there are; nothing is opened."""
        members = await self._members(customer_id)
        documents = await self._documents([each["_id"] for each in members])
        return list(found_by(self._policies().retention, documents, self._now())), {
            kind: len(found) for kind, found in documents.items()
        }

    async def keep(self, erasure: Erasure) -> None:
        """Keep what the rules say, held until the erasure is finished. What is damaged cannot be kept, and is left out."""
        if not self._policies().retention or erasure.customer_id.startswith(RETENTION_ID):
            return
        held: list[dict[str, Any]] = []
        async with self._vault.reading():
            own = await self._vault.last_look(erasure.customer_id)
            members = await self._members(erasure.customer_id)
            # A part of somebody goes with them, and was kept with them.
            if own is None or not members or MERGED_INTO in members[0]:
                return
            documents = await self._documents([each["_id"] for each in members])
            found = list(found_by(self._policies().retention, documents, self._now()))
            if not found:
                return
            theirs = await self._vault.keys([each["_id"] for each in members[1:]]) if members[1:] else {}
            keys = {erasure.customer_id: own} | {
                name: key for name, key in theirs.items() if isinstance(key, DataKey)
            }
            held = await self._sealed(erasure, own, keys, members, found)
        # No key is needed any more, and thousands of records may take longer than a read.
        await self._retained.hold(held)

    async def _sealed(
        self,
        erasure: Erasure,
        own: DataKey,
        keys: Mapping[str, DataKey],
        members: Sequence[Mapping[str, Any]],
        found: Sequence[Found],
    ) -> list[dict[str, Any]]:
        ids = [_named(own, RETENTION_ID, each.rule.name, timestamp(each.until)) for each in found]
        new = await self._keys(sorted(set(ids)))
        held: list[dict[str, Any]] = []
        for each, key_id in zip(found, ids, strict=True):
            document = each.document
            key = keys.get(document["customer_id"])
            if key is None:
                continue
            values = {
                **_values(each.rule.person, Collection.PROFILES, members, keys),
                **_values(each.rule.fields, _COLLECTIONS[each.rule.object], [document], keys),
            }
            record_id = _named(own, "rec_", each.rule.name, document["_id"])
            held.append(
                {
                    "_id": record_id,
                    "key": key_id,
                    "leaf": erasure.leaf,
                    "rule": each.rule.name,
                    "object": each.rule.object,
                    "law": each.rule.law,
                    "fields": list(each.rule.paths),
                    "until": each.until,
                    "sealed": {GROUP: new[key_id].seal(COLLECTION, record_id, GROUP, SCHEMA_VERSION, values)},
                }
            )
        return held

    async def kept_of(self, erasure: Erasure) -> tuple[Kept, ...]:
        """What is held for an erasure, for its certificate."""
        counts: dict[tuple[str, datetime], list[dict[str, Any]]] = {}
        for each in await self._retained.held_of(erasure.leaf):
            counts.setdefault((each["rule"], _aware(each["until"])), []).append(each)
        return tuple(
            Kept(
                fields=tuple(records[0]["fields"]),
                law=records[0]["law"],
                object=records[0]["object"],
                records=len(records),
                rule=name,
                until=timestamp(until),
            )
            for (name, until), records in sorted(counts.items())
        )

    async def settle(self) -> list[str]:
        """See to records that are held for no erasure that goes on: databases were restored to different moments.

        Where the person's key is destroyed they are all that is left, and kept. Where it is not, the person is still
        there, and the records are removed; gives the retention ids whose keys are to be destroyed.
        """
        held = await self._retained.held()
        if not held:
            return []
        under_way = await self._vault.erasures_under_way()
        left = {each["leaf"] for each in held} - under_way
        for leaf in left:
            if self._vault.is_destroyed(leaf):
                await self._retained.keep(leaf)
        return sorted(
            {each["key"] for each in held if each["leaf"] in left and not self._vault.is_destroyed(each["leaf"])}
        )

    async def _members(self, customer_id: str) -> list[Mapping[str, Any]]:
        """The profile of a person, and those that were merged into it."""
        own = await self._store.find([customer_id])
        parts = own[0].get(PARTS, ()) if own else ()
        return [*own, *(await self._store.find(list(parts)) if parts else ())]

    async def _documents(self, customer_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        return {
            kind: await self._retained.of_customers(collection, customer_ids)
            for kind, collection in _COLLECTIONS.items()
        }

    async def _keys(self, retention_ids: Sequence[str]) -> dict[str, DataKey]:
        """Keys for these retention ids: those that there are, and new ones."""
        for _ in range(_ATTEMPTS):
            found = await self._vault.keys(retention_ids)
            missing = [each for each in retention_ids if each not in found]
            if not missing:
                break
            try:
                found = {**found, **await self._vault.create_keys(missing)}
                break
            except CustomerKeyExistsError:  # another process finishes the same erasure
                continue
        return {name: key for name, key in found.items() if isinstance(key, DataKey)}


def _values(
    fields: Sequence[Field],
    collection: Collection,
    documents: Sequence[Mapping[str, Any]],
    keys: Mapping[str, DataKey],
) -> dict[str, Any]:
    """The fields' values by path, each from the first of these documents that has one."""
    values: dict[str, Any] = {}
    groups = sorted({field.group for field in fields if field.group is not None})
    for document in documents:
        key = keys.get(document.get("customer_id", document["_id"]))
        if key is None:
            continue
        opened: dict[str, Any] = {}
        for group in groups:
            with contextlib.suppress(EnvelopeError):
                opened |= key.open_groups(
                    document.get("sealed") or {}, collection, document["_id"], (group,), GROUP_SCHEMA
                )
        for field in fields:
            value = document["_id"] if field.name == "id" else (opened if field.sealed else document).get(field.name)
            if value is not None:
                values.setdefault(field.path, _plain(value))
    return values


def _plain(value: Any) -> Any:
    return timestamp(_aware(value)) if isinstance(value, datetime) else value


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _named(key: DataKey, prefix: str, *words: str) -> str:
    """An id that follows from these words and the person's key, and tells nothing of either."""
    return prefix + key.pseudonym("\0".join(("confide/retained", prefix, *words)))[2:]
