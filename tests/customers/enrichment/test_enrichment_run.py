"""A run over everybody: whose keys leave, what is recorded before, what is written, and of whom nothing is touched."""

import asyncio

import pytest
from pymongo.errors import PyMongoError

from audit import AuditUnavailableError, Kind
from customers.consent.model import ConsentDecision, ConsentState
from customers.enrichment import EnrichmentRunningError, EnrichmentStoppedError, Skip
from customers.enrichment.errors import LookupFailedError
from customers.enrichment.running import _FAILED_IN_A_ROW
from customers.profiles.provenance import OriginKind
from customers.profiles.sealing import provenance_of
from tests.customers.enrichment.enriching import AGREED, Remembering, defined, sent
from tests.schema.canaries import everything_stored, leaks
from tests.schema.world import DECIDED, OFFICER, granted, objected

NORTH = {"area": "north", "setting": "rural"}


def values(number, **more):
    """Somebody who has no region, and a postal code of their own."""
    return {"country": "DE", "postal_code": f"2{number:04d}", "given_name": f"Name{number}", **more}


async def decide(world, customer_id, state, at):
    """Have a customer decide about enrichment by consent."""
    async with world.vault.reading():
        decision = ConsentDecision("consented_enrichment", state, at, "portal")
        await world.writer.record_consent(world.access(), customer_id, decision)


async def shown(world, customer_id):
    """A profile as it is stored, opened."""
    async with world.vault.reading():
        document = (await world.store.find([customer_id]))[0]
        key = (await world.vault.keys([customer_id]))[customer_id]
        traits = document["sealed"].get("custom/user/location/coarse")
        held = key.open(traits, "profiles", customer_id, "custom.user.location.coarse", 1)["traits"] if traits else {}
        return document, held, provenance_of(document, key)


async def test_what_is_found_is_written_with_its_origin(enriching, world, definition, clock):
    (found, unknown) = await world.create(*(world.draft(values(each)) for each in (1, 9)))
    report = await enriching.run(definition, Remembering({sent("20001"): NORTH}))
    assert (report.looked_at, report.looked_up, report.found, report.written, report.finished) == (2, 2, 1, 1, True)
    document, traits, origins = await shown(world, found)
    assert (document["region"], traits) == ("north", {"setting": "rural"})
    for name in ("region", "traits.setting"):
        origin = origins.get(name)
        assert (origin.kind, origin.source, origin.licence) == (
            *(OriginKind.ENRICHMENT, "Postal directory 2026", "ODbL 1.0"),
        )
        assert origin.basis == "legitimate_interests"
        assert (origin.expires_at - origin.at).days == 180
    assert origins.category("traits.setting") == "user.location.coarse"
    assert "region" not in (await shown(world, unknown))[0]


async def test_the_keys_of_those_who_do_not_allow_it_never_leave(enriching, world, definition):
    """The canary: of everybody but the last there is a reason, and nothing of theirs is opened or sent."""
    drafts = [
        world.draft(values(1), restricted=True),
        world.draft(values(2), consents=objected("data_enrichment")),
        world.draft(values(3, region="emea")),
        world.draft(values(4)),
    ]
    drafts[2] = world.draft(values(3, region="emea", traits={"setting": "said"}))
    ids = await world.create(*drafts)
    erased = (await world.create(world.draft(values(5))))[0]
    await world.erase(erased)
    world.since = enriching.parts.now()
    provider = Remembering({sent(f"2000{each}"): NORTH for each in range(1, 6)})
    report = await enriching.run(definition, provider)
    assert provider.heard == [sent("20004")]
    assert report.skipped == {Skip.RESTRICTED: 1, Skip.OBJECTED: 1, Skip.OWN_VALUE: 1}
    assert (report.looked_up, report.written) == (1, 1)
    subjects = {each for record in await world.records(purpose="data_enrichment") for each in record.subjects}
    assert subjects == {await world.reference(ids[3])}, "nobody else is even in the log: nothing of theirs was read"
    assert (await shown(world, ids[2]))[0]["region"] == "emea"


async def test_without_consent_nothing_is_asked_and_with_it_it_is(enriching, world, tmp_path):
    agreed = defined(tmp_path, AGREED, policies=world.policies)
    ids = await world.create(
        world.draft(values(1)),
        world.draft(values(2), consents=granted("marketing")),
        world.draft(values(3), consents=granted("consented_enrichment")),
    )
    provider = Remembering({sent(f"2000{each}"): NORTH for each in range(1, 4)})
    report = await enriching.run(agreed, provider)
    assert provider.heard == [sent("20003")]
    assert report.skipped == {Skip.NO_CONSENT: 2}
    await decide(world, ids[0], ConsentState.GRANTED, DECIDED)
    await enriching.run(agreed, provider)
    assert provider.heard == [sent("20003"), sent("20001")]


