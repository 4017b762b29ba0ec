"""Whoever has to be told of a breach is told once, however many profiles they had when it happened."""

from tests.customers.identity.test_identity_merging import merge, two
from tests.customers.oversight.test_impact import LOOK, measured, resolved
from tests.schema.world import SUPPORT


async def test_who_was_merged_is_told_as_the_person_they_are_and_once(world):
    one, other = await two(world)
    third, *_ = await two_more(world)
    await world.told(LOOK, *SUPPORT, {"id": other}, actor="thief")
    before = await measured(world, actor="thief")
    assert [each.customer_id for each in (await resolved(world, before))[0]] == [other]  # negative control
    await merge(world, one, other)
    told, resolution = await resolved(world, before)
    assert ([each.customer_id for each in told], resolution.found, resolution.nobody) == ([one], 1, 0)
    await world.told(LOOK, *SUPPORT, {"id": one}, actor="thief")
    await world.told(LOOK, *SUPPORT, {"id": third}, actor="thief")
    told, resolution = await resolved(world, await measured(world, actor="thief"))
    assert sorted(each.customer_id for each in told) == sorted((one, third))
    assert (resolution.found, resolution.refused, resolution.nobody) == (2, 0, 0)


async def two_more(world):
    return await world.create(world.draft({"city": "Bremen"}), world.draft({"city": "Kiel"}))
