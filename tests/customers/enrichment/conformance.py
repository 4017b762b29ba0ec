"""What every provider must do (`customers/enrichment/provider.py`). A new provider's test calls `conforms`.

async def test_mine_conforms():
    await conforms(lambda: MyProvider(...), known=(("code", "1"),), values={"area": "north"}, unknown=(("code", "2"),))
"""

import asyncio

from customers.enrichment.errors import EnrichmentError


class RefusedError(EnrichmentError):
    """What a `before` raises whose customer has withdrawn."""


class Before:
    """Counts how often it is asked, and raises from the time it is told to."""

    def __init__(self, *, refusing=False):
        self.asked = 0
        self.refusing = refusing

    async def __call__(self):
        self.asked += 1
        if self.refusing:
            raise RefusedError


async def conforms(make, *, known, values, unknown, sent=lambda: 0):
    """Hold a provider to what one must do.

    Args:
        make: Makes one that is not opened; called more than once.
        known: A key that it knows.
        values: Exactly what it knows of that, by its own names.
        unknown: A key that it does not know.
        sent: How many requests have arrived at the other side; only of one with a recipient.
    """
    for _ in range(2):  # what was opened and closed leaves nothing that is in the way of the next
        async with make() as provider:
            assert provider.at_once >= 1
            before = Before()
            assert await provider.look_up(known, before=before) == values
            assert await provider.look_up(unknown, before=before) is None
            assert all(isinstance(each, str | int | float | bool) for each in values.values())
            if provider.recipient is not None:
                assert before.asked == 2, "before each key that leaves"
            several = [known, unknown] * provider.at_once
            found = await asyncio.gather(*(provider.look_up(each, before=Before()) for each in several))
            assert found == [values, None] * provider.at_once
            if provider.recipient is not None:
                count = sent()
                try:
                    await provider.look_up(known, before=Before(refusing=True))
                except RefusedError:
                    assert sent() == count, "nothing left"
                else:
                    raise AssertionError("a refusal goes on to the caller")
