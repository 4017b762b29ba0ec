"""`confide keys`, `token` and `erase`, beside a server that goes on serving."""

import asyncio
import json
import os
import re

import pytest

from audit import Kind
from server.root_keys import ring_path
from server.settings import Settings
from tests.server.processes.deployment import FIND, NAMES, READER
from tests.server.processes.erasure_rounds import NAME, given_out
from vault import root_key_text

PEOPLE = 60


@pytest.fixture(scope="module")
async def busy(shared, tmp_path_factory):
    """A server with people in it, imported, who knows the next root key."""
    directory = tmp_path_factory.mktemp("keys")
    shared.next_root = directory / "next.key"
    shared.next_root.write_text(root_key_text(os.urandom))
    shared.next_root.chmod(0o600)
    shared.environment["CONFIDE_NEXT_ROOT_KEY"] = f"file:{shared.next_root}"
    shared.people = {f"person{number}@example.org": f"{NAME} {number}" for number in range(PEOPLE)}
    source = directory / "people.csv"
    source.write_text("email,given_name\n" + "".join(f"{email},{name}\n" for email, name in shared.people.items()))
    imported = await shared.confide("import", source)
    assert imported.code == 0, imported.err
    shared.server = await shared.served()
    return shared


async def find_everybody(site):
    """Look everybody up by e-mail address; every one of them must be found."""
    for email in site.people:
        answer = await site.ask(site.server, READER, FIND, value=email)
        assert answer.data["profileByIdentifier"]["email"] == email, answer.body


async def while_looking_people_up(site, *command):
    """Run a command while everybody is looked up again and again; gives how it ended and how often they were."""
    rounds = 0
    running = asyncio.create_task(site.confide(*command))
    while not running.done():
        await find_everybody(site)
        rounds += 1
    await find_everybody(site)
    return running.result(), rounds


async def test_status_says_how_the_keys_stand_and_shows_none(busy):
    as_json = await busy.confide("keys", "status", "--json")
    assert as_json.code == 0, as_json.err
    found = as_json.json
    assert found["leaves_taken"] >= PEOPLE
    assert found["erasures_open"] == 0
    assert found["root_key"].startswith("file:")
    assert len(found["rings"]) == 1
    text = await busy.confide("keys", "status")
    assert f"file version     {found['file_version']}" in text.out
    root = (busy.data / "root.key").read_text().strip()
    assert root not in as_json.out + text.out


async def test_a_backup_of_the_ring_replaces_the_one_before_and_nothing_else(busy, tmp_path):
    destination = tmp_path / "key.ring.backup"
    for _ in range(2):
        ended = await busy.confide("keys", "backup", destination)
        assert ended.code == 0, ended.err
        assert destination.read_bytes() == ring_path(Settings(data_dir=busy.data)).read_bytes()
        assert destination.stat().st_mode & 0o777 == 0o600
    other = tmp_path / "letter.txt"
    other.write_text("Dear customer")
    ended = await busy.confide("keys", "backup", other)
    assert ended.code == 1
    assert other.read_text() == "Dear customer"
    assert [path.name for path in tmp_path.iterdir() if "backup" in path.name] == [destination.name]


@pytest.mark.timeout(60)
async def test_everybody_is_found_while_the_index_keys_are_rotated(busy):
    before = await busy.main["blind_index"].find({}, {"_id": 1}).to_list(None)
    ended, rounds = await while_looking_people_up(busy, "keys", "rotate", "index")
    assert ended.code == 0, ended.err
    assert rounds >= 1
    assert "Indexing" in ended.err
    after = await busy.main["blind_index"].find({}, {"_id": 1, "epoch": 1}).to_list(None)
    assert {each["epoch"] for each in after} == {2}
    assert len(after) == len(before)
    assert {each["_id"] for each in after}.isdisjoint(each["_id"] for each in before)
    assert (await busy.confide("keys", "status", "--json")).json["index_epochs"] == [2]


