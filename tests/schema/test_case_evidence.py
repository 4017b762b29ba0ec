"""What a case tells of how alike two profiles are tells nothing of a value that is withheld, and who said it."""

from customers.profiles.provenance import Origin, OriginKind
from tests.customers.identity.finding_people import STEWARD, cases, matching_of, run, values
from tests.schema.world import utc_now

LISTED = "{ identityCases { nodes { id kind state openedAt } } }"
OPENED = """query ($id: ID!) { identityCase(id: $id) { score caution evidence { compared level selfSaid }
  fields { field values { value verdict origin { kind source } originDamaged } } } }"""


async def opened(world):
    """The one case, through GraphQL."""
    return (await world.told(OPENED, *STEWARD, {"id": (await cases(world))[0].id}))["identityCase"]


def cells(case, field):
    """What stands beside one another of a field."""
    return next(each["values"] for each in case["fields"] if each["field"] == field)


async def alike(world, *origins):
    """Two profiles of one person, found by a run; gives their ids."""
    people = []
    for street, kind in zip(("Hafenweg 12", "Hafenweg 12a"), origins or (OriginKind.STAFF,) * 2, strict=True):
        origin = Origin(kind, f"{kind.value} desk", utc_now())
        async with world.vault.reading():
            people += await world.writer.create(world.access(), [world.draft(values(street=street))], origin=origin)
    await run(world, await matching_of(world))
    return people


async def restrict(world, customer_id):
    await world.main["profiles"].update_one({"_id": customer_id}, {"$set": {"rights.restricted": True}})


async def test_likeness_to_what_is_withheld_is_withheld(world):
    one, _ = await alike(world)
    before = await opened(world)
    # The negative control: who may see both sees in what they are alike.
    assert {"compared": "birth_date", "level": "same", "selfSaid": False} in before["evidence"]
    assert before["score"] > 0.9
    listed = await world.told(LISTED, *STEWARD)
    await restrict(world, one)
    after = await opened(world)
    # Beside the one's year, that the birth dates are the same would tell the other's.
    assert sorted(str(each["value"]) for each in cells(after, "birth_date")) == ["1980", "None"]
    assert (after["evidence"], after["score"]) == ([], None)
    assert await world.told(LISTED, *STEWARD) == listed, "a list told nothing that is withheld now"


async def test_likeness_to_what_is_withheld_stands_beside_no_field_of_an_opened_case(world):
    one, _ = await alike(world)
    await restrict(world, one)
    found = await world.reviewer.open_case(world.access(*STEWARD), (await cases(world))[0].id)
    withheld = [row for row in found.profiles.rows if any(cell.verdict.value == "withheld" for cell in row.cells)]
    assert "birth_date" in {row.name for row in withheld}
    assert {row.level for row in withheld} == {None}
    assert (found.case.evidence, found.case.score) == ({}, None)


async def test_where_each_compared_value_came_from_is_told_where_the_value_is(world):
    one, _ = await alike(world, OriginKind.IMPORT, OriginKind.STAFF)
    case = await opened(world)
    both = [{"kind": "IMPORT", "source": "import desk"}, {"kind": "STAFF", "source": "staff desk"}]
    told = [each["origin"] for each in cells(case, "birth_date")]
    assert sorted(told, key=str) == both
    assert [each["origin"] for each in cells(case, "national_id")] == [None, None], "withheld of everybody"
    assert [each["origin"] for each in cells(case, "region")] == [None, None], "not compared"
    # Nobody said it of themselves, so nothing is said of it.
    assert (case["caution"], {each["selfSaid"] for each in case["evidence"]}) == (None, {False})
    await restrict(world, one)
    left = [(each["verdict"], each["origin"]) for each in cells(await opened(world), "birth_date")]
    assert sorted(left, key=str) == [("MASKED", both[1]), ("WITHHELD", None)]


async def test_a_likeness_by_what_somebody_said_of_themselves_is_marked(world):
    for kind in (OriginKind.CUSTOMER, OriginKind.EVENT):
        await world.main["identity_cases"].delete_many({})
        one, _ = await alike(world, OriginKind.STAFF, kind)
        case = await opened(world)
        marked = {each["compared"]: each["selfSaid"] for each in case["evidence"]}
        assert marked["birth_date"]
        assert marked["given_name"]
        assert "birth_date" in case["caution"]
        assert "could say the same" in case["caution"]
        await restrict(world, one)
        assert (await opened(world))["caution"] is None, "of what is withheld nothing is told"
        await world.erase(one)
        await world.empty()


async def test_origins_that_are_damaged_are_told_so_and_taken_for_anybodys(world):
    one, other = await alike(world)
    stored = {each["_id"]: each["sealed"]["provenance"] for each in await world.store.find([one, other])}
    await world.main["profiles"].update_one({"_id": one}, {"$set": {"sealed.provenance": stored[other]}})
    case = await opened(world)
    assert sorted(each["originDamaged"] for each in cells(case, "birth_date")) == [False, True]
    assert {each["value"] for each in cells(case, "birth_date")} == {"1980"}, "the values are sound"
    assert "birth_date" in case["caution"]