async def test_an_objection_counts_whatever_the_purpose_rests_on(enriching, world, tmp_path):
    agreed = defined(tmp_path, AGREED, policies=world.policies)
    await world.create(
        world.draft(values(1), consents=(*granted("consented_enrichment"), *objected("consented_enrichment")))
    )
    provider = Remembering({sent("20001"): NORTH})
    assert (await enriching.run(agreed, provider)).skipped == {Skip.OBJECTED: 1}
    assert provider.heard == []


async def test_consent_that_is_withdrawn_while_others_are_asked_keeps_the_key_here(enriching, world, tmp_path):
    agreed = defined(tmp_path, AGREED, policies=world.policies)
    ids = await world.create(
        *(world.draft(values(each), consents=granted("consented_enrichment")) for each in (1, 2))
    )

    async def withdraw(key):
        if key == sent("20001"):
            await decide(world, ids[1], ConsentState.WITHDRAWN, enriching.parts.now())

    provider = Remembering({sent(f"2000{each}"): NORTH for each in (1, 2)}, at_once=1, before_answer=withdraw)
    report = await enriching.run(agreed, provider)
    assert provider.heard == [sent("20001")]
    assert report.written == 1


@pytest.mark.parametrize("gone", [True, False])
async def test_whoever_is_erased_while_they_are_asked_about_is_written_nothing(enriching, world, definition, gone):
    customer_id = (await world.create(world.draft(values(1))))[0]

    async def erase(_key):
        if gone:
            await world.erase(customer_id)

    report = await enriching.run(definition, Remembering({sent("20001"): NORTH}, before_answer=erase))
    assert report.written == (0 if gone else 1)
    assert await world.main["profiles"].count_documents({}) == (0 if gone else 1)


async def test_the_record_is_durable_before_the_key_leaves(enriching, world, definition):
    customer_id = (await world.create(world.draft(values(1))))[0]
    world.since = enriching.parts.now()
    told = []

    async def look(_key):
        told.extend(await world.records(purpose="data_enrichment"))

    await enriching.run(definition, Remembering({}, before_answer=look))
    (record,) = told
    assert (record.kind, record.operation, record.subjects) == (
        *(Kind.READ, "enrich", (await world.reference(customer_id),)),
    )
    read = {path for decision in record.decisions for path in decision.fields}
    assert read == {"profile.id", "profile.country", "profile.postal_code"}


async def test_what_cannot_be_recorded_is_not_sent(enriching, world, definition):
    await world.create(world.draft(values(1)))

    class Refusing:
        async def append(self, _record):
            raise AuditUnavailableError

    enriching.parts = type(enriching.parts)(
        **{name: getattr(enriching.parts, name) for name in enriching.parts.__slots__ if name != "log"},
        log=Refusing(),
    )
    provider = Remembering({sent("20001"): NORTH})
    with pytest.raises(AuditUnavailableError):
        await enriching.run(definition, provider)
    assert provider.heard == []


async def test_a_value_somebody_took_away_is_not_brought_back(enriching, world, definition):
    customer_id = (await world.create(world.draft(values(1))))[0]
    provider = Remembering({sent("20001"): NORTH})
    await enriching.run(definition, provider)
    async with world.vault.reading():
        await world.writer.update(world.access(*OFFICER), customer_id, {"region": None})
    await enriching.run(definition, provider)
    document, traits, _ = await shown(world, customer_id)
    assert "region" not in document
    assert traits == {"setting": "rural"}


async def test_what_is_still_current_is_not_asked_again_and_what_soon_expires_is(enriching, world, definition, clock):
    customer_id = (await world.create(world.draft(values(1))))[0]
    provider = Remembering({sent("20001"): NORTH})
    await enriching.run(definition, provider)
    assert (await enriching.run(definition, provider)).skipped == {Skip.CURRENT: 1}
    assert len(provider.heard) == 1
    clock.later = clock.later.__class__(days=140)
    await enriching.run(definition, provider)
    assert len(provider.heard) == 2
    origins = (await shown(world, customer_id))[2]
    assert (origins.get("region").expires_at - clock()).days >= 179


