"""A command that is told to stop stops, though a driver may lose the first word of it, and closes what it opened."""

import asyncio
import contextlib
import os
import signal

import pytest

from server.cli.stopping import until_told


class Opened:
    """What a command works with, and what happened to it."""

    def __init__(self, *, opening=0.0):
        self.closed, self.told, self._opening = False, 0, opening

    @contextlib.asynccontextmanager
    async def open(self):
        await asyncio.sleep(self._opening)
        try:
            yield self
        finally:
            await asyncio.sleep(0.2)
            self.closed = True

    async def work(self, found, *, deaf):
        """A minute of work that does not hear the first so many times."""
        assert found is self
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.told += 1
                if self.told > deaf:
                    raise


def terminated(after):
    asyncio.get_running_loop().call_later(after, os.kill, os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr("server.cli.stopping._AGAIN_SECONDS", 0.05)


@pytest.mark.parametrize("deaf", [0, 1, 3])
async def test_work_is_told_until_it_hears_and_what_it_opened_is_closed(deaf):
    opened = Opened()
    terminated(0.1)
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(until_told(opened.open(), lambda found: opened.work(found, deaf=deaf)))
    assert (opened.told, opened.closed) == (deaf + 1, True)


async def test_ctrl_c_which_cancels_the_command_itself_ends_the_work_too():
    opened = Opened()
    running = asyncio.create_task(until_told(opened.open(), lambda found: opened.work(found, deaf=2)))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (opened.told, opened.closed) == (3, True)


async def test_a_word_that_comes_while_it_opens_is_heard():
    opened = Opened(opening=30)
    terminated(0.1)
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(until_told(opened.open(), lambda found: opened.work(found, deaf=0)))
    assert opened.told == 0


async def test_a_word_that_comes_while_it_closes_does_not_keep_it_from_closing():
    opened = Opened()

    async def done(_):
        terminated(0.1)
        return 7

    assert await asyncio.create_task(until_told(opened.open(), done)) == 7
    assert opened.closed


async def test_told_once_such_work_would_go_on():
    """Negative control, and what was done once."""
    opened = Opened()
    work = asyncio.create_task(opened.work(opened, deaf=1))
    await asyncio.sleep(0)
    work.cancel()
    await asyncio.wait({work}, timeout=0.3)
    assert not work.done()
    work.cancel()
    await asyncio.wait({work})
