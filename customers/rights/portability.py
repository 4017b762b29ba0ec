"""A copy of everything about one person, for them: a ZIP of JSON, CSV and a page to read (GDPR Art. 15(3), 20).

In it are the profile with where each value is from, orders, tickets, events, the consent ledger, who read what of them,
and to whom their data is given (GDPR Art. 15(1)(c)). Only what the caller may both read in clear and export is in it, so
the policy decides; what is left out is named in `about.json`. A spreadsheet runs nothing of the CSV. The record of the
export is durable before anything is read.
"""

import asyncio
import contextlib
import json
import zipfile
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Protocol

from audit import AccessLog, AccessQuery, Kind, Outcome, timestamp
from customers.access import Access, Known, in_scope
from customers.collection.event_reading import EventGateway, EventQuery, Position
from customers.consent.store import ConsentStore
from customers.disclosure import Disclosure, reference_text
from customers.errors import ExportNotAllowedError, ProfileNotFoundError
from customers.identity.model import new_id
from customers.profiles.provenance import PROVENANCE
from customers.profiles.service import ProfileGateway
from customers.profiles.store import Collection
from customers.rights import readable
from customers.rights.copy_files import SealingFile, copy_file, opened, part_of, sweep
from customers.rights.copy_rows import Rows, as_json, decision_row, entry_row, plain, put_list, recipient_row
from customers.rights.recipients import Recipient
from policies import Catalogue, Verdict
from vault import DataKey, EnvelopeError, Vault

