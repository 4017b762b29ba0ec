"""The providers that there are, each held to what every provider must do, and to what is its own."""

import json
import os
import tracemalloc

import pytest

from customers.enrichment import LookupFailedError, ProviderUnusableError
from customers.enrichment.csv_table import CsvTableProvider
from customers.enrichment.http_lookup import HttpLookupProvider, Secret, Service
from customers.outgoing import Allowed, Limits, OutgoingClient
from tests.customers.enrichment.conformance import Before, conforms
from tests.customers.outgoing.answering import always, answering, response

KNOWN, UNKNOWN = (("country", "FR"), ("code", "75011")), (("country", "FR"), ("code", "99999"))
LIMITS = Limits(seconds=2, attempts=2, pause_seconds=0.01, longest=10_000)


def table(tmp_path, text, key=("country", "code"), wanted=("area", "kind"), **more):
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CsvTableProvider(path, key=key, wanted=wanted, **more)


def service(server, *, wanted=("area", "deep.kind"), **more):
    client = OutgoingClient(Allowed([server.url()]), LIMITS, random=os.urandom)
    return HttpLookupProvider(Service(server.url("/find?v=1"), **more), client, LIMITS, wanted)


async def test_a_table_conforms(tmp_path):
    text = "country;code;other;area;kind\nFR;75011;x;Île-de-France;\nFR;75012;y;b;c\n"
    await conforms(lambda: table(tmp_path, text), known=KNOWN, values={"area": "Île-de-France"}, unknown=UNKNOWN)


async def test_a_service_conforms():
    async def directory(request, write):
        known = b"code=75011" in request
        body = {"area": "Paris", "deep": {"kind": 3}, "more": "x"} if known else {}
        await write(response(body=json.dumps(body).encode()))

    async with answering(directory) as server:
        await conforms(
            lambda: service(server),
            known=KNOWN,
            values={"area": "Paris", "deep.kind": 3},
            unknown=UNKNOWN,
            sent=lambda: len(server.heard),
        )


async def test_a_table_is_asked_without_regard_to_case_and_spaces_but_for_numbers_that_identify(tmp_path):
    text = "country,code,area,kind\ngb,sw1a 1aa,London,x\n"
    key = (("country", "GB"), ("code", "SW1A1AA"))
    async with table(tmp_path, text) as provider:
        assert (await provider.look_up(key, before=Before()))["area"] == "London"
    async with table(tmp_path, text, exact=["code"]) as provider:
        assert await provider.look_up(key, before=Before()) is None


async def test_of_a_key_of_which_a_table_says_two_things_it_says_nothing(tmp_path):
    text = "country,code,area,kind\nFR,75011,a,x\nFR,75012,a,x\nFR,75011,b,x\nFR,75012,a,x\n"
    async with table(tmp_path, text) as provider:
        assert await provider.look_up(KNOWN, before=Before()) is None
        assert await provider.look_up((("country", "FR"), ("code", "75012")), before=Before()) is not None
        assert (provider.rows, provider.doubtful) == (1, 1)


@pytest.mark.parametrize(
    "text", ["", "country,code,area\nFR,75011,a\n", "country,code,area,kind\n,,a,b\n", b"\xff\xfe\x00"]
)
async def test_a_table_that_cannot_be_used_says_so(tmp_path, text):
    with pytest.raises(ProviderUnusableError):
        await table(tmp_path, text).__aenter__()


async def test_memory_does_not_grow_with_a_table(tmp_path):
    def big():
        yield "country,code,area,kind\n"
        for each in range(60_000):
            yield f"FR,{each:06d},{'x' * 200}{each},kind\n"

    path = tmp_path / "table.csv"
    with path.open("w") as file:
        file.writelines(big())
    assert path.stat().st_size > 12_000_000
    tracemalloc.start()
    async with CsvTableProvider(path, key=["country", "code"], wanted=["area", "kind"]) as provider:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert provider.rows == 60_000
        assert await provider.look_up((("country", "FR"), ("code", "000007")), before=Before()) is not None
    assert most < 6_000_000
    assert sorted(each.name for each in tmp_path.iterdir()) == ["table.csv"], "nothing is left beside it"


async def test_only_the_key_is_sent_and_the_services_own_key_in_one_header(monkeypatch, tmp_path):
    monkeypatch.setenv("GEO_KEY", " secret-canary\n")
    async with answering(always(response(body=b'{"area": "a"}'))) as server:
        async with service(server, secret=Secret("env:GEO_KEY")) as provider:
            await provider.look_up((("code", "7 5&x=1"),), before=Before())
            assert "secret-canary" not in repr(provider)
        lines = server.heard[0].decode().split("\r\n")
        assert lines[0] == "GET /find?v=1&code=7+5%26x%3D1 HTTP/1.1"
        assert "Authorization: Bearer secret-canary" in lines
        place = tmp_path / "key"
        place.write_text("other-canary\n")
        async with service(
            server, method="POST", secret=Secret(f"file:{place}"), header="X-Key", prefix=""
        ) as provider:
            await provider.look_up(KNOWN, before=Before())
        head, _, body = server.heard[1].decode().partition("\r\n\r\n")
        assert json.loads(body) == {"country": "FR", "code": "75011"}
        assert "X-Key: other-canary" in head


@pytest.mark.parametrize("place", ["env:NOT_THERE", "file:/not/there"])
async def test_a_service_whose_key_is_not_there_is_not_opened(place):
    async with answering(always(response())) as server:
        with pytest.raises(ProviderUnusableError):
            await service(server, secret=Secret(place)).__aenter__()


@pytest.mark.parametrize(
    "answer",
    [
        *(response("500 No", b"{}"), response("401 No", b"{}"), response("302 Found", b"", "Location: /")),
        *(response(body=b"[1]"), response(body=b"{"), response(body=b"[" * 9000), response(body=b'{"a": NaN}')),
        response(body=b"x" * 20_000),
    ],
)
async def test_an_answer_that_is_none_fails_that_one_key(answer):
    async with answering(always(answer)) as server, service(server) as provider:
        with pytest.raises(LookupFailedError):
            await provider.look_up(KNOWN, before=Before())


@pytest.mark.parametrize(
    "answer",
    [response("404 Not Found", b""), response("204 No Content", b""), response(body=b"{}"), response(body=b"null")],
)
async def test_an_answer_that_knows_nothing_is_no_failure(answer):
    async with answering(always(answer)) as server, service(server) as provider:
        assert await provider.look_up(KNOWN, before=Before()) is None


async def test_of_an_answer_only_the_named_values_are_taken_and_only_plain_ones():
    body = json.dumps({"area": ["x"], "deep": {"kind": "k"}, "other": "o"}).encode()
    async with answering(always(response(body=body))) as server, service(server) as provider:
        assert await provider.look_up(KNOWN, before=Before()) == {"deep.kind": "k"}