async def test_values_are_taken_away_when_they_expire_and_nothing_else_is(enriching, world, definition, clock):
    ids = await world.create(world.draft(values(1)), world.draft(values(2, region="emea")), world.draft(values(3)))
    provider = Remembering({sent(f"2000{each}"): NORTH for each in (1, 2, 3)})
    await enriching.run(definition, provider)
    assert (await enriching.expire()).values == 0
    await world.main["profiles"].update_one({"_id": ids[2]}, {"$set": {"rights.restricted": True}})
    clock.later = clock.later.__class__(days=181)
    world.since = None
    swept = await enriching.expire()
    assert (swept.profiles, swept.values, swept.left) == (2, 3, 0)
    document, traits, _ = await shown(world, ids[0])
    assert ("region" in document, traits, "expires_at" in document) == (False, {}, False)
    document, traits, _ = await shown(world, ids[1])
    assert (document["region"], traits) == ("emea", {})
    assert (await shown(world, ids[2]))[0]["region"] == "north", "a restriction keeps things as they are"
    assert (await enriching.expire()).values == 0
    records = [each for each in await world.records(purpose="retention") if each.kind is Kind.WRITE]
    assert {await world.reference(each) for each in ids[:2]} == {each for r in records for each in r.subjects}
    assert (await enriching.run(definition, provider)).written == 2, "what expired may be found anew"


async def test_one_that_fails_does_not_keep_the_others_from_being_asked(enriching, world, definition):
    await world.create(*(world.draft(values(each)) for each in (1, 2, 3, 4)))
    known = {sent("20001"): LookupFailedError, sent("20002"): {"area": "Not A Region"}, sent("20003"): NORTH}
    report = await enriching.run(definition, Remembering(known))
    assert (report.looked_up, report.found, report.written, report.failed) == (4, 2, 1, 2)


async def test_a_provider_that_always_fails_is_left_alone_and_the_next_run_goes_on(enriching, world, definition):
    count = _FAILED_IN_A_ROW + 5
    await world.create(*(world.draft(values(each)) for each in range(1, count + 1)))
    down = Remembering({sent(f"2{each:04d}"): LookupFailedError for each in range(1, count + 1)}, at_once=5)
    with pytest.raises(EnrichmentStoppedError):
        await enriching.run(definition, down)
    assert len(down.heard) == _FAILED_IN_A_ROW
    up = Remembering({sent(f"2{each:04d}"): NORTH for each in range(1, count + 1)})
    report = await enriching.run(definition, up)
    assert len(up.heard) == 5
    assert (report.looked_at, report.failed, report.written) == (count, _FAILED_IN_A_ROW, 5)


async def test_a_limited_run_is_gone_on_with_and_a_cut_off_one_too(enriching, world, definition):
    await world.create(*(world.draft(values(each)) for each in range(1, 8)))
    known = {sent(f"2000{each}"): NORTH for each in range(1, 8)}
    provider = Remembering(known, at_once=2)
    first = await enriching.run(definition, provider, limit=3)
    assert (first.looked_up, first.finished) == (3, False)

    async def die(key):
        if key == sent("20006"):
            raise PyMongoError

    with pytest.raises(PyMongoError):
        await enriching.run(definition, Remembering(known, at_once=1, before_answer=die))
    seen = []
    last = Remembering(known)
    report = await enriching.run(definition, last, progress=lambda done, total: seen.append((done, total)))
    assert sorted(key[1][1] for key in last.heard) == ["20006", "20007"]
    assert (report.written, report.looked_at, report.finished) == (7, 7, True)
    assert seen[-1] == (7, 7)


async def test_two_processes_do_not_run_one_enrichment_at_once(enriching, world, definition):
    await world.create(world.draft(values(1)))
    inside, leave = asyncio.Event(), asyncio.Event()

    async def wait(_key):
        inside.set()
        await leave.wait()

    running = asyncio.create_task(enriching.run(definition, Remembering({}, before_answer=wait)))
    await inside.wait()
    with pytest.raises(EnrichmentRunningError):
        await enriching.run(definition, Remembering({}))
    leave.set()
    await running
    await enriching.run(definition, Remembering({}))


async def test_a_dry_run_sends_nothing_and_writes_nothing(enriching, world, definition):
    await world.create(world.draft(values(1)))
    before = await world.counted()
    away = Remembering({sent("20001"): NORTH})
    report = await enriching.run(definition, away, dry_run=True)
    assert (away.heard, report.looked_up, report.written, report.dry_run) == ([], 1, 0, True)
    here = Remembering({sent("20001"): NORTH}, recipient=None)
    report = await enriching.run(definition, here, dry_run=True)
    assert (len(here.heard), report.found, report.written) == (1, 1, 1)
    assert await world.counted() == before
    document = await world.main["profiles"].find_one({})
    assert "region" not in document


async def test_what_is_kept_of_a_run_holds_nothing_of_anybody(enriching, world, definition):
    await world.create(world.draft(values(1, postal_code="canary-code", city="canary-town")))
    await enriching.run(definition, Remembering({sent("CANARY-CODE"): {"setting": "canary-value"}}))
    assert await world.main["enrichment_runs"].count_documents({}) == 1
    raw = await everything_stored(world.main, world.keys, world.audit)
    assert leaks(("canary-code", "canary-value", "canary-town"), raw) == set()
