"""OpenDSR: what a controller sends becomes a request of ours, is followed, told and taken back, and not kept."""

import asyncio
import base64
import json
import os
import uuid
from datetime import datetime, timedelta

import pytest
from bson import encode

from audit import Kind as RecordKind
from customers.outgoing import Allowed, OutgoingClient
from customers.rights.requests import Kind, Regime, RequestStore, State, Verification
from customers.rights.requests.clocks import clock
from server.errors import SettingsError
from server.opendsr import OpenDsrStore
from server.opendsr.callbacks import Callbacks
from server.opendsr.signing import Signer
from server.opendsr.taking import Taking
from server.recipients import PATIENCE, way_out
from tests.customers.outgoing.answering import answering, in_turn, response
from tests.schema.canaries import leaks
from tests.server.opendsr.controller import Controller, controlling, key_pair, officer, proves
from tests.server.test_nothing_left import create

CANARY = "zqdsrmail@canary.example"


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    return key_pair(tmp_path_factory.mktemp("opendsr"))


@pytest.fixture
async def controller(mongo_uri, mongo_client, tmp_path, pair):
    async with controlling(mongo_uri, mongo_client, tmp_path, pair) as made:
        yield made


async def customer(controller, email=CANARY):
    [made] = await create(controller.platform, ({"email": email, "city": "Ulm"}, [], [], []))
    return made


async def request_of(controller, said):
    store = RequestStore(controller.platform.main)
    kept = await controller.platform.main["opendsr_requests"].find({}).to_list(None)
    found = [await store.get(each["request"]) for each in kept if each["request"] is not None]
    return found[-1].request if found else None


async def test_discovery_says_what_is_supported_to_everybody_and_is_signed(controller, tmp_path):
    answer = await controller.client.get("/opendsr/discovery")
    told = answer.json()
    assert told["api_version"] == "1.0"
    assert {"identity_type": "email", "identity_format": "raw"} in told["supported_identities"]
    assert told["supported_subject_request_types"] == ["access", "portability", "erasure"]
    place = told["processor_certificate"].removeprefix("http://privacy.example")
    certificate = (await controller.client.get(place)).content
    assert answer.headers["x-opendsr-processor-domain"] == "privacy.example"
    signature = answer.headers["x-opendsr-signature"]
    assert proves(certificate, tmp_path, answer.content, signature)
    assert not proves(certificate, tmp_path, answer.content + b" ", signature)


async def test_a_request_becomes_one_of_ours_and_is_followed_to_its_end(controller):
    mine = await customer(controller)
    said = Controller.asks("ZQDSRMAIL@canary.example", "access")
    answer = await controller.send(said)
    assert answer.status_code == 201
    told = answer.json()
    assert json.loads(base64.b64decode(told["encoded_request"])) == said
    assert told["controller_id"] == controller.account.caller.actor
    request = await request_of(controller, said)
    assert (request.kind, request.customer_id, request.source) == (Kind.ACCESS, mine, "opendsr")
    assert (request.state, request.verification) == (State.CONFIRMED, Verification.SENDER)
    assert await controller.status(said) == "pending"
    platform = controller.platform
    async with platform.vault.reading():
        await platform.requests.begin(officer(platform), request.id)
    assert await controller.status(said) == "in_progress"
    assert (await controller.cancel(said)).status_code == 400
    await platform.requests.complete(officer(platform), request.id)
    assert await controller.status(said) == "completed"
    ended = await controller.client.get(f"/opendsr/requests/{said['subject_request_id']}", headers=controller.head)
    stored = await RequestStore(platform.main).get(request.id)
    assert stored.request.result is not None, "there is a copy, for the person"
    assert ended.json()["results_url"] is None, "and never for whoever hands on what they asked"


async def test_what_was_sent_is_in_no_byte_of_the_databases(controller):
    await create(controller.platform, ({"city": "Ulm"}, ["user:other"], [], []))
    said = Controller.asks(
        CANARY,
        status_callback_urls=["https://partner.example/zqcallback"],
        extensions={"zqextension": {"zqinnermost": 1}},
    )
    answer = await controller.send(said)
    assert answer.status_code == 201
    encoded = answer.json()["encoded_request"]
    canaries = [CANARY, "zqcallback", "zqextension", "zqinnermost", said["subject_request_id"], encoded[:60]]
    planted = encode({"held": f"before {CANARY} after"})
    assert leaks(canaries, planted), "the search finds what is there"
    for part in ("main", "keys", "audit"):
        database = getattr(controller.platform, part)
        for name in await database.list_collection_names():
            for document in await database[name].find({}).to_list(None):
                assert not leaks(canaries, encode(document)), (part, name)
    files = [each for each in controller.platform.settings.data_dir.rglob("*") if each.is_file()]
    assert not any(leaks(canaries, each.read_bytes()) for each in files)


