"""The tests' own world: what one test leaves behind, no other finds, whatever collection it is in."""


async def test_an_emptied_world_has_no_document_in_any_collection_not_even_in_one_that_nobody_named(world):
    await world.one()
    await world.main["of_a_part_to_come"].insert_one({"_id": 1})
    assert any((await world.counted()).values())  # negative control
    await world.empty()
    left = {name: await world.main[name].count_documents({}) for name in await world.main.list_collection_names()}
    assert not any(left.values()), left
    assert "of_a_part_to_come" in left
    assert await world.keys["data_keys"].count_documents({}) == 0
    assert await world.one()  # and it works on
