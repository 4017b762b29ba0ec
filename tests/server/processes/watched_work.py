"""What the processes of `kill_awaits` do, each in a process of its own: `PART WORK [NAME [PLACE]]`.

`prepare` puts somebody wherever the platform keeps anything about anybody, and brings the work to where it can begin;
`do` does it, and says at which places it waited, unless it was killed at one; `finish` is the process that starts next:
it has the work brought to its end, and says what is not as it should be then. Each says it on stdout, as JSON.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from audit import AccessReader, Record, decode_record
from audit import Kind as RecordKind
from customers.access import Access
from customers.outgoing import Allowed
from customers.rights.recipients import Recipient, RecipientKind
from customers.rights.requests import Kind, State, Verification
from server.clock import utc_now
from server.logs import configure
from server.platform import Platform, open_platform
from server.recipients import notices, recipients, runner, way_out
from server.settings import Settings
from tests.server.processes.awaits import Watch
from tests.server.test_nothing_left import REMAINS, places, planted, shopify

NUMBER = 482_159
WORDS = (f"zq{NUMBER}x", shopify(NUMBER))
"""What begins every value of the person, and stands nowhere else."""
# As long as a job may be held by a process that died.
_LATER = timedelta(minutes=5)
_PEOPLE = "cus_"
_KEPT = 2  # the person is two profiles, and each has an order that is kept


def officer(platform: Platform, name: str = "ben") -> Access:
    return platform.access(name, ("privacy_officer",), "privacy_request")


# ---- what is prepared


async def _prepare(platform: Platform, work: str) -> dict[str, Any]:
    settings = platform.settings
    told = Recipient(
        "paper",
        RecipientKind.WEBHOOK,
        f"{settings.outgoing_allowed[0]}/told",
        ("email",),
        ("profile.city",),
        utc_now(),
    )
    await recipients(platform).add(told, Allowed(settings.outgoing_allowed))
    # What somebody bought is kept in clear, so it says nothing of them here.
    ids = await planted(platform, NUMBER, sku="LP-1")
    # Of a creation that died half way: a person who is whole has none.
    await platform.main["creations"].delete_many({})
    name = ids[0]
    if work == "tell":
        await platform.services.eraser.erase(officer(platform), name)
    elif work != "erase":
        name = await _request(platform, ids[0], Kind(work))
    return {"ids": ids, "name": name}


async def _request(platform: Platform, customer_id: str, kind: Kind) -> str:
    """A request that the second of two persons has only to complete."""
    first, requests = officer(platform, "ana"), platform.requests
    async with platform.vault.reading():
        opened = await requests.open(first, kind, customer_id, source="letter")
        how = Verification.DOCUMENT if not opened.agent else Verification.AUTHORITY
        await requests.confirm(first, opened.id, how)
        await requests.begin(first, opened.id)
    if kind is Kind.ERASURE:
        await requests.complete(first, opened.id)
    return opened.id


# ---- what is done, and killed


async def _erase(platform: Platform, name: str) -> None:
    await platform.services.eraser.erase(officer(platform), name)


async def _tell(platform: Platform, _name: str = "") -> None:
    """Tell the recipients, and destroy the key of what they were told, as the worker does."""
    async with way_out(platform) as client:
        await runner(platform, client).run_due()
    await notices(platform).sweep(platform.services.eraser.destroy)


async def _complete(platform: Platform, name: str) -> None:
    await platform.requests.complete(officer(platform), name)


WORKS: dict[str, Callable[[Platform, str], Awaitable[None]]] = {
    "erase": _erase,
    "tell": _tell,
    **dict.fromkeys(Kind, _complete),
}


async def _do(platform: Platform, work: str, name: str, place: str | None = None) -> list[str]:
    watch = Watch(place)
    await watch.over(WORKS[work](platform, name))
    return watch.places


# ---- what must be so in the end


async def _finish(platform: Platform, work: str, name: str, *ids: str) -> dict[str, Any]:
    """Bring it to its end, as far as the start has not; say what is wrong, and whom the recipients were told of."""
    if work == "erase":
        faults = await _erased_if_begun(platform, name)
    elif work == "tell":
        faults = []
    else:
        faults = await _completed_again(platform, name, Kind(work))
    told = []
    if work in ("erase", "tell", Kind.ERASURE):
        await _tell(replace(platform, now=lambda: utc_now() + _LATER))
        told = [each["_id"] for each in await _notices_of_erasures(platform)]
        faults += await _nothing_left(platform, ids)
    return {"faults": faults, "told": told}


async def _erased_if_begun(platform: Platform, customer_id: str) -> list[str]:
    """Whoever was not begun with is there as before, and is erased now."""
    if await platform.keys["erasures"].find_one({"_id": customer_id}) is not None:
        return []
    document = await platform.main["profiles"].find_one({"_id": customer_id})
    bought = await platform.main["orders"].find_one({"customer_id": customer_id})
    await _erase(platform, customer_id)
    return [] if document and bought else ["an erasure that was not begun took something away"]


async def _completed_again(platform: Platform, request_id: str, kind: Kind) -> list[str]:
    """Completed by the same person, who does not know how far it came, it is met, once, with the evidence in the log."""
    if await platform.requests.due(request_id) is not None:
        await _complete(platform, request_id)
    access, faults = officer(platform, "ana"), []
    async with platform.vault.reading():
        request = (await platform.requests.get(access, request_id)).request
    if request.state is not State.COMPLETED:
        faults.append(f"a request of {kind.value} is {request.state.value}")
    known = await _records(platform)
    if any(each.entry is not None and each.entry not in known for each in request.steps):
        faults.append("a step of a request has no record")
    if kind is Kind.ACCESS:
        async with platform.vault.reading():
            parts = b"".join(await platform.copies.parts(access, request.customer_id, request.result))
        if parts[:2] != b"PK":
            faults.append("a request for a copy has led to none")
    elif kind is not Kind.ERASURE:
        profile = await platform.main["profiles"].find_one({"_id": request.customer_id})
        if not (profile["rights"]["objected"] or profile["rights"]["restricted"]):
            faults.append(f"a request of {kind.value} is completed and nobody feels it")
    return faults


async def _nothing_left(platform: Platform, ids: tuple[str, ...]) -> list[str]:
    """Nothing of the person is in any document or file; what the law demands is kept, and certified; all are told."""
    left = await places(platform, *ids)
    faults = [f"the number of an erased customer is in {each}" for each in left - set(REMAINS)]
    faults += [f"a value of an erased customer is in {each}" for each in await places(platform, *WORDS)]
    erasures = await platform.keys["erasures"].find({}).to_list(None)
    if any(each.get("open") or each["done"] != "finished" for each in erasures):
        faults.append("an erasure is open")
    people = sorted(each["_id"] for each in erasures if each["_id"].startswith(_PEOPLE))
    if people != sorted(ids):
        faults.append(f"{len(people)} profiles are erased, and not these two")
    records = await _records(platform)
    done = [each.erasure for each in records.values() if each.kind is RecordKind.ERASURE_DONE]
    known = {each.certificate for each in done if each.certificate}
    certificates = await platform.main["certificates"].find({}).to_list(None)
    if (
        len(certificates) != _KEPT
        or len(known) != _KEPT
        or any(each["entry"] not in records for each in certificates)
    ):
        faults.append("an erasure has no certificate, or the log does not know it")
    retained = await platform.main["retained"].find({}).to_list(None)
    if len(retained) != _KEPT or {each["state"] for each in retained} != {"kept"}:
        faults.append(f"{len(retained)} invoices are kept of {_KEPT}, or not to the end")
    return faults + await _not_told(platform, records)


async def _not_told(platform: Platform, records: dict[str, Record]) -> list[str]:
    """The recipient was told once, which is recorded; what they were told nobody can read any more."""
    found = await _notices_of_erasures(platform)
    if len(found) != 1 or found[0]["state"] != "told" or "sealed" in found[0]:
        return [f"there are {len(found)} notices of an erasure, or not told to the end"]
    if found[0]["receipt"]["entry"] not in records:
        return ["what a recipient was told is not in the log"]
    key = await platform.keys["data_keys"].find_one({"_id": found[0]["key"]}) or {"state": "gone"}
    if key["state"] != "erased" or await platform.main["recipient_notices"].find_one({}) is not None:
        return ["the key of what a recipient was told is not destroyed"]
    return []


async def _notices_of_erasures(platform: Platform) -> list[dict[str, Any]]:
    return await platform.main["recipient_deliveries"].find({"kind": "erasure"}).to_list(None)


async def _records(platform: Platform) -> dict[str, Record]:
    """Every record of the access log by its entry's id, each shard verified."""
    log, found = AccessReader.over(platform.audit, now=utc_now), {}
    for shard in await log.shards():
        check = await log.verify_shard(shard)
        assert check, check.fault
        async for batch in log.batches(shard, check.head.size):
            found |= {f"{shard}.{batch.first + at}": decode_record(data) for at, data in enumerate(batch.records)}
    return found


async def _run(part: str, *arguments: str) -> Any:
    parts = {"prepare": _prepare, "do": _do, "finish": _finish}
    async with open_platform(Settings()) as platform:
        return await parts[part](platform, *arguments)


def main() -> None:
    configure("DEBUG")
    sys.stdout.write(json.dumps(asyncio.run(_run(*sys.argv[1:]))))
