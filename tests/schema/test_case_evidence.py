"""What a case tells of how alike two profiles are tells nothing of a value that is withheld."""

from tests.customers.identity.finding_people import STEWARD, cases, matching_of, run, values

CASES = "{ identityCases { nodes { score evidence { compared level } customers { birthDate } } } }"


async def found(world):
    """The one case of two profiles of one person, before and after one of them restricted the use of their data."""
    one, _ = await world.create(world.draft(values()), world.draft(values(street="Hafenweg 12a")))
    await run(world, await matching_of(world))
    yield (await world.told(CASES, *STEWARD))["identityCases"]["nodes"]
    await world.main["profiles"].update_one({"_id": one}, {"$set": {"rights.restricted": True}})
    yield (await world.told(CASES, *STEWARD))["identityCases"]["nodes"]


async def test_likeness_to_what_is_withheld_is_withheld(world):
    before, after = [nodes[0] async for nodes in found(world)]
    # The negative control: who may see both sees in what they are alike.
    assert {"compared": "birth_date", "level": "same"} in before["evidence"]
    assert before["score"] > 0.9
    # Beside the one's year, that the birth dates are the same would tell the other's.
    assert sorted(str(each["birthDate"]) for each in after["customers"]) == ["1980", "None"]
    assert (after["evidence"], after["score"]) == ([], None)


async def test_likeness_to_what_is_withheld_stands_beside_no_field_of_an_opened_case(world):
    async for _ in found(world):
        opened = await world.reviewer.open_case(world.access(*STEWARD), (await cases(world))[0].id)
    withheld = [row for row in opened.profiles.rows if any(cell.verdict.value == "withheld" for cell in row.cells)]
    assert "birth_date" in {row.name for row in withheld}
    assert {row.level for row in withheld} == {None}
    assert (opened.case.evidence, opened.case.score) == ({}, None)
