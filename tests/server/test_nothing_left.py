"""Whoever is erased is in nothing that is kept: databases and files, but for what is named here and leads nowhere.

A person is put wherever the platform keeps anything about anybody, under values that stand nowhere else. A collection
that is new has to be named here: either something of the person is put into it, or it says nothing of anybody.
"""

import asyncio
import contextlib
import io
import json
import os
import uuid
import zipfile
from dataclasses import replace
from datetime import timedelta

from bson import encode

from audit import AccessQuery, BundleForm
from customers.access import Access
from customers.caller import Caller
from customers.collection.event_store import EventStore
from customers.collection.webhooks.delivery import PrivacyRequest, RequestKind
from customers.disclosure import Disclosure, Request, reference_text
from customers.identity.cases import Finding
from customers.identity.finding import PURPOSE, READER
from customers.identity.model import IdentifierType
from customers.identity.rules import CaseKind
from customers.jobs import JobStore, NewJob
from customers.outgoing import Allowed
from customers.oversight.exports import Stage, Wanted
from customers.quality import CorrectionQueue
from customers.quality.queue import Found
from customers.rights.reach import REACHED
from customers.rights.recipients import Recipient, RecipientKind
from customers.rights.requests import Kind as Asked
from customers.spelling.normalising import SuggestionKind
from server.access.portal_sessions import PortalSessionStore
from server.access.sign_in_links import Asking, LinkStore
from server.clock import utc_now
from server.platform import open_platform
from server.recipients import recipients
from server.settings import Settings
from server.webhooks import privacy_intake
from tests.customers.collection.gathering import identify, order, track
from tests.schema.canaries import leaks
from tests.schema.world import granted, person, ticket
from tests.schema.world import order as had

PLANTED = {
    "profiles", "orders", "tickets", "consent_ledger", "blind_index", "merges", "identity_cases", "quality_corrections",
    "events", "event_batches", "event_recounts", "privacy_intake", "creations", "violations", "match_tokens",
    "match_records", "privacy_requests", "jobs", "recipient_deliveries",
    "sign_in_links", "portal_sessions",
}  # fmt: skip
"""What names somebody, or may."""
UNNAMED = {"violations", "blind_index"}
"""Of these, what has no number of anybody in it: counts, and rows that are found by their name alone."""
IMPERSONAL = {
    "counters", "sources", "tracking_plans", "quality_days", "match_runs", "match_parameters", "enrichment_runs",
    "certificates", "retained", "notices", "retention_runs", "recipients", "recipient_notices", "opendsr_requests",
    "source_counts", "break_glass", "trusted_documents", "copy_counts",
}  # fmt: skip
"""What counts, what is set up, and what says that somebody was erased and not who."""
REMAINS = {
    ("keys", "data_keys", "_id"): "the tombstone: which key was destroyed, so that no backup brings it back",
    ("keys", "erasures", "_id"): "the receipt: when, and by which version of the key ring",
}
"""Where the number of an erased customer stays, and why. It leads to nothing any more."""


@contextlib.asynccontextmanager
async def opened(uri, directory, client, **settings):
    run = f"e{uuid.uuid4().hex[:12]}"
    names = {part: f"{run}_{part}" for part in ("main", "keys", "audit")}
    databases = {f"{part}_database": name for part, name in names.items()}
    try:
        async with open_platform(Settings(mongo_uri=uri, data_dir=directory, **databases, **settings)) as platform:
            yield platform
    finally:
        for name in names.values():
            await client.drop_database(name)


def access(platform, role, purpose):
    caller = Caller(f"test-{role}", (role,), None, None, None, frozenset(), None)
    grant = platform.policies.current.decide(caller.roles, purpose)
    return Access(caller, grant, Disclosure(Request(caller, purpose, None, None, None, None), grant))


def shopify(number):
    return f"7190{number:06d}"


def canaries(number):
    """The words by which this customer would be told; each is in one value at least, in clear or sealed."""
    told = ("given", "family", "street", "city", "national", "note", "trait", "worn", "mail", "sku", "gift", "ticket")
    return {f"zq{number}x{each}" for each in (*told, "crm", "anon", "order", "property", "event")} | {shopify(number)}


def values(number):
    return {
        **person(number),
        **{name: f"zq{number}x{word}" for name, word in (("given_name", "given"), ("family_name", "family"))},
        **{name: f"zq{number}x{word}" for name, word in (("street", "street"), ("city", "city"))},
        "national_id": f"zq{number}xnational",
        "notes": [f"zq{number}xnote"],
        "traits": {f"zq{number}xtrait": f"zq{number}xworn"},
        "email": f"zq{number}xmail@example.org",
    }


