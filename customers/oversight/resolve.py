"""From audit references to people: for the privacy officer, who has to tell them (GDPR Art. 34).

A reference leads to nobody. So every living customer's key is asked for its reference, a page of customers at a time,
and those that were met are told. Whoever was erased is found by nobody, in any way. Who was merged into another is that
person: told under their id, by their rights, and once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audit import Kind, Outcome
from customers.access import Access, in_scope
from customers.disclosure import Disclosure, reference_text
from customers.errors import ExportNotAllowedError
from customers.oversight.history import Log
from customers.oversight.impact import Radius, Trace
from customers.oversight.references import Marks
from customers.profiles.joined import MERGED_INTO, PARTS
from customers.profiles.reader import circumstances_of
from customers.profiles.store import CustomerStore, Document
from policies import Verdict
from vault import DataKey, Vault

EXPORTED = ("profile.id", "access_entry.fields", "access_entry.time")
"""What is told of each customer: who, what was read, and when."""

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Affected:
    """A living customer, and what was read of them."""

    customer_id: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a search for people ended.

    Attributes:
        found: How many customers were given out.
        refused: How many were met whose rights do not allow the stated purpose, or who are outside the role's scope.
        nobody: How many references belong to nobody who lives in the database: customers who were erased.
    """

    found: int
    refused: int
    nobody: int


async def resolve(
    radius: Radius,
    access: Access,
    write: Callable[[Sequence[Affected]], None],
    *,
    log: Log,
    store: CustomerStore,
    vault: Vault,
    now: Callable[[], datetime],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Resolution:
    """Give out the living customers that were met, a part at a time, each part recorded as an export before.

    A customer who is erased meanwhile is given out before the erasure or not at all.

    Args:
        radius: What was read, counted by people (`People`): who was merged since is told by what was met of them first.
        access: Who asks, for which purpose; must be allowed to export what `EXPORTED` names.
        write: Is given each part; the parts need not be kept.
        log: Takes the records.
        store: Where the customers are.
        vault: Where their keys are.
        now: The time.
        progress: Told how many customers of how many were looked at.

    Raises:
        ExportNotAllowedError: The caller may not; nobody was looked at.
        audit.AuditUnavailableError: A part could not be recorded; it and those after it were not given out.
        vault.VaultError: A key cannot be used.
    """
    _require(access)
    found = refused_here = after = 0
    met = Marks()
    joined: set[str] = set()
    last = await store.last_sequence()
    projection = {"seq": 1, "region": 1, "rights": 1, MERGED_INTO: 1, PARTS: 1}
    while documents := await store.page({}, after=after, limit=_AT_ONCE, projection=projection):
        after = documents[-1]["seq"]
        async with vault.reading():
            survivors = await _survivors(store, documents, projection)
            keys = await vault.keys([*(each["_id"] for each in documents), *survivors])
            part: list[Affected] = []
            disclosure = _disclosure(access)
            for document in documents:
                key = keys.get(document["_id"])
                if not isinstance(key, DataKey):
                    continue
                trace = radius.trace(reference_text(key.audit_reference))
                if trace is None:
                    continue
                met.add(trace.number)
                person = survivors.get(str(document.get(MERGED_INTO)), document)
                if person["_id"] in joined:
                    continue
                if person is not document or PARTS in document:
                    joined.add(person["_id"])
                if _may_tell(access, person, now()):
                    theirs = keys.get(person["_id"])
                    disclosure.add_subject((theirs if isinstance(theirs, DataKey) else key).audit_reference)
                    part.append(Affected(person["_id"], trace))
                else:
                    refused_here += 1
            if part:
                await log.append(disclosure.record(now(), Outcome.ALLOWED, Kind.EXPORT))
                write(part)
                found += len(part)
        progress(min(after, last), last)
    if not found:
        await log.append(_disclosure(access).record(now(), Outcome.NOT_FOUND, Kind.EXPORT))
    return Resolution(found, refused_here, len(radius) - len(met))


def _require(access: Access) -> None:
    refused = [path for path in EXPORTED if not access.grant.export[path]]
    if refused:
        raise ExportNotAllowedError(refused)


async def _survivors(
    store: CustomerStore, documents: Sequence[Document], projection: Mapping[str, int]
) -> dict[str, Document]:
    """The profiles that some of these were merged into, by id."""
    others = sorted({each[MERGED_INTO] for each in documents if MERGED_INTO in each})
    return {each["_id"]: each for each in await store.find(others, projection)} if others else {}


def _disclosure(access: Access) -> Disclosure:
    disclosure = Disclosure(access.disclosure.request, access.grant)
    ways = {path: access.grant.export[path].alternatives[0] for path in EXPORTED}
    disclosure.add_fields({path: (Verdict.CLEAR, way.rule) for path, way in ways.items()})
    return disclosure


def _may_tell(access: Access, document: Document, now: datetime) -> bool:
    """Whether this customer's rights and place allow it."""
    circumstances = circumstances_of(document, access.caller, access.grant, now)
    return circumstances.reason is None and all(
        any(in_scope(each.scope, circumstances) for each in access.grant.export[path].alternatives)
        for path in EXPORTED
    )
