"""A copy of everything about one person, for them: a ZIP of JSON and CSV (GDPR Art. 15(3), 20).

In it are the profile with where each value is from, orders, tickets, events, the consent ledger, and who read what of
them. Only what the caller may both read in clear and export is in it, so the policy decides; what is left out is named
in `about.json`. A spreadsheet runs nothing of the CSV. The record of the export is durable before anything is read.
"""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from audit import AccessLog, AccessQuery, Kind, Outcome, timestamp
from customers.access import Access, in_scope
from customers.collection.errors_file import spreadsheet_safe
from customers.collection.event_reading import EventGateway, EventQuery, Position
from customers.consent.store import ConsentStore
from customers.disclosure import Disclosure, reference_text
from customers.errors import ExportNotAllowedError, ProfileNotFoundError
from customers.identity.model import new_id
from customers.profiles.provenance import PROVENANCE
from customers.profiles.service import ProfileGateway
from customers.profiles.store import Collection
from customers.rights.copy_files import SealingFile, opened, sweep
from policies import Catalogue, Verdict
from vault import DataKey, EnvelopeError, Vault

LIFETIME: Final = timedelta(days=7)
_PAGE: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final = {"position", "document_id"}
Rows = AsyncIterator[list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class _Whose:
    access: Access
    customer_id: str
    names: Mapping[str, frozenset[str]]


class Copies:
    """Makes copies, opens them, and removes them when their time is over.

    Args:
        directory: Where they lie, sealed.
        gateway, events, consents, log: Where the data is; no events where there is no gateway for them.
        vault: The keys.
        catalogue: Which fields there are.
        now: The time.
        random: Gives that many random bytes.
    """

    def __init__(
        self,
        directory: Path,
        gateway: ProfileGateway,
        events: EventGateway | None,
        consents: ConsentStore,
        log: AccessLog,
        vault: Vault,
        catalogue: Catalogue,
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._directory = directory
        self._gateway = gateway
        self._events = events
        self._consents = consents
        self._log = log
        self._vault = vault
        self._catalogue = catalogue
        self._now = now
        self._random = random

    async def make(self, access: Access, customer_id: str) -> str:
        """Make a copy and give its id; a part at a time, each a read of its own: not inside `Vault.reading`.

        Raises:
            ExportNotAllowedError: The caller may export nothing.
            ProfileNotFoundError: There is nobody whom the caller may see by this id.
            audit.AuditUnavailableError: It could not be recorded, so nothing was read.
            vault.VaultError, OSError: It could not be made; nothing is left of it.
        """
        names = {each: self._names(access, each) for each in ("profile", "order", "ticket", "event", "access_entry")}
        if not any(names.values()):
            raise ExportNotAllowedError(["profile.id"])
        asked = Access(access.caller, access.grant, Disclosure(access.disclosure.request, access.grant, Kind.EXPORT))
        whose = _Whose(asked, customer_id, names)
        profile = await self._profile(whose)
        access.disclosure.entry = await self._record(whose)
        copy_id = new_id("cop_", self._random)
        file = await asyncio.to_thread(SealingFile, self._directory, copy_id, asked.known[profile["document_id"]].key)
        try:
            await self._fill(file, whose, profile)
            await asyncio.to_thread(file.finish)
        except BaseException:
            file.close()
            raise
        return copy_id

    async def parts(self, access: Access, customer_id: str, copy_id: str) -> Iterator[bytes]:
        """The bytes of a copy, once it is recorded that it is fetched; inside `Vault.reading`.

        Raises:
            ProfileNotFoundError: The caller has no such copy of this person's: there is none, or it is another's.
        """
        names = {"profile": self._names(access, "profile")}
        asked = Access(access.caller, access.grant, Disclosure(access.disclosure.request, access.grant, Kind.EXPORT))
        found = await self._gateway.by_ids(asked, frozenset({"id"}), [customer_id])
        if customer_id not in found or not names["profile"]:
            raise ProfileNotFoundError
        known = asked.known[found[customer_id]["document_id"]]
        if not self._may(access, "profile.id", asked, found[customer_id]["document_id"]):
            raise ProfileNotFoundError
        whose = _Whose(asked, customer_id, names)
        try:
            bytes_ = opened(self._directory, copy_id, known.key)
            first = await asyncio.to_thread(next, bytes_)
        except (FileNotFoundError, EnvelopeError):
            raise ProfileNotFoundError from None
        access.disclosure.entry = await self._record(whose)

        def whole() -> Iterator[bytes]:
            yield first
            yield from bytes_

        return whole()

    def sweep(self) -> int:
        """Remove the copies whose time is over; give how many."""
        return sweep(self._directory, (self._now() - LIFETIME).timestamp())

    # ---- what may be in it

    def _names(self, access: Access, name: str) -> frozenset[str]:
        """The fields of an object that the caller may read in clear and export, of somebody at least."""
        return frozenset(
            each.name
            for each in self._catalogue.object(name)
            if access.grant.export[each.path]
            and any(one.verdict is Verdict.CLEAR for one in access.grant.read[each.path].alternatives)
        )

    def _may(self, access: Access, path: str, asked: Access, document_id: str) -> bool:
        circumstances = asked.known[document_id].circumstances
        ways = access.grant.export[path].alternatives
        return circumstances.reason is None and any(in_scope(each.scope, circumstances) for each in ways)

    async def _profile(self, whose: _Whose) -> dict[str, Any]:
        async with self._vault.reading():
            wanted = whose.names["profile"] | {"id", PROVENANCE}
            found = await self._gateway.by_ids(whose.access, wanted, [whose.customer_id])
        values = found.get(whose.customer_id)
        if values is None or not self._may(whose.access, "profile.id", whose.access, values["document_id"]):
            raise ProfileNotFoundError
        return values

    async def _record(self, whose: _Whose) -> str:
        noted = Disclosure(whose.access.disclosure.request, whose.access.grant, Kind.EXPORT)
        for name, fields in whose.names.items():
            noted.add_fields(
                {
                    f"{name}.{each}": (
                        Verdict.CLEAR,
                        whose.access.grant.export[f"{name}.{each}"].alternatives[0].rule,
                    )
                    for each in fields
                }
            )
        for known in whose.access.known.values():
            noted.add_subject(known.key.audit_reference, (), [each.key.audit_reference for each in known.parts])
        return str(await self._log.append(noted.record(self._now(), Outcome.ALLOWED)))

    # ---- what is in it

    async def _fill(self, file: SealingFile, whose: _Whose, profile: dict[str, Any]) -> None:
        left_out = sorted(
            each.path
            for name, names in whose.names.items()
            for each in self._catalogue.object(name)
            if each.name not in names
        )
        about = {"made_at": timestamp(self._now()), "person": whose.customer_id, "left_out": left_out}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("about.json", _json(about))
            bundle.writestr("profile.json", _json(_plain(profile)))
            for name, rows in self._lists(whose, profile["document_id"]):
                await _put(bundle, name, rows)

    def _lists(self, whose: _Whose, document_id: str) -> list[tuple[str, Callable[[], Rows]]]:
        """What there may be many of: the name of its files, and how to read it, which is done once for each form."""
        found: list[tuple[str, Callable[[], Rows]]] = []
        for name, collection in (("order", Collection.ORDERS), ("ticket", Collection.TICKETS)):
            if whose.names[name]:
                found.append((f"{name}s", partial(self._bought, whose, document_id, name, collection)))
        if self._events is not None and whose.names["event"]:
            found.append(("events", partial(self._told, whose, document_id, self._events)))
        if "consents" in whose.names["profile"]:
            found.append(("consents", partial(self._decided, whose, document_id)))
        if whose.names["access_entry"]:
            found.append(("reads", partial(self._seen, whose, document_id)))
        return found

    async def _bought(self, whose: _Whose, document_id: str, name: str, kind: Collection) -> Rows:
        before, names = None, whose.names[name] | {"id"}
        while True:
            async with self._vault.reading():
                await self._again(whose)
                page = await self._gateway.newest(whose.access, kind, names, [document_id], _PAGE, before)
            rows = page.get(document_id, [])
            yield rows
            if len(rows) < _PAGE:
                return
            before = rows[-1]["position"]

    async def _told(self, whose: _Whose, document_id: str, events: EventGateway) -> Rows:
        before: Position | None = None
        names = whose.names["event"] | {"id"}
        while True:
            async with self._vault.reading():
                await self._again(whose)
                page = await events.newest(whose.access, names, [document_id], EventQuery(_PAGE), before)
            rows = page.get(document_id, [])
            yield rows[:_PAGE]
            if len(rows) <= _PAGE:
                return
            milliseconds, name = rows[_PAGE - 1]["position"]
            before = (_EPOCH + timedelta(milliseconds=milliseconds), name)

    async def _decided(self, whose: _Whose, document_id: str) -> Rows:
        async with self._vault.reading():
            await self._again(whose)
            keys = self._keys(whose, document_id)
            entries = await self._consents.of(list(keys))
            rows = [_decision(each, each.proof(keys[each.customer_id])) for each in entries]
        yield rows

    async def _seen(self, whose: _Whose, document_id: str) -> Rows:
        """Who read what of them: the record's own words, without anybody else whom it is about."""
        async with self._vault.reading():
            await self._again(whose)
            references = [key.audit_reference for key in self._keys(whose, document_id).values()]
        for reference in references:
            query, after = AccessQuery(subject=reference_text(reference)), None
            while True:
                page = await self._log.search(query, after=after, limit=_PAGE)
                yield [_entry(each, whose.names["access_entry"]) for each in page.entries]
                if (after := page.next) is None:
                    break

    def _keys(self, whose: _Whose, document_id: str) -> dict[str, DataKey]:
        known = whose.access.known[document_id]
        return {document_id: known.key} | {each.document["_id"]: each.key for each in known.parts}

    async def _again(self, whose: _Whose) -> None:
        """Know the person anew: their key is good for one read, and they may have been erased since."""
        found = await self._gateway.by_ids(whose.access, frozenset({"id"}), [whose.customer_id])
        if whose.customer_id not in found:
            raise ProfileNotFoundError


async def _put(bundle: zipfile.ZipFile, name: str, rows: Callable[[], Rows]) -> None:
    """A list as JSON and as CSV, read once for each, so that it is never held whole."""
    columns: dict[str, None] = {}
    with bundle.open(f"{name}.json", "w") as file:
        separator = b"[\n"
        async for page in rows():
            for each in map(_plain, page):
                columns |= dict.fromkeys(each)
                file.write(separator + _json(each).encode())
                separator = b",\n"
        file.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
    with bundle.open(f"{name}.csv", "w") as file:
        file.write(_csv(columns))
        async for page in rows():
            for each in map(_plain, page):
                file.write(_csv([each.get(name) for name in columns]))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """A document as it is told; a value that was damaged is told to be, and does not cost the rest."""
    return {
        name: "(damaged)" if isinstance(value, EnvelopeError) else value
        for name, value in values.items()
        if name not in _PLAIN
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_text)


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    if hasattr(value, "__slots__") and hasattr(value, "at"):  # an origin
        return {name: getattr(value, name) for name in value.__slots__}
    return "(damaged)" if isinstance(value, EnvelopeError) else str(value)


def _csv(cells: Sequence[Any] | Mapping[str, None]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow([spreadsheet_safe(_cell(each)) for each in cells])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value).strip('"')


def _decision(entry: Any, proof: str | None) -> dict[str, Any]:
    said = entry.decision
    return {
        "id": entry.id,
        "purpose": said.purpose,
        "state": said.state.value,
        "channel": None if said.channel is None else said.channel.value,
        "at": timestamp(said.at),
        "recorded_at": None if entry.recorded_at is None else timestamp(entry.recorded_at),
        "expires_at": None if said.expires_at is None else timestamp(said.expires_at),
        "source": said.source,
        "notice": said.notice,
        "proof": proof,
    }


def _entry(entry: Any, names: frozenset[str]) -> dict[str, Any]:
    record = entry.record
    told = {
        "id": str(entry.id),
        "time": record.time,
        "actor": record.actor,
        "roles": list(record.roles),
        "client": record.client,
        "purpose": record.purpose,
        "operation": record.operation,
        "fields": sorted({path for each in record.decisions for path in each.fields if each.decision != "withheld"}),
        "outcome": record.outcome.value,
        "policy_version": record.policy,
    }
    return {name: value for name, value in told.items() if name in names}
