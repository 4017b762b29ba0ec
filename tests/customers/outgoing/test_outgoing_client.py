"""The client against real servers on loopback; what a careless client does beside it is each check's control."""

import asyncio
import gzip
import os
import time
from datetime import UTC, datetime

import httpx
import pytest

from customers.outgoing import (
    AddressRefusedError,
    Allowed,
    AnswerBrokenError,
    AnswerInvalidError,
    Limits,
    OutgoingClient,
    Request,
    TooSlowError,
    UnreachableError,
)
from tests.customers.outgoing.answering import always, answering, in_turn, response

QUICK = Limits(seconds=0.6, connect_seconds=0.4, longest=1000, attempts=1, pause_seconds=0.01)
AGAIN = Limits(seconds=0.6, connect_seconds=0.4, longest=1000, attempts=3, pause_seconds=0.01)


def client(*allowed, limits=QUICK, **more):
    return OutgoingClient(Allowed(allowed), limits, random=os.urandom, **more)


class Resolver:
    """Answers with each of its addresses in turn, and then with the last."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        return [self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]]


async def test_a_named_server_is_asked_what_was_meant_and_nothing_else():
    async with answering(always(response(body=b'{"a": 1}'))) as server, client(server.url()) as mine:
        answer = await mine.send(Request("GET", server.url("/x?y=z"), {"Authorization": "Bearer k"}))
    assert (answer.status, answer.body) == (200, b'{"a": 1}')
    lines = server.heard[0].decode().split("\r\n")
    assert lines[0] == "GET /x?y=z HTTP/1.1"
    assert sorted(line.partition(":")[0].lower() for line in lines[1:] if line) == [
        *("accept-encoding", "authorization", "host")
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_a_server_of_a_private_network_hears_nothing_unless_it_is_named(host):
    async with answering(always(response())) as server:
        named = server.url(host="localhost")
        async with client(named) as mine:
            for url in (server.url(host=host), server.url(host=host).replace("http:", "https:")):
                with pytest.raises(AddressRefusedError):
                    await mine.send(Request("GET", url))
            assert server.heard == []
            await mine.send(Request("GET", named))
            assert len(server.heard) == 1


async def test_a_redirect_into_a_private_network_is_not_followed():
    async with answering(always(response())) as secret:
        elsewhere = response("302 Found", b"", f"Location: {secret.url('/secret')}")
        async with answering(always(elsewhere)) as server, client(server.url(), limits=AGAIN) as mine:
            with pytest.raises(AnswerInvalidError, match="elsewhere"):
                await mine.send(Request("GET", server.url()))
            assert (len(server.heard), secret.heard) == (1, [])
            async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as careless:
                await careless.get(server.url())
            assert len(secret.heard) == 1


async def test_a_resolver_that_answers_otherwise_the_second_time_leads_nowhere():
    async with answering(always(response(body=b"good"))) as good:  # noqa: SIM117 - the second needs the first's port
        async with answering(always(response(body=b"evil")), host="127.0.0.2", port=good.port) as evil:
            url = good.url(host="rebinding.test")
            resolver = Resolver("127.0.0.1", "127.0.0.2")
            async with client(url, resolve=resolver) as mine:
                assert (await mine.send(Request("GET", url))).body == b"good"
            assert resolver.asked == [("rebinding.test", good.port)]
            assert evil.heard == []

            # One that is public when it is looked at, and private when it is connected to.
            resolver = Resolver("1.1.1.1", "127.0.0.2")
            assert Allowed().admitted("rebinding.test", good.port, await resolver("rebinding.test", good.port))
            async with httpx.AsyncClient(trust_env=False) as careless:
                await careless.get(f"http://{(await resolver('rebinding.test', good.port))[0]}:{evil.port}/")
            assert len(evil.heard) == 1
            resolver = Resolver("127.0.0.2")
            async with client(resolve=resolver) as mine:
                with pytest.raises(AddressRefusedError):
                    await mine.send(Request("GET", url.replace("http:", "https:")))
            assert len(evil.heard) == 1


async def test_a_server_that_cannot_prove_its_name_is_not_told_anything():
    async with answering(always(response())) as server:
        url = server.url().replace("http:", "https:")
        async with client(url) as mine:
            with pytest.raises((UnreachableError, AnswerInvalidError, TooSlowError)):
                await mine.send(Request("GET", url, {"Authorization": "Bearer secret"}))
        assert not any(b"secret" in each for each in server.heard)


async def test_a_slow_answer_is_given_up_on_though_bytes_keep_coming():
    async def dripping(_request, write):
        await write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        for _ in range(40):
            await write(b"x")
            await asyncio.sleep(0.05)

    async with answering(dripping) as server, client(server.url()) as mine:
        began = time.monotonic()
        with pytest.raises(TooSlowError):
            await mine.send(Request("GET", server.url()))
        assert time.monotonic() - began < 1.5


async def test_a_huge_answer_is_cut_off_whether_it_says_so_or_not():
    sent = 0

    async def endless(_request, write):
        nonlocal sent
        await write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10_000):
            await write(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
            sent += 0x2000

    async with answering(endless) as server, client(server.url()) as mine:
        with pytest.raises(AnswerInvalidError, match="longer"):
            await mine.send(Request("GET", server.url()))
        assert sent < 8_000_000
    for answer in (response(body=b"x" * 1001), b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"):
        async with answering(always(answer)) as server, client(server.url()) as mine:
            with pytest.raises(AnswerInvalidError, match="longer"):
                await mine.send(Request("GET", server.url()))
    async with answering(always(response(body=b"x" * 1000))) as server, client(server.url()) as mine:
        assert len((await mine.send(Request("GET", server.url()))).body) == 1000


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\nshort", AnswerBrokenError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", AnswerInvalidError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", AnswerInvalidError),
        (b"no HTTP at all\r\n\r\n", AnswerBrokenError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n", AnswerInvalidError),
        (response("200 OK", gzip.compress(b"x" * 100_000), "Content-Encoding: gzip"), AnswerInvalidError),
    ],
)
async def test_an_answer_that_lies_about_itself_is_refused(answer, error):
    async with answering(always(answer)) as server, client(server.url()) as mine:
        with pytest.raises(error):
            await mine.send(Request("GET", server.url()))


async def test_what_lies_behind_an_announced_end_is_not_read_into_the_next_answer():
    async with (
        answering(always(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n")) as server,
        client(server.url()) as mine,
    ):
        for _ in range(2):
            assert (await mine.send(Request("GET", server.url()))).body == b"{}"


async def test_what_may_help_is_tried_again_and_what_cannot_is_not():
    busy, good = response("503 Busy", b""), response(body=b"good")
    async with (
        answering(in_turn(busy, b"broken\r\n\r\n", good)) as server,
        client(server.url(), limits=AGAIN) as mine,
    ):
        assert (await mine.send(Request("GET", server.url()))).body == b"good"
        assert len(server.heard) == 3
    for status, times in (("404 Not Found", 1), ("401 No", 1), ("429 Slow Down", 3)):
        async with answering(always(response(status, b""))) as server, client(server.url(), limits=AGAIN) as mine:
            assert (await mine.send(Request("GET", server.url()))).status == int(status[:3])
            assert len(server.heard) == times


async def test_what_must_not_happen_twice_is_sent_once():
    for repeatable, times in ((None, 1), (True, 3)):
        async with answering(always(response("503 Busy", b""))) as server:
            async with client(server.url(), limits=AGAIN) as mine:
                await mine.send(Request("POST", server.url(), body=b"{}", repeatable=repeatable))
            assert len(server.heard) == times


@pytest.mark.parametrize("after", ["3600", "Mon, 23 Nov 2026 13:00:00 GMT"])
async def test_who_asks_for_more_patience_than_there_is_is_not_asked_again(after):
    answer = response("429 Slow Down", b"", f"Retry-After: {after}")
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    async with answering(always(answer)) as server, client(server.url(), limits=AGAIN, now=lambda: now) as mine:
        assert (await mine.send(Request("GET", server.url()))).status == 429
        assert len(server.heard) == 1


async def test_a_check_before_each_attempt_can_stop_the_next():
    class StopError(Exception):
        pass

    async with answering(always(response("503 Busy", b""))) as server, client(server.url(), limits=AGAIN) as mine:
        asked = []

        async def before():
            asked.append(len(server.heard))
            if len(asked) == 2:
                raise StopError

        with pytest.raises(StopError):
            await mine.send(Request("GET", server.url()), before=before)
        assert (asked, len(server.heard)) == ([0, 1], 1)


async def test_so_many_are_on_their_way_at_once_and_so_many_begin_a_second():
    under_way = most = 0

    async def counting(_request, write):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.03)
        under_way -= 1
        await write(response())

    async with answering(counting) as server:
        async with client(server.url(), limits=Limits(at_once=2, attempts=1)) as mine:
            await asyncio.gather(*(mine.send(Request("GET", server.url())) for _ in range(8)))
        assert most == 2
        async with client(server.url(), limits=Limits(at_once=8, attempts=1, per_second=20)) as mine:
            began = time.monotonic()
            await asyncio.gather(*(mine.send(Request("GET", server.url())) for _ in range(7)))
            assert time.monotonic() - began >= 0.29


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    async with answering(always(response(body=b"proxy"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url())
        async with answering(always(response(body=b"direct"))) as server, client(server.url()) as mine:
            assert (await mine.send(Request("GET", server.url()))).body == b"direct"
        assert proxy.heard == []


async def test_nothing_of_a_request_is_in_a_log_line_or_a_description(caplog):
    caplog.set_level("DEBUG")
    async with answering(always(response(body=b"answered-canary"))) as server, client(server.url()) as mine:
        request = Request("POST", server.url("/path-canary?q=query-canary"), {"X-Key": "key-canary"}, b"body-canary")
        answer = await mine.send(request)
    text = caplog.text + repr(request) + repr(answer)
    assert caplog.records  # the library does write lines at this level
    assert not [each for each in ("path", "query", "key", "body", "answered") if f"{each}-canary" in text]