async def create(platform, *drafts):
    """Profiles of these values, external ids, orders and tickets."""
    writer = platform.services.writer
    made = []
    for held, external, orders, tickets in drafts:
        identifiers = [writer.identifier(IdentifierType.EXTERNAL_ID, each, "external") for each in external]
        draft = writer.draft(held, identifiers, granted("marketing"))
        made.append(replace(draft, orders=tuple(orders), tickets=tuple(tickets)))
    async with platform.vault.reading():
        return await writer.create(access(platform, "client_app", "data_import"), made)


async def planted(platform, number, *, sku=None):
    """One person of two profiles that were merged, in everything there is; gives both ids.

    What somebody bought is kept in clear; `sku` says another word for it, where files are looked at.
    """
    items = [{"sku": sku or f"zq{number}xsku", "quantity": 1}]
    bought = [had(1, gift_message=f"zq{number}xgift", items=items)]
    asked = [ticket(1, subject=f"zq{number}xticket")]
    whole = (values(number), [f"user:{shopify(number)}"], bought, asked)
    first, second, other = await create(
        platform,
        whole,
        ({"city": f"zq{number}xcity"}, [f"user:zq{number}xcrm"], [], []),
        ({"city": "Bremen"}, [], [], []),
    )
    await _events(platform, number)
    async with platform.vault.reading():
        await platform.reviewer.merge(access(platform, "data_steward", "identity_resolution"), first, second)
    await platform.reviewer.cases.add([Finding(CaseKind.SIMILAR, (second, other), {"city": "same"}, 0.9)])
    corrections = CorrectionQueue(platform.main, now=utc_now, random=os.urandom)
    await corrections.reconcile([first], [Found(first, "city", next(iter(SuggestionKind)), f"mark-{number}")], 10)
    officer = access(platform, "privacy_officer", "privacy_request")
    async with platform.vault.reading():
        for kind in (Asked.ERASURE, Asked.ACCESS):
            said = {"reason": f"zq{number}xnote", "agent": f"zq{number}xgiven"}
            await platform.requests.open(officer, kind, first, source="letter", **said)
    await platform.copies.make(officer, first)
    await _corrected(platform, first, number)
    await _signed_in(platform, first, f"zq{number}xmail@example.org")
    source = await platform.sources.named("shop")
    for kind in (RequestKind.ACCESS, RequestKind.ERASURE):
        told = PrivacyRequest(kind, f"{kind}-{number}", "shop", (("external_id", shopify(number)),))
        assert await privacy_intake(platform).keep(source, told)
    # What a process leaves that dies at the wrong moment.
    await _store(platform).open_batch(f"batch-{number}", "gone", utc_now(), [], [first, second])
    await _store(platform).recount_later(second, "token")
    await platform.main["creations"].insert_one({"_id": first, "process": "gone", "at": utc_now()})
    # One that waits, and one that a process has taken, which is told by nobody to stop.
    jobs = JobStore(platform.main, now=utc_now)
    await jobs.add(NewJob(kind, f"{number}", utc_now(), about=(first,)) for kind in ("letter", "taken"))
    assert len(await jobs.take(["taken"], "gone", limit=9, lease=timedelta(hours=1))) == 1
    await _exported(platform, first)
    return first, second


async def _corrected(platform, customer_id, number):
    """A correction that a recipient is still to be told of, by what they know the person by."""
    if not await recipients(platform).all():
        made = Recipient(
            "paper", RecipientKind.WEBHOOK, "https://paper.example/", ("email",), ("profile.city",), utc_now()
        )
        await recipients(platform).add(made, Allowed())
    support = access(platform, "support_agent", "customer_service")
    async with platform.vault.reading():
        await platform.services.writer.update(support, customer_id, {"city": f"zq{number}xcity"})


async def _signed_in(platform, customer_id, address):
    """A link that was sent and not used, and a session."""
    tokens = platform.vault.tokens("email", address)
    links = LinkStore(platform.main, now=utc_now, random=os.urandom)
    asked = await links.add(Asking.SIGN_IN, bytes(32), tokens, "en")
    assert await links.sent(asked, customer_id, link=bytes(32), code=bytes(16))
    await PortalSessionStore(platform.main, now=utc_now, random=os.urandom).open(
        f"of {customer_id}", customer_id, tokens, "Firefox, Linux"
    )


def _store(platform):
    return EventStore(platform.main)


async def _events(platform, number):
    said = {"user": f"zq{number}xcrm", "anonymous": f"zq{number}xanon"}
    completed = order("Order Completed", f"zq{number}xorder", total=12, currency="EUR")
    events = [
        identify({"firstName": f"zq{number}xgiven", f"zq{number}xtrait": f"zq{number}xworn"}, **said),
        track(f"zq{number}xevent", properties={f"zq{number}xproperty": f"zq{number}xworn"}, **said),
        {**completed, "userId": said["user"], "anonymousId": said["anonymous"]},
        {**completed, "event": "Order Refunded", "messageId": f"r-{number}", "userId": said["user"]},
    ]
    source = await platform.sources.named("shop") or (await platform.sources.create("shop"))[0]
    await platform.intake.accept(source, events, sent_at=None, received_at=utc_now())
    await platform.collecting.applier.settle()
    await platform.collecting.violations.flush()


