"""The whole way: from a file, over a real service on loopback, to what the profile shows of it."""

import os

from customers.enrichment import EnrichmentService, make_provider
from customers.outgoing import Allowed
from tests.customers.enrichment.enriching import REGION, Remembering, defined, sent
from tests.customers.outgoing.answering import always, answering, response
from tests.schema.world import OFFICER, granted

PROVENANCE = """query($id: ID!) {
  profile(id: $id) { region provenance { field kind source licence basis expiresAt } }
}"""
STEWARD = ("data_steward", "identity_resolution")


async def test_only_the_domain_of_those_who_agreed_reaches_the_service_and_the_profile_shows_where_it_is_from(
    enriching, world, tmp_path
):
    """The canary: everything else of everybody, and everything of those who did not agree, stays here."""
    ids = await world.create(
        world.draft({"email": "ada@canary-one.example", "given_name": "Adacanary"}),
        world.draft(
            {"email": "grace@agreed.example", "given_name": "Gracecanary", "phone": "+4915112000001"},
            consents=granted("consented_enrichment"),
            external=["crm:canary-77"],
        ),
    )
    async with answering(always(response(body=b'{"where": {"region": "north"}}'))) as server:
        text = REGION.replace("data_enrichment", "consented_enrichment").replace("legitimate_interests", "consent")
        text = text.replace("csv_table", "http_lookup").replace('path = "table.csv"', f'url = "{server.url("/v1")}"')
        text = text.replace('country = "country"', 'email_domain = "domain"').replace('postal_code = "code"', "")
        text = text.replace('"area"', '"where.region"')
        definition = defined(tmp_path, text, policies=world.policies)
        allowed = Allowed([server.url()])
        assert make_provider(definition, allowed, random=os.urandom).recipient == "127.0.0.1"
        service = await EnrichmentService.open(world.main, enriching.parts, allowed)
        report = await service.run(enriching.access(definition, "enrich, sent to 127.0.0.1"), definition)
        assert (report.looked_up, report.written) == (1, 1)
        assert [each.split(b"\r\n")[0] for each in server.heard] == [b"GET /v1?domain=agreed.example HTTP/1.1"]
        assert not any(word in server.heard[0] for word in (b"canary", b"grace", b"cus_", b"4915"))
    (read,) = [each for each in await world.records(purpose="consented_enrichment") if each.kind == "read"]
    assert read.operation == "enrich, sent to 127.0.0.1"
    assert read.subjects == (await world.reference(ids[1]),)
    assert {each.decision: each.fields for each in read.decisions}["masked"] == ("profile.email",)
    shown = (await world.told(PROVENANCE, *OFFICER, {"id": ids[1]}))["profile"]
    assert shown["region"] == "north"
    (origin,) = [each for each in shown["provenance"] if each["field"] == "region"]
    assert (origin["kind"], origin["source"], origin["licence"], origin["basis"]) == (
        *("ENRICHMENT", "Postal directory 2026", "ODbL 1.0", "consent"),
    )
    assert origin["expiresAt"] is not None


async def test_of_profiles_that_are_one_person_the_survivor_is_looked_up_and_what_any_of_them_has_stays(
    enriching, world, definition
):
    one, two = await world.create(
        world.draft({"country": "DE", "postal_code": "20001", "region": "emea"}),
        world.draft({"country": "DE", "postal_code": "20002", "region": "emea", "traits": {"setting": "said"}}),
    )
    async with world.vault.reading():
        await world.reviewer.merger.merge(world.access(*STEWARD), one, two)
    provider = Remembering({sent(f"2000{each}"): {"area": "north", "setting": "rural"} for each in (1, 2)})
    report = await enriching.run(definition, provider)
    assert (provider.heard, report.looked_at, report.written) == ([], 1, 0)
    (alone,) = await world.create(world.draft({"country": "DE", "postal_code": "20001"}))
    report = await enriching.run(definition, provider)
    assert (provider.heard, report.written) == ([sent("20001")], 1), alone