@pytest.mark.timeout(60)
async def test_everybody_is_read_while_the_ring_is_rotated_and_the_old_ring_is_refused(busy):
    path = ring_path(Settings(data_dir=busy.data))
    old = path.read_bytes()
    ended, rounds = await while_looking_people_up(busy, "keys", "rotate", "ring")
    assert ended.code == 0, ended.err
    assert rounds >= 1
    new = path.read_bytes()
    path.write_bytes(old)
    try:
        refused = await busy.confide("keys", "status")
        assert refused.code == 1
        assert "older" in refused.err
    finally:
        path.write_bytes(new)
    records = await busy.keys["data_keys"].find({}, {"ring": 1}).to_list(None)
    (ring,) = (await busy.confide("keys", "status", "--json")).json["rings"]
    assert {bytes(each["ring"]).hex() for each in records} == {ring["ring_id"]}


@pytest.mark.timeout(60)
async def test_the_root_key_is_rotated_under_a_running_server_and_the_old_one_is_refused(busy):
    ended, _ = await while_looking_people_up(busy, "keys", "rotate", "root", "--to", f"file:{busy.next_root}")
    assert ended.code == 0, ended.err
    busy.environment.pop("CONFIDE_NEXT_ROOT_KEY")
    old = await busy.confide("keys", "status")
    assert old.code == 1
    assert "CONFIDE_ROOT_KEY" in old.err
    busy.environment["CONFIDE_ROOT_KEY"] = f"file:{busy.next_root}"
    assert (await busy.confide("keys", "status")).code == 0
    # The server was given the next root key before, so it follows an erasure too.
    email = next(iter(busy.people))
    customer = (await busy.ask(busy.server, READER, FIND, value=email)).data["profileByIdentifier"]["id"]
    erased = await busy.confide("erase", f"email:{email}", "--yes", "--case", "DSR-1042")
    assert erased.code == 0, erased.err
    del busy.people[email]
    assert await given_out(busy, busy.server, customer, email) == []
    await find_everybody(busy)
    assert busy.server.process.code is None
    for secret in (busy.next_root, busy.data / "root.key"):
        assert secret.read_text().strip() not in ended.out + ended.err + old.err


async def test_an_erasure_by_e_mail_address_is_recorded_under_its_case(busy):
    email, name = next(reversed(busy.people.items()))
    customer = (await busy.ask(busy.server, READER, FIND, value=email)).data["profileByIdentifier"]["id"]
    unasked = await busy.confide("erase", f"email:{email}")
    assert unasked.code == 1, "nobody confirmed"
    kept = await busy.ask(busy.server, READER, NAMES, id=customer)
    assert kept.data["profile"]["givenName"] == name
    ended = await busy.confide("erase", f"email:{email.upper()}", "--yes", "--case", "DSR-7")
    assert ended.code == 0, ended.err
    receipt = json.loads(ended.out)
    assert receipt["customer"] == customer
    assert re.fullmatch("[0-9a-f]{32}", receipt["key_fingerprints"][0])
    assert email not in (ended.out + ended.err).lower()
    del busy.people[email]
    assert await given_out(busy, busy.server, customer, email) == []
    intents = [each for each in (await busy.records()).values() if each.kind is Kind.ERASURE_INTENT]
    assert "DSR-7" in {each.case for each in intents}
    assert {each.purpose for each in intents} == {"privacy_request"}
    for target in (f"email:{email}", customer, "crm:4711"):
        again = await busy.confide("erase", target, "--yes")
        assert again.code == 1
        assert "Traceback" not in again.err


async def test_a_token_of_the_command_is_accepted_and_one_that_would_be_refused_is_not_made(busy):
    made = await busy.confide("token", "--subject", "ana", "--role", "support_agent", "--purpose", "order_support")
    assert made.code == 0, made.err
    token = made.out.strip()
    email = next(iter(busy.people))
    answer = await busy.server.ask(FIND, {"value": email}, token=token, purpose="order_support")
    assert answer.data["profileByIdentifier"]["email"] == email
    answer = await busy.server.ask(FIND, {"value": email}, token=token, purpose="marketing")
    assert answer.code == "PURPOSE_NOT_ALLOWED"
    for wrong in (
        ["--role", "customer"],  # without saying which
        ["--role", "support_agent", "--hours", "200"],
        ["--role", "support_agent", "--customer", "cus_" + "a" * 26],
    ):
        refused = await busy.confide("token", "--subject", "ana", *wrong)
        assert refused.code == 1, wrong
        assert refused.out == ""
        assert len(refused.err.splitlines()) == 1