async def _exported(platform, customer_id):
    """An export of the access log that is about this customer."""
    async with platform.vault.reading():
        reference = (await platform.vault.keys([customer_id]))[customer_id].audit_reference
    auditor = access(platform, "auditor", "audit")
    wanted = Wanted(
        AccessQuery(subject=reference_text(reference)), BundleForm.CSV, ("access_entry.subjects",),
        {"customer": customer_id}, reference,
    )  # fmt: skip
    job = await platform.exports.start(auditor, wanted)
    while not job.ended:
        await asyncio.sleep(0.05)
        job = await platform.exports.state(auditor, job.id)
    assert job.stage is Stage.DONE


def unpacked(path):
    """The bytes of a file, and of all that is packed into it."""
    found = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as bundle:
            found += b"".join(map(bundle.read, bundle.namelist()))
    return found


async def places(platform, *told):
    """Where the databases and files hold one of these texts, in any disguise: database, collection and field."""
    found = set()
    for part in ("main", "keys", "audit"):
        database = getattr(platform, part)
        for name in await database.list_collection_names():
            for document in await database[name].find({}).to_list(None):
                found |= {(part, name, each) for each in document if leaks(told, encode({each: document[each]}))}
    files = [each for each in platform.settings.data_dir.rglob("*") if each.is_file() and each.name != "key.ring"]
    return found | {("file", each.parent.name, each.suffix) for each in files if leaks(told, unpacked(each))}


async def test_nothing_of_an_erased_person_is_left_but_what_is_named(mongo_uri, mongo_client, tmp_path):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        gone, stays = await planted(platform, 1), await planted(platform, 2)
        await platform.matching.run(platform.access("test", READER, PURPOSE))
        collections = set(await platform.main.list_collection_names())
        assert collections <= PLANTED | IMPERSONAL, "a new collection: name it above, and plant something in it"
        named = {f"main/{name}" for name in PLANTED - {"creations", "violations"}}
        assert named <= set(REACHED), "what names somebody is among what a certificate says was reached"
        before = {name for part, name, _ in await places(platform, *gone) if part == "main"}
        assert before >= (PLANTED & collections) - UNNAMED
        in_clear = await places(platform, *canaries(1))
        assert in_clear == {("main", "orders", "items")}, "all else is sealed, and what is not is looked for below"
        await platform.main["creations"].delete_many({})  # of a person who is whole, as the worker finds

        officer = access(platform, "privacy_officer", "privacy_request")
        await platform.services.eraser.erase(officer, gone[1])

        assert await places(platform, *gone) == set(REMAINS)
        assert await places(platform, *canaries(1)) == set()
        assert {name for part, name, _ in await places(platform, *stays) if part == "main"} >= before - {"creations"}
        assert await places(platform, *canaries(2)) == {("main", "orders", "items")}


async def test_what_was_asked_of_an_erased_person_is_settled_and_names_nobody(mongo_uri, mongo_client, tmp_path):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        gone, stays = await planted(platform, 1), await planted(platform, 2)
        requests = privacy_intake(platform)
        assert await requests.waiting(await platform.services.eraser.whole(gone[1])) == 2
        await platform.services.eraser.erase(access(platform, "privacy_officer", "privacy_request"), gone[0])
        open_ones, settled = (await requests.all())[:2], (await requests.all())[2:]
        assert {each.customer_id for each in open_ones} == {stays[0]}
        assert [each.settled_at for each in open_ones] == [None, None]
        assert [each.customer_id for each in settled] == [None, None]
        assert all(each.settled_at >= each.received_at for each in settled), "the proof that it was met stays"
        assert await requests.waiting(gone) == 0


async def test_a_copy_holds_every_event_of_a_person_of_many(mongo_uri, mongo_client, tmp_path):
    async with opened(mongo_uri, tmp_path, mongo_client) as platform:
        source = (await platform.sources.create("shop"))[0]
        await create(platform, ({"city": "Bremen"}, ["user:many"], [], []))
        for start in range(0, 250, 50):
            events = [track(f"seen {each}", user="many") for each in range(start, start + 50)]
            await platform.intake.accept(source, events, sent_at=None, received_at=utc_now())
        await platform.collecting.applier.settle()
        [profile] = await platform.main["profiles"].find({}).to_list(None)
        officer = access(platform, "privacy_officer", "privacy_request")
        name = await platform.copies.make(officer, profile["_id"])
        async with platform.vault.reading():
            whole = b"".join(await platform.copies.parts(officer, profile["_id"], name))
        with zipfile.ZipFile(io.BytesIO(whole)) as bundle:
            told = json.loads(bundle.read("events.json"))
        assert len({each["id"] for each in told}) == len(told) == 250
