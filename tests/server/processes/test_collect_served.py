"""Events into `confide serve`: bad input leaves nothing half-written, and what fails may be sent again."""

import asyncio
import gzip
import json
import os
import time

import pytest

from server.database import close, connect
from server.engine import EmbeddedEngine
from tests.server.processes.collect_rounds import SOURCE, Senders, new_source
from tests.server.processes.deployment import ERASE, READER, deployed

TAKEN = b'{"success": true}'


@pytest.fixture(scope="module")
async def site(shared):
    shared.key = await new_source(shared)
    shared.server = await shared.served()
    return shared


async def everything(site):
    """How many documents there are of each kind that an event could leave."""
    counts = {}
    for database, names in (
        (site.main, ("events", "profiles", "blind_index", "event_batches", "orders", "consent_ledger")),
        (site.keys, ("data_keys",)),
    ):
        for name in names:
            counts[name] = len(await database[name].find({}, {"_id": 1}).to_list(None))
    return counts


def batch(*events, **more):
    return json.dumps({"batch": list(events), **more}).encode()


def track(**more):
    return {"type": "track", "event": "Seen", "userId": "u-1", **more}


HALF = track(messageId="half")
BAD = {
    "cut off": (batch(HALF)[:-1], 400),
    "NaN at its end": (batch(HALF, track(price=0))[:-3] + b"NaN}]}", 400),
    "not UTF-8": (batch(HALF)[:-1] + b', "\xff": 1}', 400),
    "too deep": (batch(HALF)[:-2] + b"," + b"[" * 50_000, 400),
    "broken gzip": (gzip.compress(batch(HALF))[:-4], 400),
    "a bomb": (gzip.compress(batch(HALF) + b" " * 50_000_000), 413),
    "too large": (batch(HALF, *[track(x="y" * 20_000) for _ in range(40)]), 413),
    "too many": (batch(HALF, *[{}] * 2500), 400),
}


@pytest.mark.parametrize(("content", "status"), BAD.values(), ids=BAD)
async def test_a_bad_body_leaves_nothing_behind(site, content, status):
    before = await everything(site)
    answer = await site.server.client.post("/v1/batch", content=content, auth=(site.key, ""))
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message"}
    assert await everything(site) == before


async def test_a_sender_of_far_too_much_hears_so_and_is_not_cut_off(site):
    """Who is cut off while sending does not read the answer, and sends the same again."""
    answer = await site.server.client.post("/v1/batch", content=os.urandom(6_000_000), auth=(site.key, ""))
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("key", ["wk_nobodys", ""])
async def test_a_bad_key_leaves_nothing_behind(site, key):
    before = await everything(site)
    answer = await site.server.client.post("/v1/batch", content=batch(HALF), auth=(key, "") if key else None)
    assert answer.status_code == 401
    assert await everything(site) == before


ODD = {
    "odd names": {"": 1, "$set": {"a.b": 2}, "a\0b": 3, "__proto__": 4, "x" * 3000: 5},
    "odd values": {"big": 2**80, "bigger": 10**300, "tiny": 5e-324, "nul": "a\0b", "list": [[[]]], "none": None},
    "a name as a list": {"a": [{"b": [1, "two", None, {"c": []}]}]},
}


@pytest.mark.parametrize("properties", ODD.values(), ids=ODD)
async def test_odd_properties_are_stored_or_counted_and_never_fail(site, properties):
    good = track(messageId=f"good-{len(properties)}-{'list' in properties}")
    content = batch(track(properties=properties), good)
    answer = await site.server.client.post("/v1/batch", content=content, auth=(site.key, ""))
    assert (answer.status_code, answer.content) == (200, TAKEN)
    assert await Senders(site, site.key).applied() == []
    identify = {"type": "identify", "userId": "u-odd", "traits": properties}
    answer = await site.server.client.post("/v1/identify", json=identify, auth=(site.key, ""))
    assert (answer.status_code, answer.content) == (200, TAKEN)
    assert await Senders(site, site.key).applied() == []


