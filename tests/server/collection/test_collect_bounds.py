"""What comes too slowly, too much at once, or when nothing can be stored: senders are told to come again."""

import asyncio
import contextlib

import pytest

from tests.server.collection.sending import PAGE, BusyError, body_of, post, told, track


async def stalled():
    """The beginning of a body, and never its end."""
    yield b"{"
    await asyncio.Event().wait()


async def test_a_body_that_does_not_come_is_given_up_in_time(collection):
    collection.client, kept = collection.made(body_seconds=0.05)
    response = await collection.client.post("/v1/batch", content=stalled(), auth=(collection.till, ""))
    assert told(response) == (408, "TOO_SLOW")
    assert response.headers["connection"] == "close"
    assert kept.events == []
    assert (await post(collection, body_of(track()))).status_code == 200


async def test_when_too_many_bodies_are_on_their_way_the_oldest_is_given_up(collection):
    collection.client, _ = collection.made(body_seconds=60, max_arriving=2)
    tasks = []
    for _ in range(3):
        tasks.append(asyncio.create_task(collection.client.post("/v1/batch", content=stalled())))
        await asyncio.sleep(0.05)
    assert [task.done() for task in tasks] == [True, False, False]
    assert told(tasks[0].result()) == (408, "TOO_SLOW")
    for task in tasks[1:]:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (3, "3"), (7.2, "8")])
async def test_a_busy_intake_is_429_with_when_to_come_again(collection, seconds, header):
    collection.kept.fails = BusyError(seconds)
    response = await post(collection, body_of(track()), key="shop", origin=PAGE)
    assert told(response) == (429, "BUSY")
    assert response.headers["retry-after"] == header
    assert response.headers["access-control-allow-origin"] == PAGE


@pytest.mark.parametrize(
    ("error", "expected"), [(ConnectionError("x"), (503, "UNAVAILABLE")), (ValueError("x"), (500, "INTERNAL"))]
)
async def test_what_fails_is_told_without_its_words_and_may_be_sent_again(collection, error, expected):
    collection.kept.fails = error
    response = await post(collection, body_of(track()))
    assert told(response) == expected
    assert response.headers["retry-after"] == "2"
    collection.kept.fails = None
    assert (await post(collection, body_of(track()))).status_code == 200


async def test_sources_that_cannot_be_looked_at_are_503_with_or_without_a_page(collection):
    async def away(*_):
        raise ConnectionError

    collection.sources.of_key = collection.sources.all = away
    for headers in ({}, {"origin": PAGE}):
        response = await post(collection, body_of(track()), key="shop", **headers)
        assert told(response) == (503, "UNAVAILABLE")
        assert response.headers["retry-after"] == "2"


async def test_storing_that_takes_too_long_is_503(collection):
    collection.client, kept = collection.made(storing_seconds=0.05)
    kept.waits = asyncio.Event()
    assert told(await post(collection, body_of(track()))) == (503, "UNAVAILABLE")


async def test_what_waits_to_be_stored_is_bounded_and_more_is_429(collection):
    content = body_of(*[track(messageId=str(number)) for number in range(100)])
    collection.client, kept = collection.made(max_waiting=3 * len(content))
    kept.waits = asyncio.Event()
    waiting = [asyncio.create_task(post(collection, content)) for _ in range(3)]
    await asyncio.sleep(0.05)
    refused = await post(collection, content)
    assert told(refused) == (429, "BUSY")
    assert int(refused.headers["retry-after"]) >= 1
    kept.waits.set()
    assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200] * 3
    assert (await post(collection, content)).status_code == 200, "and there is room again"
    assert len(kept.events) == 400


async def test_room_is_given_back_whatever_happened(collection):
    content = body_of(track())
    collection.client, kept = collection.made(max_waiting=len(content))
    kept.fails = ConnectionError()
    for key in ("till", "wk_nobodys", "till"):
        assert (await post(collection, content, key=key)).status_code in (401, 503)
    kept.fails = None
    assert (await post(collection, content)).status_code == 200
