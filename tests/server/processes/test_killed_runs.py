"""kill -9 in the middle of searches for people with two profiles, and of enrichments: the next goes on where it was."""

import textwrap
from collections import Counter

import pytest

from customers.identity.finding import PURPOSE, READER, STEWARD
from customers.identity.matching import prepare, texts
from customers.profiles.provenance import OriginKind
from customers.profiles.sealing import provenance_of
from server.enrichment import definition_named, enrichments
from tests.customers.enrichment.enriching import REGION
from tests.customers.identity.finding_people import values
from tests.server.processes.dying import KILLED, run_until_death
from tests.server.test_nothing_left import create, opened

pytestmark = pytest.mark.timeout(240)

PEOPLE = (
    *(values(), values(street="Hafenweg 12a")),  # one for sure
    *(values(given_name="Oscar", birth_date="1961-02-03"), values(given_name="Oscar", birth_date="1961-03-02")),
    *(values(given_name="Lena"), values(given_name="Lina")),  # nobody joins these unseen
)
DEATHS = 12


async def matched(platform):
    """What the worker does in its time."""
    await platform.reviewer.resume()
    access = platform.access("test", READER, PURPOSE, operation="test")
    await platform.matching.run(access, platform.access("test", STEWARD, PURPOSE, operation="test"))


async def enriched(platform):
    service = await enrichments(platform)
    found = definition_named(platform.settings, platform.policies.current, "region")
    await service.run(platform.access("test", ("data_enricher",), found.purpose, operation="test"), found)


async def killed_until_done(platform, work, forget):
    """Run again and again, each killed a few writes further on, before a write or after it; how often it was killed."""
    deaths = 0
    while deaths < DEATHS:
        code = await run_until_death(platform.settings, work, 2 + 5 * deaths, made=deaths % 2 == 0)
        if code == 0:
            return deaths
        assert code == KILLED
        deaths += 1
        await forget()
    pytest.fail("it never came to its end")


async def test_a_search_that_is_killed_again_and_again_finds_and_joins_just_whom_one_left_alone_does(
    mongo_uri, mongo_client, tmp_path
):
    seen = []
    for name in ("alone", "killed"):
        async with opened(mongo_uri, tmp_path / name, mongo_client, identity_auto_merge=True) as platform:
            ids = await create(platform, *((each, [], [], []) for each in PEOPLE))

            async def lapsed(platform=platform):
                """The dead one's turn is over, as it is two minutes later."""
                await platform.main["match_runs"].delete_many({"_id": "run"})

            deaths = 0 if name == "alone" else await killed_until_done(platform, matched, lapsed)
            if name == "alone":
                await matched(platform)
            place = {each: number for number, each in enumerate(ids)}
            main = platform.main
            tokens = Counter(each["customer_id"] for each in await main["match_tokens"].find({}).to_list(None))
            assert {place[each]: count for each, count in tokens.items()} == {
                number: len(texts(prepare(**each))) for number, each in enumerate(PEOPLE)
            }, "each combination has one row"
            merges = await main["merges"].find({}).to_list(None)
            assert all(each["state"] == "merged" for each in merges)
            assert len({each["absorbed"] for each in merges}) == len(merges), "nobody is joined twice"
            cases = await main["identity_cases"].find({}).to_list(None)
            seen.append(
                (
                    sorted((place[each["survivor"]], place[each["absorbed"]]) for each in merges),
                    sorted((sorted(place[one] for one in each["customers"]), each["state"]) for each in cases),
                )
            )
            assert not await main["match_records"].find({"due": True}).to_list(None)
    alone, killed = seen
    assert deaths > 3, "it was killed"
    assert killed == alone
    assert alone[0], "somebody was joined"
    assert any(state == "open" for _, state in alone[1]), "somebody waits for a person"


async def test_an_enrichment_that_is_killed_again_and_again_writes_to_everybody_once(
    mongo_uri, mongo_client, tmp_path
):
    (tmp_path / "region.toml").write_text(textwrap.dedent(REGION))
    rows = [f"DE,2{number:04},north,rural" for number in range(8)]
    (tmp_path / "table.csv").write_text("\n".join(["country,code,area,setting", *rows]) + "\n")
    people = [values(given_name=f"A{number}", postal_code=f"2{number:04}") for number in range(8)]
    versions = []
    for name in ("alone", "killed"):
        async with opened(mongo_uri, tmp_path / name, mongo_client, enrichment_dir=tmp_path) as platform:
            ids = await create(platform, *((each, [], [], []) for each in people))

            async def lapsed(platform=platform):
                """The dead one's turn is over, as it is a minute later."""
                await platform.main["enrichment_runs"].update_many({}, {"$set": {"running.until": platform.now()}})

            if name == "alone":
                await enriched(platform)
            else:
                deaths = await killed_until_done(platform, enriched, lapsed)
                assert deaths > 2, "it was killed"
            documents = await platform.main["profiles"].find({}).to_list(None)
            assert {each["_id"] for each in documents} == set(ids)
            async with platform.vault.reading():
                keys = await platform.vault.keys(ids)
            for each in documents:
                origins = provenance_of(each, keys[each["_id"]])
                assert (each["region"], origins.get("region").kind) == ("north", OriginKind.ENRICHMENT), "all have it"
                assert origins.get("traits.setting").source == "Postal directory 2026"
            versions.append([each["version"] for each in documents])
    alone, killed = versions
    assert killed == alone, "and nobody is written to twice"