SEEN = """query Seen($value: String!) {
  profileByIdentifier(type: EXTERNAL_ID, value: $value) {
    id email eventCount events(first: 5) { nodes { type name source properties } }
  }
}"""


async def test_what_is_sent_is_on_its_profile_within_a_second_and_goes_with_its_person(site):
    identify = {"type": "identify", "userId": "u-seen", "traits": {"email": "seen.canary@example.org"}}
    viewed = {"type": "track", "userId": "u-seen", "event": "Seen canary", "properties": {"sku": "s-1"}}

    async def profile():
        answer = await site.ask(site.server, READER, SEEN, value="user:u-seen")
        assert answer.code is None, answer.body
        return answer.data["profileByIdentifier"]

    answer = await site.server.client.post("/v1/batch", content=batch(identify, viewed), auth=(site.key, ""))
    assert answer.content == TAKEN
    began = time.monotonic()
    while (found := await profile()) is None or found["eventCount"] != 2 or found["email"] is None:
        assert time.monotonic() - began < 5
        await asyncio.sleep(0.05)
    assert time.monotonic() - began < 1.5, "a second, on a machine that others use"
    assert found["email"] == "seen.canary@example.org"
    by_type = {each["type"]: each for each in found["events"]["nodes"]}
    assert by_type["track"] == {
        "type": "track", "name": "Seen canary", "source": SOURCE, "properties": {"sku": "s-1"}
    }  # fmt: skip
    query = {"customer_id": found["id"]}
    assert len(await site.main["events"].find(query).to_list(None)) == 2
    assert (await site.ask(site.server, READER, ERASE, id=found["id"])).code is None
    assert await profile() is None
    assert await site.main["events"].find(query).to_list(None) == []
    # Who sends again makes somebody new, who knows nothing of the one before.
    await site.server.client.post("/v1/batch", content=batch({**viewed, "messageId": "again"}), auth=(site.key, ""))
    assert (await profile())["id"] != found["id"]


async def test_nothing_is_redirected_and_no_key_is_logged(site):
    for path in (
        "/v1",
        "/v1/",
        "/v1/batch/",
        "/v1//batch",
        "/v1/projects/x/settings/",
        f"/v1/projects/{site.key}/settings",
    ):
        for method in ("GET", "POST", "OPTIONS", "HEAD"):
            answer = await site.server.client.request(method, path)
            assert not 300 <= answer.status_code < 400, (method, path)
    assert site.key not in site.server.process.err
    assert '"route":"/v1"' in site.server.process.err


async def test_a_body_that_stalls_is_408(shared, site):
    server = await shared.served(CONFIDE_BODY_SECONDS="0.3")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /v1/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert await server.stop() == 0


@pytest.mark.timeout(90)
async def test_while_the_database_is_away_senders_are_told_to_come_again_and_then_each_event_is_there_once(
    processes, tmp_path
):
    engine = await EmbeddedEngine.start(tmp_path / "engine")
    client = connect(engine.uri)
    async with deployed(tmp_path / "site", processes, client, engine.uri) as site:
        site.environment["CONFIDE_READ_DEADLINE_SECONDS"] = "2.5"
        key = await new_source(site)
        server = await site.served()

        async def send():
            began = time.monotonic()
            answer = await server.client.post(
                "/v1/batch", content=batch(HALF, track(messageId="whole")), auth=(key, "")
            )
            return answer, time.monotonic() - began

        assert (await send())[0].status_code == 200
        await engine.kill()
        for _ in range(2):
            answer, seconds = await send()
            assert answer.status_code in (429, 503), answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert seconds < 12
        engine = await EmbeddedEngine.start(tmp_path / "engine", port=engine.port)
        try:
            deadline = time.monotonic() + 30
            while (answer := (await send())[0]).status_code != 200:
                assert answer.status_code in (429, 503), answer.text
                assert time.monotonic() < deadline
                await asyncio.sleep(0.3)
            assert len(await site.main["events"].find({}).to_list(None)) == 2
            assert server.process.code is None, "it is the process that was there from the beginning"
            assert "u-1" not in server.process.err
            assert await server.stop() == 0
        finally:
            await close(client)
            await engine.stop()
