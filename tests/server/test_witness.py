"""The HTTP witness and its client, talking to each other; and the log with both."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from audit import (
    AuditBehindWitnessError,
    AuditInconsistentError,
    Checkpoint,
    KeyKind,
    Note,
    Receipt,
    SigningKey,
    WitnessCorruptError,
    WitnessRefusedError,
    WitnessUnreachableError,
    parse_note,
    verify_note,
)
from audit.checkpoint import origin
from audit.note import encode_base64
from audit.signing import cosignature_time
from audit.tree import consistency_proof, leaf_hash, subtree_hash
from server.witness import witness_app
from server.witness_client import WitnessClient
from tests.audit.signed_log import SignedLog

NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)
LOG = SigningKey.from_seed("confide.audit/main", bytes(32))
WITNESS = SigningKey.from_seed("witness.example/w1", b"w" * 32, KeyKind.COSIGNATURE)
LEAVES = [leaf_hash(f"record {n}".encode()) for n in range(40)]
FORK = [*LEAVES[:5], *(leaf_hash(f"other {n}".encode()) for n in range(35))]
SHARD = "0123456789ab"


def checkpoint(size, leaves=LEAVES, *, key=LOG, name=None):
    text = Checkpoint(name or origin("main", SHARD), size, subtree_hash(leaves, 0, size)).text()
    return Note(text).signed(key.sign(text))


def body(old, note, leaves=LEAVES, *, proof=None):
    size = Checkpoint.parse(note.text).size
    hashes = (consistency_proof(leaves, old, size) if old <= size else ()) if proof is None else proof
    lines = [f"old {old}", *map(encode_base64, hashes)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note.to_bytes()


def proof_from(leaves, size):
    async def consistency(old):
        return consistency_proof(leaves, old, size)

    return consistency


def client_of(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://witness.example")


@pytest.fixture
def app(tmp_path):
    return witness_app(tmp_path / "witness", key=WITNESS, logs={"main": [LOG.verifier]}, now=lambda: NOW)


@pytest.fixture
async def http(app):
    async with client_of(app) as client:
        yield client


@pytest.fixture
def witness(http):
    return WitnessClient("https://witness.example/", WITNESS.verifier, http)


async def post(http, data):
    return await http.post("/add-checkpoint", content=data)


async def test_a_checkpoint_that_follows_is_cosigned(http):
    old = 0
    for size in (1, 5, 6, 33, 40):
        note = checkpoint(size)
        answer = await post(http, body(old, note))
        assert answer.status_code == 200
        cosigned = parse_note(note.to_bytes() + answer.content)
        assert verify_note(cosigned, [LOG.verifier, WITNESS.verifier]) == (LOG.verifier, WITNESS.verifier)
        assert cosignature_time(cosigned.signatures[1]) == int(NOW.timestamp())
        old = size


async def test_the_same_checkpoint_is_cosigned_again(http):
    for old in (0, 7):
        assert (await post(http, body(old, checkpoint(7)))).status_code == 200


async def test_a_stale_old_size_is_a_conflict_that_names_the_right_one(http):
    await post(http, body(0, checkpoint(7)))
    for old in (0, 6, 8):
        answer = await post(http, body(old, checkpoint(9)))
        assert (answer.status_code, answer.text) == (409, "7\n")
        assert answer.headers["content-type"].split(";")[0] == "text/x.tlog.size"


async def test_two_roots_for_one_size_are_a_conflict(http):
    await post(http, body(0, checkpoint(7)))
    assert (await post(http, body(7, checkpoint(7, FORK), FORK))).status_code == 409


async def test_a_fork_is_not_cosigned(http):
    await post(http, body(0, checkpoint(7)))
    for leaves in (LEAVES, FORK):
        assert (await post(http, body(7, checkpoint(9, FORK), leaves))).status_code == 422
    assert (await post(http, body(7, checkpoint(9)))).status_code == 200


@pytest.mark.parametrize("proof", [(), (bytes(32),), (bytes(32),) * 63])
async def test_a_proof_that_does_not_show_it_is_refused(http, proof):
    await post(http, body(0, checkpoint(7)))
    assert (await post(http, body(7, checkpoint(9), proof=proof))).status_code == 422


async def test_a_proof_from_nothing_is_refused(http):
    assert (await post(http, body(0, checkpoint(7), proof=(bytes(32),)))).status_code == 422


async def test_who_is_not_known_is_refused(http):
    other = SigningKey.from_seed("confide.audit/main", b"o" * 32)
    assert (await post(http, body(0, checkpoint(7, key=other)))).status_code == 403
    for name in (origin("other", SHARD), "example.com/log", "confide.audit/main", "confide.audit/main/x"):
        assert (await post(http, body(0, checkpoint(7, name=name)))).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda _data: b"",
        lambda data: data.replace(b"old 0", b"old 00"),
        lambda data: data.replace(b"old 0", b"old -1"),
        lambda data: data.replace(b"old 0", b"new 0"),
        lambda data: data.replace(b"old 0\n", b"old 0\nAAAA\n"),
        lambda data: data.replace(b"old 0\n", b"old 0\n" + encode_base64(bytes(32)).encode() * 2 + b"\n"),
        lambda data: data.replace(b"old 0\n", b"old 0\n" + (encode_base64(bytes(32)) + "\n").encode() * 64),
        lambda data: data.replace(b"old 0\n", b"old 9\n"),
        lambda data: data[:-1],
        lambda data: data + b"more\n",
        lambda data: b"\xff" + data,
        lambda data: data + data.splitlines(keepends=True)[-1],
        lambda data: data + b"x" * 200_000,
        lambda data: data.replace(b"\n7\n", b"\n07\n"),
    ],
)
async def test_what_is_no_submission_is_a_bad_request(http, change):
    assert (await post(http, change(body(0, checkpoint(7))))).status_code == 400
    assert (await post(http, body(0, checkpoint(7)))).status_code == 200


async def test_other_addresses_and_methods_are_not_served(http):
    assert (await http.get("/add-checkpoint")).status_code == 405
    assert (await http.post("/")).status_code == 404


async def test_what_was_signed_survives_a_restart_and_one_process_has_the_directory(tmp_path, app):
    options = {"key": WITNESS, "logs": {"main": [LOG.verifier]}, "now": lambda: NOW}
    with pytest.raises(WitnessCorruptError):
        witness_app(tmp_path / "witness", **options)
    async with client_of(app) as http:
        await post(http, body(0, checkpoint(7)))
    copy = tmp_path / "copy"
    copy.mkdir()
    for each in (tmp_path / "witness").glob("*.checkpoint"):
        (copy / each.name).write_bytes(each.read_bytes())
    async with client_of(witness_app(copy, **options)) as http:
        assert (await post(http, body(0, checkpoint(7)))).text == "7\n"


async def test_a_witness_that_forgot_does_not_sign(tmp_path, http):
    await post(http, body(0, checkpoint(7)))
    (path,) = (tmp_path / "witness").glob("*.checkpoint")
    whole = path.read_bytes()
    for damaged in (b"", whole[:-5], whole.replace(b"main", b"mein")):
        path.write_bytes(damaged)
        assert (await post(http, body(7, checkpoint(9)))).status_code == 500


async def test_two_submissions_at_once_cannot_both_follow_the_same(http):
    await post(http, body(0, checkpoint(7)))
    answers = await asyncio.gather(*(post(http, body(7, checkpoint(size))) for size in range(8, 20)))
    assert sorted(each.status_code for each in answers) == [200] + [409] * 11


def test_a_witness_signs_only_with_a_key_for_cosignatures(tmp_path):
    with pytest.raises(ValueError, match="cosignatures"):
        witness_app(tmp_path, key=LOG, logs={}, now=lambda: NOW)


async def test_a_client_learns_the_size_and_proves_from_there(http, app, witness):
    await witness.cosign(checkpoint(7), proof_from(LEAVES, 7))
    other = WitnessClient("https://witness.example", WITNESS.verifier, http)
    for size in (7, 9, 40):
        (signature,) = await other.cosign(checkpoint(size), proof_from(LEAVES, size))
        assert verify_note(checkpoint(size).signed(signature), [WITNESS.verifier])
    (signature,) = await witness.cosign(checkpoint(40), proof_from(LEAVES, 40))


async def test_a_client_tells_what_is_wrong(http, witness):
    await witness.cosign(checkpoint(9), proof_from(LEAVES, 9))
    with pytest.raises(AuditBehindWitnessError):
        await witness.cosign(checkpoint(7), proof_from(LEAVES, 7))
    for size in (9, 12):
        with pytest.raises(AuditInconsistentError):
            await witness.cosign(checkpoint(size, FORK), proof_from(FORK, size))
    with pytest.raises(WitnessRefusedError, match="log's name"):
        await witness.cosign(checkpoint(9, name=origin("other", SHARD)), proof_from(LEAVES, 9))
    other = SigningKey.from_seed("confide.audit/main", b"o" * 32)
    with pytest.raises(WitnessRefusedError, match="key"):
        await witness.cosign(checkpoint(9, key=other), proof_from(LEAVES, 9))


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b""),
        (200, b"ok\n"),
        (200, str(SigningKey.from_seed("w", b"x" * 32).sign("text\n")).encode()),
        (200, str(WITNESS.cosign("another\n", 1)).encode()),
        (200, b"x" * 100_000),
        (409, b"many\n"),
        (409, b"3\n"),
        (500, b""),
        (302, b""),
    ],
)
async def test_an_answer_that_no_witness_gives_is_not_believed(status, content):
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, content=content))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(WitnessUnreachableError):
            await WitnessClient("https://w", WITNESS.verifier, client).cosign(checkpoint(7), proof_from(LEAVES, 7))


async def test_a_witness_that_does_not_answer_is_unreachable_and_its_address_is_not_told():
    async with httpx.AsyncClient(timeout=1) as client:
        with pytest.raises(WitnessUnreachableError) as caught:
            await WitnessClient("http://127.0.0.1:1", WITNESS.verifier, client).cosign(
                checkpoint(7), proof_from(LEAVES, 7)
            )
    assert "127" not in str(caught.value)


@pytest.fixture
async def signed(databases, tmp_path):
    (tmp_path / "log").mkdir()
    made = SignedLog(databases.audit, tmp_path / "log")
    yield made
    for log in made.logs:
        await log.close()


@pytest.fixture
async def witnessed(signed, tmp_path):
    """The log, a witness that knows its key, and a checkpointer that asks it."""
    await signed.start()
    logs = {"main": [signed.public]}
    app = witness_app(tmp_path / "w2", key=WITNESS, logs=logs, now=lambda: NOW)
    async with client_of(app) as http:
        yield lambda: signed.checkpointer(cosigners=[WitnessClient("https://w", WITNESS.verifier, http)])


async def test_the_logs_checkpoints_are_cosigned_and_stand_in_receipts(signed, witnessed):
    log = await signed.open()
    checkpointer = witnessed()
    ids = []
    for count in (1, 5, 9):
        ids += await signed.append(log, count)
        await checkpointer.checkpoint()
    receipt = Receipt.parse(await checkpointer.receipt(ids[3]))
    assert receipt.verify([signed.public]).size == 15
    assert receipt.verify([WITNESS.verifier]).size == 15
    assert await witnessed().check_witness()


async def test_a_log_cut_off_with_its_rosters_is_found_by_the_witness_on_another_machine(signed, witnessed):
    log = await signed.open()
    await signed.append(log, 2)
    await signed.checkpointer().checkpoint()
    await signed.append(log, 2)
    await witnessed().checkpoint()
    await signed.database.rosters.delete_one({"_id": 2})
    await signed.database.batches.delete_many({"first": {"$gte": 2}})
    for name in ("roster-000000000001.note", "roster-000000000002.note", "witness.txt"):
        (signed.witness_path / name).unlink()  # and the directory is in the same hands
    await signed.checkpointer().adopt_witness()
    assert (await signed.checkpointer().check_witness()).sequence == 1
    with pytest.raises(AuditBehindWitnessError, match="HTTP witness"):
        await witnessed().check_witness()
    checkpointer = witnessed()
    told = told_by(checkpointer)
    await checkpointer.checkpoint(always=True)
    assert [type(each) for each in told] == [AuditBehindWitnessError]


def told_by(checkpointer):
    told = []
    checkpointer.on_unwitnessed = told.append
    return told


def refuse(_request):
    raise httpx.ConnectError("refused")


async def test_a_witness_that_is_away_is_given_later_what_it_missed(signed, witnessed):
    log = await signed.open()
    await signed.append(log, 2)
    checkpointer = witnessed()
    (cosigner,) = checkpointer._cosigning._cosigners
    client = cosigner._client
    told = told_by(checkpointer)
    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as cosigner._client:
        await checkpointer.checkpoint()
    assert [type(each) for each in told] == [WitnessUnreachableError]
    assert "roster-000000000001.note" in signed.files()  # the other witness has it
    cosigner._client = client
    await checkpointer.checkpoint()
    assert await signed.rosters().cosigned(log.shard, 2)
    await log.close()
    await checkpointer.checkpoint()
    assert await signed.rosters().newest() == 2


async def test_a_key_change_is_told_to_the_witness_by_its_operator_and_until_then_stops_nothing(signed, witnessed):
    log = await signed.open()
    await signed.append(log)
    await witnessed().checkpoint()
    await signed.append(log)
    await witnessed().rotate_key()
    assert (await signed.keys().load()).current.verifier != signed.public
    checkpointer = witnessed()
    told = told_by(checkpointer)
    await checkpointer.checkpoint()
    assert await checkpointer.check_witness(), "a start"
    assert [type(each) for each in told] == [WitnessRefusedError] * 2
    assert "public key" in str(told[0])
