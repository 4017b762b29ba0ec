"""So many at once, the others in order; who waits too long, or leaves, keeps nobody else from their turn."""

import asyncio

import pytest

from schema.errors import TimeoutExceededError
from schema.service import Asked
from schema.turns import Turns
from tests.schema.world import BUILT, DOCUMENTS, GraphQLService, caller


async def test_no_more_than_so_many_are_at_work_and_all_come_to_it_in_order():
    turns, working, most, order = Turns(3), 0, 0, []

    async def work(number):
        nonlocal working, most
        async with turns.one():
            working, most = working + 1, max(most, working + 1)
            order.append(number)
            await asyncio.sleep(0)
            working -= 1

    await asyncio.gather(*(work(number) for number in range(20)))
    assert (most, working, order) == (3, 0, list(range(20)))


async def test_who_waits_too_long_or_leaves_or_fails_gives_the_turn_to_the_next():
    turns, held = Turns(1, patience=0.01), asyncio.Event()

    async def work(*, fails=False):
        async with turns.one():
            await held.wait()
            if fails:
                raise ValueError

    first = asyncio.create_task(work(fails=True))
    await asyncio.sleep(0)
    leaving = asyncio.create_task(work())
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(TimeoutExceededError):
        await work()
    held.set()
    with pytest.raises(ValueError, match=r"^$"):
        await first
    await work()  # negative control: the turn is free again
    assert leaving.cancelled()


async def test_a_request_that_gets_no_turn_is_told_so_and_nothing_of_it_was_begun(world):
    service = GraphQLService(BUILT, DOCUMENTS, world.services, turns=Turns(0, patience=0.01))
    asked = Asked("{ profiles { nodes { email } } }", None, None, "customer_service", None, None)
    before = len(await world.records())
    answer = await service.answer(asked, caller("support_agent"))
    assert answer.errors[0]["extensions"]["code"] == "TIMEOUT"
    assert (answer.data, len(await world.records())) == (None, before)


@pytest.mark.parametrize("revoked", [True, False])
async def test_who_is_revoked_while_they_wait_for_their_turn_is_shown_nothing(world, revoked):
    turns = Turns(1)
    service = GraphQLService(BUILT, DOCUMENTS, world.services, turns=turns)
    asked = Asked("{ profiles { nodes { id } } }", None, None, "customer_service", None, None)
    asked_again = []

    async def again():
        asked_again.append(True)
        if revoked:
            raise PermissionError
        return caller("executive")  # may not for this purpose: what they are now counts

    before = len(await world.records())
    assert (await service.answer(asked, caller("support_agent"), again=again)).errors is None
    assert asked_again == [], "who need not wait is asked once"
    async with turns.one():
        waiting = asyncio.create_task(service.answer(asked, caller("support_agent"), again=again))
        await asyncio.sleep(0.01)
        assert asked_again == []
    if revoked:
        with pytest.raises(PermissionError):
            await waiting
    else:
        assert (await waiting).data == {"profiles": {"nodes": []}}
    assert asked_again == [True]
    assert len(await world.records()) == before + (1 if revoked else 2)
    await service.answer(asked, caller("support_agent"))  # negative control: the turn is free again
