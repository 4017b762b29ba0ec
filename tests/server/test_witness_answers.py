"""Answers of an HTTP witness that never end, that unpack to anything or that anybody could have given."""

import asyncio
import contextlib
import gzip
import time

import httpx
import pytest

from audit import (
    AuditBehindWitnessError,
    AuditInconsistentError,
    RosterStore,
    WitnessLackingError,
    WitnessRefusedError,
    WitnessUnreachableError,
)
from server import audit_log
from server.witness_client import WitnessClient
from tests.audit.signed_log import SignedLog
from tests.server.test_witness import LEAVES, WITNESS, checkpoint, proof_from, told_by


@contextlib.asynccontextmanager
async def dripping(head):
    """A server that never ends its answers, and is asked with a timeout for each read; how much it wrote."""
    written = 0

    async def serve(reader, writer):
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"a" * size)
                await writer.drain()
                written += size
                await asyncio.sleep(pause)

    size, pause = (1, 0.05) if b"chunked" not in head else (1 << 16, 0)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(timeout=1) as client:
        yield WitnessClient(f"http://127.0.0.1:{port}", WITNESS.verifier, client), lambda: written
    server.close()


async def test_a_witness_that_drips_its_answer_is_given_up_on(signed):
    await signed.start()
    await signed.append(await signed.open())
    async with dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n") as (client, written):
        checkpointer = signed.checkpointer(cosigners=[client], cosign_seconds=1.5)
        told = told_by(checkpointer)
        began = time.monotonic()
        await checkpointer.checkpoint()
        assert 1.4 < time.monotonic() - began < 5
        assert written() > 10, "the control: no single read was slow"
    assert [type(each) for each in told] == [WitnessUnreachableError]


async def test_of_an_answer_without_end_no_more_is_read_than_a_witness_says():
    async with dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\nx-be: chunked\r\n\r\n") as (
        client,
        written,
    ):
        with pytest.raises(WitnessUnreachableError):
            await client.cosign(checkpoint(7), proof_from(LEAVES, 7))
        assert written() < 64 * 1024 * 1024


async def test_an_answer_that_is_packed_is_not_unpacked():
    headers = {"content-encoding": "gzip"}
    packed = gzip.compress(bytes(1 << 24))
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, headers=headers, stream=Stream(packed)))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(WitnessUnreachableError):
            await WitnessClient("https://w", WITNESS.verifier, client).cosign(checkpoint(7), proof_from(LEAVES, 7))
    assert Stream.read == 0


class Stream(httpx.AsyncByteStream):
    read = 0

    def __init__(self, data):
        self.data = data

    async def __aiter__(self):
        Stream.read += 1
        yield self.data


@pytest.mark.parametrize(
    ("url", "believed"),
    [
        ("https://witness.example", True),
        ("http://127.0.0.1:8200", True),
        ("http://localhost", True),
        ("http://[::1]:8200/w", True),
        ("http://witness.example", False),
        ("http://10.0.0.7:8200", False),
        ("http://127.0.0.1.example", False),
    ],
)
async def test_that_a_witness_saw_more_is_believed_of_tls_and_of_this_machine_alone(url, believed):
    for status, content, error in (
        (409, b"999999\n", AuditBehindWitnessError),
        (409, b"7\n", AuditInconsistentError),
        (422, b"", AuditInconsistentError),
    ):
        transport = httpx.MockTransport(lambda _request, s=status, c=content: httpx.Response(s, content=c))
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(error if believed else WitnessUnreachableError):
                await WitnessClient(url, WITNESS.verifier, client).cosign(checkpoint(7), proof_from(LEAVES, 7))


@pytest.fixture
async def signed(databases, tmp_path):
    made = SignedLog(databases.audit, tmp_path)
    yield made
    for log in made.logs:
        await log.close()


async def test_the_last_checkpoint_of_a_process_is_bounded_whatever_hangs(signed, monkeypatch, caplog):
    await signed.start()

    class Hanging(RosterStore):
        async def newest(self, known=0):  # noqa: ARG002 - as it is called
            await asyncio.Event().wait()

    monkeypatch.setattr(audit_log, "_LAST_SECONDS", 0.2)
    checkpointer = signed.checkpointer(rosters=Hanging.over(signed.database))
    whole = audit_log.SignedLog(signed.reader(), signed.rosters(), signed.keys(), checkpointer, signed.witness())
    async with asyncio.timeout(5):
        await whole.sign_last()
    assert [each.levelname for each in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("error", "event", "level"),
    [
        (WitnessUnreachableError("away"), "witness_unreachable", "WARNING"),
        (WitnessRefusedError("who?"), "witness_unreachable", "WARNING"),
        (WitnessLackingError("emptied"), "witness_lacking", "ERROR"),
        (AuditBehindWitnessError("more"), "witness_contradicts", "ERROR"),
        (AuditInconsistentError("another"), "witness_contradicts", "ERROR"),
    ],
)
def test_what_a_witness_did_not_get_or_says_is_in_the_servers_log(caplog, error, event, level):
    audit_log.tell_unwitnessed(error)
    (record,) = caplog.records
    assert record.levelname == level
    assert event in str(record.__dict__.values())
