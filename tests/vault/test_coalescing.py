"""Look-ups asked together: fresh, each one's own, and no asker's trouble is another's."""

import asyncio
from contextvars import ContextVar

import pytest
from pymongo.errors import AutoReconnect

from vault.coalescing import LARGEST, MOST, Coalescer

WHO = ContextVar("who", default="nobody")


class Shelf:
    """What is looked up in: counts the questions, and fails or waits where a test says so."""

    def __init__(self):
        self.values = {number: f"value {number}" for number in range(2000)}
        self.asked = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.poison = {}
        self.seen = []

    async def fetch(self, keys):
        keys = list(keys)
        self.asked.append(keys)
        self.seen.append(WHO.get())
        found = {key: self.values[key] for key in keys if key in self.values}
        await asyncio.sleep(0)
        for key in keys:
            if key in self.poison:
                raise self.poison[key]
        await self.gate.wait()
        return found


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def many(shelf):
    return Coalescer(shelf.fetch)


async def test_one_who_is_alone_asks_at_once_and_alone(many, shelf):
    assert await many.get([3]) == {3: "value 3"}
    assert shelf.asked == [[3]]


async def test_those_who_come_together_are_one_question_and_each_gets_their_own(many, shelf):
    answers = await asyncio.gather(*(many.get([number, number + 1, -number - 1]) for number in range(30)))
    assert answers == [{number: f"value {number}", number + 1: f"value {number + 1}"} for number in range(30)]
    assert len(shelf.asked) == 1
    assert len(shelf.asked[0]) == len(set(shelf.asked[0])) == 61


async def test_who_comes_while_a_question_is_on_its_way_is_not_given_its_answer(many, shelf):
    shelf.gate.clear()
    first = asyncio.create_task(many.get([1]))
    await asyncio.sleep(0.001)
    assert shelf.asked == [[1]]
    shelf.values[1] = "changed"
    second = asyncio.create_task(many.get([1]))
    shelf.gate.set()
    assert (await first, await second) == ({1: "value 1"}, {1: "changed"})
    assert shelf.asked == [[1], [1]]


async def test_a_question_that_hangs_holds_up_nobody_for_long(many, shelf):
    shelf.gate.clear()
    first = asyncio.create_task(many.get([1]))
    await asyncio.sleep(0.001)
    second = asyncio.create_task(many.get([2]))
    for _ in range(1000):  # while the first hangs, the second is sent
        if len(shelf.asked) == 2:
            break
        await asyncio.sleep(0.001)
    assert shelf.asked == [[1], [2]]
    assert not first.done()
    shelf.gate.set()
    await asyncio.gather(first, second)


async def test_those_who_are_cancelled_or_out_of_time_leave_the_others_undisturbed(many, shelf):
    shelf.gate.clear()

    async def impatient(number):
        async with asyncio.timeout(0.01):
            return await many.get([number])

    staying = [asyncio.create_task(many.get([number])) for number in (1, 2)]
    cancelled = asyncio.create_task(many.get([3]))
    late = asyncio.create_task(impatient(4))
    await asyncio.sleep(0.001)
    cancelled.cancel()
    with pytest.raises(TimeoutError):
        await late
    shelf.gate.set()
    assert await asyncio.gather(*staying) == [{1: "value 1"}, {2: "value 2"}]
    assert cancelled.cancelled()
    assert shelf.asked == [[1, 2, 3, 4]]


async def test_where_all_were_cancelled_before_it_was_sent_nothing_is_asked(many, shelf):
    shelf.gate.clear()
    first = asyncio.create_task(many.get([1]))
    await asyncio.sleep(0.001)
    gone = asyncio.create_task(many.get([2]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0.02)
    shelf.gate.set()
    await first
    assert shelf.asked == [[1]]


async def test_what_fails_for_one_fails_for_nobody_else(many, shelf):
    shelf.poison[2] = ValueError("two")
    found = await asyncio.gather(*(many.get([number]) for number in (1, 2, 3)), return_exceptions=True)
    assert (found[0], found[2]) == ({1: "value 1"}, {3: "value 3"})
    assert isinstance(found[1], ValueError)
    assert shelf.asked[0] == [1, 2, 3]


async def test_what_is_everybodys_trouble_is_not_asked_for_again_by_each(many, shelf):
    shelf.poison[2] = AutoReconnect("gone")
    found = await asyncio.gather(*(many.get([number]) for number in (1, 2, 3)), return_exceptions=True)
    assert [type(each) for each in found] == [AutoReconnect] * 3
    assert shelf.asked == [[1, 2, 3]]


async def test_an_error_of_one_who_asks_alone_is_raised_and_not_tried_again(many, shelf):
    shelf.poison[2] = ValueError("two")
    with pytest.raises(ValueError, match="two"):
        await many.get([2])
    assert shelf.asked == [[2]]


async def test_who_wants_much_goes_alone_and_a_question_has_a_bound(many, shelf):
    wide = list(range(LARGEST + 1))
    assert len(await many.get(wide)) == len(wide)
    assert shelf.asked == [wide]
    await asyncio.gather(*(many.get([number]) for number in range(MOST + 10)))
    assert [len(each) for each in shelf.asked[1:]] == [MOST, 10]


async def test_a_question_is_nobodys_in_particular(many, shelf):
    async def somebody():
        WHO.set("the first")
        return await many.get([1])

    await asyncio.gather(somebody(), many.get([2]))
    assert shelf.seen == ["nobody"]