async def test_who_is_unknown_is_answered_alike_and_completed_when_looked_at(controller):
    await customer(controller)
    known, unknown = Controller.asks(CANARY), Controller.asks("nobody@canary.example")
    answers = [await controller.send(each) for each in (known, unknown)]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json().keys() == answers[1].json().keys()
    assert [await controller.status(each) for each in (known, unknown)] == ["pending", "pending"]
    async with way_out(controller.platform, Allowed()) as client:
        await Callbacks(controller.platform, signer(controller), client).run()
    assert [await controller.status(each) for each in (known, unknown)] == ["pending", "completed"]


async def test_until_when_it_is_answered_tells_nobody_who_is_known_nor_what_they_asked_before(controller):
    platform = controller.platform
    mine = await customer(controller)
    async with platform.vault.reading():
        older = await platform.requests.open(officer(platform), Kind.ACCESS, mine, source="staff")
    await asyncio.sleep(0.02)
    joined, opened, nobody = (
        Controller.asks(*each)
        for each in ((CANARY, "access"), (CANARY, "erasure"), ("nobody@canary.example", "access"))
    )
    for said in (joined, opened, nobody):
        told = (await controller.send(said)).json()
        received, expected = (
            datetime.fromisoformat(told[f"{each}_time"]) for each in ("received", "expected_completion")
        )
        assert expected == clock(Regime.GDPR, Kind.ACCESS, received).due_at
        assert expected > older.due_at, "which would tell that there was an older one"


async def test_what_is_sent_again_is_the_request_it_was_and_an_id_stands_for_one_thing(controller):
    await customer(controller)
    said = Controller.asks(CANARY)
    answers = await asyncio.gather(*(controller.send(said) for _ in range(5)))
    assert {each.status_code for each in answers} == {201}
    assert len({each.json()["received_time"] for each in answers}) == 1
    [request] = await controller.platform.main["privacy_requests"].find({}).to_list(None)
    assert "joined" not in {each["what"] for each in request["steps"]}
    other = Controller.asks("other@canary.example", subject_request_id=said["subject_request_id"])
    refused = await controller.send(other)
    assert (refused.status_code, "another request" in refused.json()["error"]["message"]) == (400, True)


async def joins(controller):
    """How often a request of somebody was joined to another."""
    found = await controller.platform.main["privacy_requests"].find({}).to_list(None)
    return [[each["what"] for each in one["steps"]].count("joined") for one in found]


async def test_what_is_sent_to_two_servers_at_once_is_one_request(controller, monkeypatch):
    await customer(controller)
    opened = Taking._opened

    async def slowly(self, access, asked):
        """So that whoever else opens it too has the time to."""
        found = await opened(self, access, asked)
        await asyncio.sleep(0.2)
        return found

    monkeypatch.setattr(Taking, "_opened", slowly)
    said = Controller.asks(CANARY)
    async with controller.beside() as beside:
        answers = await asyncio.gather(*(each.send(said) for _ in range(3) for each in (controller, beside)))
        assert {each.status_code for each in answers} == {201}
        assert len({(each.json()["received_time"], each.json()["expected_completion_time"]) for each in answers}) == 1
        assert await joins(controller) == [0]
        assert (await beside.cancel(said)).status_code == 202, "nobody else asked for it"
        again = Controller.asks(CANARY)
        await asyncio.gather(controller.send(again), beside.send(Controller.asks(CANARY)))
    assert sorted(await joins(controller)) == [0, 1], "that they are two would show"


