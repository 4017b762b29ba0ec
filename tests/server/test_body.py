"""Request bodies: what is read, and everything that is refused before it is looked at."""

import asyncio
import contextlib
import time
import tracemalloc

import pytest

from server.body import check_json_text, read_body
from server.errors import BodyCutOffError, BodyEncodedError, BodyNotTextError, BodyTooLargeError, BodyTooSlowError


def sending(*parts: bytes, then: dict | None = None, pause: float = 0):
    """An ASGI channel that brings these parts."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append(then or {"type": "http.request"})
    received = iter(messages)

    async def receive():
        await asyncio.sleep(pause)
        receive.calls += 1
        return next(received)

    receive.calls = 0
    return receive


async def read(receive, headers=(), max_bytes=1000, seconds=5.0):
    return await read_body(dict(headers), receive, max_bytes=max_bytes, seconds=seconds)


async def test_a_body_is_read_whole_in_one_part_or_many():
    assert await read(sending(b"abc")) == b"abc"
    assert await read(sending(b"a", b"", b"bc")) == b"abc"
    assert await read(sending()) == b""
    assert await read(sending(b"x" * 1000)) == b"x" * 1000


async def test_a_body_that_is_too_long_is_refused_and_never_held():
    receive = sending(*[b"x" * 100] * 1000)
    with pytest.raises(BodyTooLargeError):
        await read(receive)
    assert receive.calls == 11
    tracemalloc.start()
    with pytest.raises(BodyTooLargeError):
        await read(sending(*[bytes(65_536)] * 160), max_bytes=1_048_576)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 1_048_576


@pytest.mark.parametrize("announced", ["1001", "10000000", "9" * 5000])
async def test_a_body_that_announces_its_length_is_refused_before_it_is_read(announced):
    receive = sending(b"abc")
    with pytest.raises(BodyTooLargeError):
        await read(receive, {"content-length": announced})
    assert receive.calls == 0
    assert await read(receive, {"content-length": "3"}) == b"abc"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP", "x"])
async def test_a_compressed_body_is_refused(coding):
    receive = sending(b"abc")
    with pytest.raises(BodyEncodedError):
        await read(receive, {"content-encoding": coding})
    assert receive.calls == 0
    assert await read(receive, {"content-encoding": "Identity"}) == b"abc"


async def test_a_body_that_comes_too_slowly_is_refused():
    with pytest.raises(BodyTooSlowError):
        await read(sending(*[b"x"] * 100, pause=0.01), seconds=0.1)
    assert await read(sending(b"x", pause=0.01), seconds=0.5) == b"x"


async def test_a_client_that_goes_away_is_not_taken_for_the_end():
    with pytest.raises(BodyCutOffError):
        await read(sending(b"abc", then={"type": "http.disconnect"}))


GOOD = [
    b"",
    b"{}",
    '{"name": "Zoë \U0001f600 ﷽"}'.encode(),
    b'"\\u00e9 \\uD83D\\uDE00 \\ud83d\\ude00"',
    b'"\\\\u0000"',  # an escaped backslash, and then text
    b'"\\\\\\\\ud800"',
    b'"\\u0001"',
]
BAD = [
    b"\0",
    b'{"a": "b\0"}',
    b'"\\u0000"',
    b'"\\\\\\u0000"',  # an escaped backslash, and then an escaped NUL
    b"\xff",
    b'"\xc0\x80"',  # NUL in two bytes
    b'"\xed\xa0\x80"',  # half of a pair, as UTF-8
    b"\xef\xbb\xbf{}",
    '"é"'.encode("latin-1"),
    '"a"'.encode("utf-16"),
    b'"\\ud800"',
    b'"\\uDC00"',
    b'"\\ude00\\ud83d"',
    b'"\\ud83d\\ud83d\\ude00"',
    b'"\\ud83d\\\\ude00"',
    b'"\\ud83d \\ude00"',
]


@pytest.mark.parametrize("body", GOOD)
def test_text_is_let_through(body):
    check_json_text(body)


@pytest.mark.parametrize("body", BAD)
def test_what_is_not_text_is_refused(body):
    with pytest.raises(BodyNotTextError) as refused:
        check_json_text(body)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("filler", [b"\\", b"\\u", b"\\ud83d", b"\\ud83d\\ude00", b"\\u00", b"a"])
def test_a_body_of_the_longest_length_is_checked_in_time(filler):
    body = (filler * 1_048_576)[:1_048_576]
    started = time.thread_time()
    with contextlib.suppress(BodyNotTextError):
        check_json_text(body)
    assert time.thread_time() - started < 0.2
