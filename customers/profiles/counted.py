"""Documents that a profile counts, its orders and tickets: written so that each counts once, whatever dies where.

Such a document and its profile cannot be written at once. So each thing said of a document has a token of its own, and
stands in the document as a step, with what it changes of the profile's sums:

1. the document is written, with the new step open;
2. the profile is written, if nobody else has meanwhile, with its sums changed and the tokens of the steps they count;
3. the steps are closed.

Whoever finds an open step sees in the profile whether the sums count it, and counts it where they do not. Before a
profile forgets the tokens it holds, their steps are closed. So a step counts once, wherever its writer dies, whoever
comes next, and whether or not the same is said again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from customers.profiles.reader import SCHEMA_VERSION
from customers.profiles.store import Collection, Document, bucket_of
from policies import Field
from vault import DataKey

STEPS: Final = "steps"
_MOST_STEPS: Final = 100
_DUPLICATE: Final = 11000
_WRITE_CONFLICT: Final = 112


class Became(StrEnum):
    """What became of what was said."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    # It is another customer's.
    TAKEN = "taken"
    # Nobody placed it.
    UNKNOWN = "unknown"
    # The same file states it in another row, and otherwise.
    REPEATED = "repeated"


@dataclass(slots=True)
class Entry:
    """A counted document on its way: as it is to be, and what of it is to be set where it is there already."""

    document: Document
    new: bool = False
    setting: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The document's id."""
        return str(self.document["_id"])

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """What was said of it, as far back as is remembered."""
        found: Sequence[Mapping[str, Any]] = self.document.get(STEPS, ())
        return found

    def known(self, token: str) -> Mapping[str, Any] | None:
        """The step of this token."""
        return next((each for each in self.steps if each["by"] == token), None)

    def set(self, values: Mapping[str, Any]) -> None:
        """Set fields, and sealed groups under `sealed.<group>`."""
        for name, value in values.items():
            outer, dot, group = name.partition(".")
            if dot:
                self.document = {**self.document, outer: {**self.document.get(outer, {}), group: value}}
            else:
                self.document = {**self.document, name: value}
            self.setting[name] = value

    def say(self, step: Mapping[str, Any]) -> None:
        """Add a step; of the oldest ones that are forgotten, the sum of what they changed is kept."""
        kept, forgotten = self.steps[-(_MOST_STEPS - 1) :], self.steps[: -(_MOST_STEPS - 1)]
        self.set({STEPS: [*kept, dict(step)]})
        if forgotten:
            total = sum(each.get("total", 0) for each in forgotten)
            self.set({"total_before": self.document.get("total_before", 0) + total})

    def close(self, counted: Mapping[str, str]) -> bool:
        """Close the steps of these tokens; whether there were any open."""
        steps = [{**each, "open": each["open"] and each["by"] not in counted} for each in self.steps]
        if steps == list(self.steps):
            return False
        self.set({STEPS: steps})
        return True

    def place(self, customer_id: str, ordinal: int) -> None:
        """Give it its place among its customer's."""
        if self.document.get("ordinal") != ordinal:
            self.set({"ordinal": ordinal, "bucket": bucket_of(customer_id, ordinal)})

    def written(self) -> None:
        """It is stored as it is to be now."""
        self.document = {**self.document, "revision": self._revision}
        self.new, self.setting = False, {}

    @property
    def _revision(self) -> int:
        return 1 if self.new else int(self.document["revision"]) + 1

    def insertion(self) -> Document:
        """The whole document, to be inserted."""
        return {**self.document, "revision": 1}

    def replacement(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The document as it was, and the update of it."""
        was = {"_id": self.id, "revision": self.document["revision"]}
        return was, {"$set": {**self.setting, "revision": self._revision}}


class CountedStore:
    """Reads and writes the documents; what they hold is for others to know."""

    def __init__(self, database: AsyncDatabase[Document], collection: Collection) -> None:
        self._documents = database[collection]

    async def find(self, ids: Iterable[str]) -> dict[str, Entry]:
        """Those of these documents that are there, by id."""
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        found = await self._documents.find({"_id": {"$in": wanted}}).to_list(None)
        return {each["_id"]: Entry(each) for each in found}

    async def moments(self, customer_ids: Sequence[str], name: str) -> dict[str, dict[str, Any]]:
        """A moment of every document of these customers: by customer, then by document."""
        found: dict[str, dict[str, Any]] = {each: {} for each in customer_ids}
        query = {"customer_id": {"$in": list(customer_ids)}}
        for each in await self._documents.find(query, {"customer_id": 1, name: 1}).to_list(None):
            found[each["customer_id"]][each["_id"]] = each.get(name)
        return found

    async def write(self, entries: Iterable[Entry]) -> bool:
        """Write these, one after the other; whether nobody else had written any of them meanwhile."""
        for entry in entries:
            if entry.new:
                try:
                    await self._documents.insert_one(entry.insertion())
                except DuplicateKeyError:
                    return False
            elif entry.setting:
                if not (await self._documents.update_one(*entry.replacement())).matched_count:
                    return False
            else:
                continue
            entry.written()
        return True

    async def write_many(self, entries: Sequence[Entry]) -> bool:
        """Write these, together; whether nobody else had written any of them meanwhile. Some are written if so."""
        new = [each for each in entries if each.new]
        changed = [each for each in entries if not each.new and each.setting]
        matched = len(changed)
        try:
            if new:
                await self._documents.insert_many([each.insertion() for each in new], ordered=False)
            if changed:
                updates = [UpdateOne(*each.replacement()) for each in changed]
                matched = int((await self._documents.bulk_write(updates, ordered=False)).matched_count)
        except BulkWriteError as error:
            if any(each["code"] not in (_DUPLICATE, _WRITE_CONFLICT) for each in error.details["writeErrors"]):
                raise
            return False
        if matched != len(changed):
            return False
        for each in (*new, *changed):
            each.written()
        return True


def laid_over(
    fields: Iterable[Field],
    collection: Collection,
    key: DataKey,
    document: Mapping[str, Any],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """What to set in a document so that it has these values; what it has besides in the same sealed groups stays.

    An object is laid over the one that is there.
    """
    setting: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for each in fields:
        value = values.get(each.name)
        if value is None or each.name == "id":
            continue
        if each.group is None:
            if document.get(each.name) != value:
                setting[each.name] = value
        else:
            groups.setdefault(each.group, {})[each.name] = value
    for group, told in groups.items():
        held = opened(collection, key, document, group)
        laid = {name: _over(held.get(name), value) for name, value in told.items()}
        if any(held.get(name) != value for name, value in laid.items()):
            setting[f"sealed.{group}"] = key.seal(
                collection, document["_id"], group, SCHEMA_VERSION, {**held, **laid}
            )
    return setting


def opened(collection: Collection, key: DataKey, document: Mapping[str, Any], group: str) -> dict[str, Any]:
    """What a sealed group of a document holds; nothing where there is none."""
    envelope = (document.get("sealed") or {}).get(group)
    if envelope is None:
        return {}
    return key.open(envelope, collection, document["_id"], group, SCHEMA_VERSION)


def uncounted(entries: Iterable[Entry], customer_id: str, held: Mapping[str, str]) -> Iterator[tuple[Entry, Any]]:
    """The steps of a customer's documents that are open and that the profile does not count."""
    for entry in entries:
        if entry.document["customer_id"] == customer_id:
            for step in entry.steps:
                if step["open"] and step["by"] not in held:
                    yield entry, step


def _over(held: Any, told: Any) -> Any:
    return {**held, **told} if isinstance(held, dict) and isinstance(told, dict) else told