async def test_what_a_server_died_over_is_taken_by_the_next_and_is_nowhere_before(controller):
    await customer(controller)
    said = Controller.asks(CANARY)
    await controller.send(said)
    mine, requests = controller.platform.main["opendsr_requests"], controller.platform.main["privacy_requests"]
    now = controller.platform.now()
    left = {
        "request": None,
        "open": False,
        "taking": now - timedelta(seconds=1),
        "keep_until": now + timedelta(days=1),
    }
    await mine.update_one({}, {"$set": left})
    await requests.delete_many({})
    assert await controller.status(said) == 404
    assert (await controller.send(said)).status_code == 201
    assert await controller.status(said) == "pending"
    assert await joins(controller) == [0]
    [kept] = await mine.find({}).to_list(None)
    assert (kept["open"], {"taking", "keep_until"} & set(kept)) == (True, set())
    await mine.update_one({}, {"$set": {**left, "keep_until": now - timedelta(seconds=1)}})
    await OpenDsrStore(controller.platform.main, controller.platform.vault).prune(now)
    assert await mine.find({}).to_list(None) == [], "what nobody sends again goes"


async def test_what_was_asked_for_too_often_is_refused_clearly_and_the_first_goes_on(controller):
    mine = await customer(controller)
    platform = controller.platform
    async with platform.vault.reading():
        for _ in range(20):
            first = await platform.requests.open(
                officer(platform), Kind.ACCESS, mine, source="letter", reason="zqwords"
            )
    said = Controller.asks(CANARY, "access")
    for _ in range(2):
        refused = await controller.send(said)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, 429)
        assert "so often" in refused.json()["error"]["message"]
    assert await controller.status(said) == 404, "nothing of it is kept"
    assert (await controller.send(Controller.asks(CANARY))).status_code == 201, "something else may be asked for"
    stored = await RequestStore(platform.main).get(first.id)
    assert stored.request.open


async def test_nobody_sees_or_cancels_another_controllers_request(controller):
    await customer(controller)
    said = Controller.asks(CANARY)
    await controller.send(said)
    stranger = await controller.another("stranger")
    assert await stranger.status(said) == 404
    assert (await stranger.cancel(said)).status_code == 404
    assert await controller.status(said) == "pending"
    assert (await stranger.send(said)).status_code == 201, "an id is one controller's alone"


async def test_whoever_may_not_send_requests_does_not(controller):
    said = Controller.asks(CANARY)
    support = await controller.another("support", ("support_agent",))
    assert (await support.send(said)).status_code == 403
    assert await support.status(said) == 403
    nobody = await controller.client.post("/opendsr/requests", content=b"{}")
    assert (nobody.status_code, "www-authenticate" in nobody.headers) == (401, True)
    assert await controller.platform.main["opendsr_requests"].find({}).to_list(None) == []


async def test_cancelling_takes_back_only_what_this_controller_asked(controller):
    mine = await customer(controller)
    said = Controller.asks(CANARY)
    await controller.send(said)
    answer = await controller.cancel(said)
    assert (answer.status_code, await controller.status(said)) == (202, "cancelled")
    assert (await request_of(controller, said)).state is State.CANCELLED
    # The person asks for themselves, and the controller hands the same on.
    platform = controller.platform
    async with platform.vault.reading():
        own = await platform.requests.open(officer(platform), Kind.ERASURE, mine, source="letter")
    again = Controller.asks(CANARY)
    await controller.send(again)
    assert (await controller.cancel(again)).status_code == 202
    assert await controller.status(again) == "cancelled"
    stored = await RequestStore(platform.main).get(own.id)
    assert stored.request.state is State.CONFIRMED, "what they asked for themselves goes on"


WRONG = [
    {"regulation": "hipaa"},
    {"regulation": 7},
    {"subject_request_id": "a7551968"},
    {"subject_request_id": str(uuid.UUID(int=1))},
    {"subject_request_type": "rectification"},
    {"submitted_time": "yesterday"},
    {"subject_identities": []},
    {"subject_identities": [{"identity_type": "email", "identity_value": "ab", "identity_format": "sha256"}]},
    {"subject_identities": [{"identity_type": ["email"], "identity_value": "ab", "identity_format": "raw"}]},
    {"subject_identities": [{"identity_type": "shoe", "identity_value": "zqs", "identity_format": "raw"}]},
    {"subject_identities": [{"identity_type": "email", "identity_value": "x" * 600}]},
    {"status_callback_urls": ["http://partner.example/"]},
    {"status_callback_urls": ["https://user:zq@partner.example/"]},
    {"status_callback_urls": ["https://0x7f.1/"]},
    {"status_callback_urls": ["https://partner.example/"] * 6},
    {"status_callback_urls": [7]},
]


