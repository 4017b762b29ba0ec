"""Nobody gets to read what is somebody else's by saying of themselves what they know of them."""

import pytest

from customers.profiles.provenance import Origin, OriginKind
from tests.customers.identity.finding_people import STEWARD, cases, joined, matching_of, run, values
from tests.schema.world import utc_now

KNOWN = {"given_name", "family_name", "birth_date", "postal_code", "city", "country"}


async def who_says_the_same(world, kind):
    """Ana, and somebody of whom the same was said in some way; what the search makes of them where it may join."""
    matching = await matching_of(world)
    ana, other = await world.create(world.draft(values()), world.draft({"city": "Kiel"}, external=["user:mallory"]))
    said = {name: value for name, value in values().items() if name in KNOWN}
    async with world.vault.reading():
        await world.writer.update(world.access(), other, said, origin=Origin(kind, "portal", utc_now()))
    report = await run(world, matching, merge=True)
    return report, await joined(world), {ana, other}


@pytest.mark.parametrize("kind", [OriginKind.CUSTOMER, OriginKind.EVENT])
async def test_what_somebody_may_have_said_of_themselves_joins_nobody_unseen(world, kind):
    report, merged, both = await who_says_the_same(world, kind)
    assert (report.sure, report.merged, report.held, merged) == (1, 0, 1, {})
    assert [set(case.customers) for case in await cases(world)] == [both], "somebody is asked"


@pytest.mark.parametrize("kind", [OriginKind.IMPORT, OriginKind.STAFF])
async def test_what_the_company_says_does_where_the_policy_says_so(world, kind):
    """The negative control."""
    report, merged, both = await who_says_the_same(world, kind)
    assert (report.merged, set(*merged.items())) == (1, both)


async def test_origins_that_do_not_open_join_nobody_unseen(world):
    matching = await matching_of(world)
    one, other = await world.create(world.draft(values()), world.draft(values(street="Hafenweg 12a")))
    held = [await world.main["profiles"].find_one({"_id": each}) for each in (one, other)]
    swapped = held[1]["sealed"]["provenance"]
    await world.main["profiles"].update_one({"_id": one}, {"$set": {"sealed.provenance": swapped}})
    report = await run(world, matching, merge=True)
    assert (report.merged, report.held, await joined(world)) == (0, 1, {})
    assert (await world.reviewer.list_cases(world.access(*STEWARD)))[0], "it waits"