LIFETIME: Final = timedelta(days=7)
_PAGE: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Giving(Protocol):
    """What knows to whom data is given."""

    async def given(self, customer_ids: Sequence[str]) -> Sequence[Recipient]:
        """As `RecipientService.given`."""


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
        recipients: To whom data is given; nothing is said of that where nobody knows.
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
        recipients: Giving | None = None,
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
        self._recipients = recipients

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
        known = asked.known[profile["document_id"]]
        file = await asyncio.to_thread(SealingFile, self._directory, copy_id, known.key, _others(known), self._random)
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
        whose = await self._whose_copy(access, customer_id)
        try:
            known = next(iter(whose.access.known.values()))
            bytes_ = opened(self._directory, copy_id, known.key, _others(known))
            first = await asyncio.to_thread(next, bytes_)
        except (FileNotFoundError, EnvelopeError):
            raise ProfileNotFoundError from None
        access.disclosure.entry = await self._record(whose)

        def whole() -> Iterator[bytes]:
            yield first
            yield from bytes_

        return whole()

    async def stream(self, access: Access, customer_id: str, copy_id: str) -> AsyncGenerator[bytes, None]:
        """As `parts`, for whoever takes their time: each part is a read of its own, so not inside `Vault.reading`.

        Where the person is erased meanwhile it ends with an error, and what was sent is not a whole ZIP.

        Raises:
            ProfileNotFoundError: As `parts`, before anything is given; or they were erased meanwhile.
            audit.AuditUnavailableError: It could not be recorded, so nothing is given.
        """
        number, last = 0, False
        file: BinaryIO | None = None
        try:
            while not last:
                async with self._vault.reading():
                    whose = await self._whose_copy(access, customer_id)
                    known = next(iter(whose.access.known.values()))
                    try:
                        if file is None:
                            file = await asyncio.to_thread(copy_file, self._directory, copy_id)
                        part, last = await asyncio.to_thread(
                            part_of, file, copy_id, number, known.key, _others(known)
                        )
                    except (FileNotFoundError, EnvelopeError):
                        raise ProfileNotFoundError from None
                    if not number:
                        access.disclosure.entry = await self._record(whose)
                number += 1
                yield part
        finally:
            if file is not None:
                file.close()

    def sweep(self) -> int:
        """Remove the copies whose time is over; give how many."""
        return sweep(self._directory, (self._now() - LIFETIME).timestamp())

    async def _whose_copy(self, access: Access, customer_id: str) -> _Whose:
        """The person whose copy the caller may fetch, who alone is known in it."""
        names = {"profile": self._names(access, "profile")}
        asked = Access(access.caller, access.grant, Disclosure(access.disclosure.request, access.grant, Kind.EXPORT))
        there = await self._gateway.by_ids(asked, frozenset({"id"}), [customer_id])
        if customer_id not in there or not names["profile"]:
            raise ProfileNotFoundError
        document_id = there[customer_id]["document_id"]
        if not self._may(access, "profile.id", asked, document_id):
            raise ProfileNotFoundError
        only = Access(access.caller, access.grant, asked.disclosure)
        only.known[document_id] = asked.known[document_id]
        return _Whose(only, customer_id, names)

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
        made_at = timestamp(self._now())
        about = {"made_at": made_at, "person": whose.customer_id, "left_out": left_out}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("about.json", as_json(about))
            bundle.writestr("profile.json", as_json(plain(profile)))
            lists = self._lists(whose, profile["document_id"])
            columns = {name: await put_list(bundle, name, rows) for name, rows in lists}
            with bundle.open("index.html", "w") as page:
                page.write(readable.opening(made_at).encode())
                told = json.loads(as_json(plain(profile)))
                for text in readable.profile(told, told.get("origins") or {}, self._catalogue):
                    page.write(text.encode())
                for name, rows in lists:
                    await self._show(page, name, rows, columns[name])
                page.write(readable.closing(left_out, self._catalogue).encode())

    async def _show(self, page: IO[bytes], name: str, rows: Callable[[], Rows], columns: Sequence[str]) -> None:
        """A list on the page: the first of it, where it is long."""
        page.write(readable.list_opening(name, columns, self._catalogue).encode())
        if not columns:
            return
        shown, more = 0, False
        async with contextlib.aclosing(rows()) as pages:
            async for some in pages:
                told = [json.loads(as_json(plain(each))) for each in some]
                page.write(readable.list_rows(told[: readable.SHOWN - shown], columns).encode())
                more = shown + len(told) > readable.SHOWN
                shown += len(told)
                if more:
                    break
        page.write(readable.list_closing(name, more=more).encode())

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
        if self._recipients is not None and "consents" in whose.names["profile"]:
            found.append(("recipients", partial(self._given, whose, document_id, self._recipients)))
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
            rows = [decision_row(each, each.proof(keys[each.customer_id])) for each in entries]
        yield rows

    async def _given(self, whose: _Whose, document_id: str, recipients: Giving) -> Rows:
        async with self._vault.reading():
            await self._again(whose)
            given = await recipients.given(list(self._keys(whose, document_id)))
        yield [recipient_row(each, self._catalogue) for each in given]

    async def _seen(self, whose: _Whose, document_id: str) -> Rows:
        """Who read what of them: the record's own words, without anybody else whom it is about."""
        async with self._vault.reading():
            await self._again(whose)
            references = [key.audit_reference for key in self._keys(whose, document_id).values()]
        for reference in references:
            query, after = AccessQuery(subject=reference_text(reference)), None
            while True:
                page = await self._log.search(query, after=after, limit=_PAGE)
                yield [entry_row(each, whose.names["access_entry"]) for each in page.entries]
                if (after := page.next) is None:
                    break

    def _keys(self, whose: _Whose, document_id: str) -> dict[str, DataKey]:
        known = whose.access.known[document_id]
        return {document_id: known.key} | _others(known)

    async def _again(self, whose: _Whose) -> None:
        """Know the person anew: their key is good for one read, and they may have been erased since."""
        found = await self._gateway.by_ids(whose.access, frozenset({"id"}), [whose.customer_id])
        if whose.customer_id not in found:
            raise ProfileNotFoundError


def _others(known: Known) -> dict[str, DataKey]:
    """The keys of the profiles that were merged into somebody's, by profile."""
    return {each.document["_id"]: each.key for each in known.parts}