async def test_what_is_not_as_the_specification_says_is_refused_and_not_repeated(controller):
    for wrong in WRONG:
        answer = await controller.send({**Controller.asks("zq@canary.example"), **wrong})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400), wrong
        assert "zq" not in answer.text
        assert "x-opendsr-signature" in answer.headers


async def test_bodies_that_are_no_json_or_too_long_are_refused(controller):
    for body, status in ((b"", 400), (b"[]", 400), (b"[" * 5_000, 400), (b"x" * 70_000, 413)):
        assert (await controller.send(body)).status_code == status


async def test_changes_are_told_by_signed_callbacks_until_they_are_taken(controller, tmp_path, pair):
    await customer(controller)
    platform = controller.platform
    async with answering(in_turn(response("503 No"), response("202 Accepted"))) as server:
        allowed = Allowed([server.url("")])
        url = server.url("/callback")
        said = Controller.asks(CANARY, "access", status_callback_urls=[url])
        # Without TLS only what the operator names may be called.
        assert (await controller.send(said)).status_code == 400
        async with controller.naming(server.url("").rstrip("/")) as named, way_out(platform, allowed) as client:
            assert (await named.send(said)).status_code == 201
            callbacks = Callbacks(platform, signer(controller), client)
            assert await callbacks.run() == 0, "nothing has changed"
            request = await request_of(controller, said)
            async with platform.vault.reading():
                await platform.requests.begin(officer(platform), request.id)
            assert await callbacks.run() == 1
            await platform.main["jobs"].update_many({"state": "waiting"}, {"$set": {"due": platform.now()}})
            assert await callbacks.run() == 1, "the first was not taken"
            assert await callbacks.run() == 0
        told = [each.partition(b"\r\n\r\n") for each in server.heard]
    assert len(told) == 2
    head, _, body = told[-1]
    said_so = json.loads(body)
    assert (said_so["request_status"], said_so["status_callback_url"]) == ("in_progress", url)
    assert said_so["subject_request_id"] == said["subject_request_id"]
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    signature = {name.lower(): value for name, value in headers.items()}["x-opendsr-signature"]
    assert proves(pair[1].read_bytes(), tmp_path, body, signature)


async def test_a_callback_to_a_private_address_is_not_made(controller):
    addresses = ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "::ffff:192.168.0.1", "fc00::1"]
    platform, left = controller.platform, list(addresses)

    async def resolve(host, port):
        return [left.pop()]

    for _ in addresses:
        said = Controller.asks("nobody@canary.example", status_callback_urls=["https://partner.example/callback"])
        assert (await controller.send(said)).status_code == 201
    async with OutgoingClient(Allowed(), PATIENCE, random=os.urandom, resolve=resolve) as client:
        assert await Callbacks(platform, signer(controller), client).run() == len(addresses)
    jobs = await platform.main["jobs"].find({"kind": "opendsr_callback"}).to_list(None)
    assert [(job["state"], job["failure"]) for job in jobs] == [("dead", "address_refused")] * len(addresses)
    assert left == []


async def test_every_step_is_in_the_access_log_and_names_the_controller(controller):
    await customer(controller)
    await controller.send(Controller.asks(CANARY, "access"))
    from audit import AccessQuery  # noqa: PLC0415 - only here

    found = (await controller.platform.log.search(AccessQuery(), limit=50)).entries
    steps = [(each.record.actor, each.record.operation) for each in found if each.record.kind is RecordKind.WRITE]
    assert (controller.account.caller.actor, "opendsr.request") in steps


def test_without_a_key_that_only_we_can_read_nothing_is_signed(tmp_path, pair):
    key, certificate = pair
    for wrong in ((None, certificate), (key, None), (tmp_path / "none", certificate), (certificate, certificate)):
        with pytest.raises(SettingsError):
            Signer.load("https://privacy.example", *wrong)
    shown = tmp_path / "shown.key"
    shown.write_bytes(key.read_bytes())
    shown.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod"):
        Signer.load("https://privacy.example", shown, certificate)
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    with pytest.raises(SettingsError, match="no private key"):
        Signer.load("https://privacy.example", key, both)


def signer(controller):
    settings = controller.platform.settings
    return Signer.load(settings.opendsr_origin, settings.opendsr_key, settings.opendsr_certificate)
