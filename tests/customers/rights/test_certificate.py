"""A certificate has one form, names nobody, and is proved by the receipt of its own record and by no other."""

import json
from pathlib import Path

import pytest

from audit import EntryId, Erasure, Kind, Outcome, Receipt, Record, encode_record
from audit.checkpoint import Checkpoint, key_name
from audit.note import Note
from audit.signing import SigningKey
from audit.tree import Edge, leaf_hash
from customers.errors import CertificateInvalidError, CertificateNotProvedError
from customers.rights.certificate import (
    Certificate,
    Kept,
    Step,
    decode_certificate,
    digest,
    encode_certificate,
    verify_certificate,
)
from customers.rights.certificates import CertificateStore
from vault import ErasureStep

VECTOR = Path(__file__).with_name("vectors") / "certificate.json"
MADE = Certificate(
    begun="2026-05-14T09:30:00.000000Z",
    deployment="main",
    finished="2026-05-14T09:30:01.000000Z",
    id="crt_abcdefghijklmnopqrstuvwxyz",
    keys=("c0ffee",),
    kept=(
        Kept(
            fields=("order.placed_at",),
            law="HGB § 257",
            object="order",
            records=2,
            rule="invoices",
            until="2036-12-31T23:59:59.000000Z",
        ),
    ),
    policy="1f3a",
    reached=("main/profiles",),
    recipients=("Mailer",),
    steps=(Step(at="2026-05-14T09:30:00.500000Z", step="fenced"),),
)
KEY = SigningKey.from_seed(key_name("main"), bytes(32))


def done(certificate, kind=Kind.ERASURE_DONE):
    return Record(
        actor="confide",
        roles=(),
        kind=kind,
        outcome=Outcome.ALLOWED,
        policy="1f3a",
        time="2026-05-14T09:30:01.000000Z",
        erasure=Erasure(fingerprint="c0ffee", leaf=1, certificate=certificate)
        if certificate
        else Erasure(fingerprint="c0ffee", leaf=1),
    )


def receipt_of(record, *, log="main", key=KEY):
    data = encode_record(record)
    edge = Edge().extend([leaf_hash(data)])
    checkpoint = Checkpoint(f"confide.audit/{log}/0123456789ab", 1, edge.root())
    return Receipt(data, 0, (), Note(checkpoint.text(), (key.sign(checkpoint.text()),)))


def test_a_certificate_has_its_frozen_bytes():
    assert encode_certificate(MADE) == VECTOR.read_bytes()
    assert decode_certificate(VECTOR.read_bytes()) == MADE
    assert json.dumps(json.loads(VECTOR.read_bytes()), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == (
        VECTOR.read_text("utf-8")
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        VECTOR.read_bytes() + b"\n",
        VECTOR.read_bytes().replace(b"/v1", b"/v2"),
        b"\xff" * 9,
        b"[" * 90_000,
    ],
    ids=range(6),
)
def test_nothing_else_is_a_certificate(data):
    with pytest.raises(CertificateInvalidError):
        decode_certificate(data)


def test_the_receipt_of_its_own_record_proves_a_certificate():
    data = encode_certificate(MADE)
    assert verify_certificate(data, receipt_of(done(digest(data))), [KEY.verifier]) == MADE


def test_no_other_receipt_proves_it():
    data = encode_certificate(MADE)
    right = done(digest(data))
    thief = SigningKey.from_seed(key_name("main"), bytes([1]) * 32)
    for receipt in (
        receipt_of(done("0" * 64)),
        receipt_of(done(None)),
        receipt_of(done(digest(data), Kind.ADMIN)),
        receipt_of(right, log="other"),
        receipt_of(right, key=thief),
    ):
        with pytest.raises(CertificateNotProvedError):
            verify_certificate(data, receipt, [KEY.verifier])
    changed = data.replace(b"2026-05-14T09:30:01", b"2020-05-14T09:30:01")
    with pytest.raises(CertificateNotProvedError):
        verify_certificate(changed, receipt_of(right), [KEY.verifier])


async def test_an_erasure_leaves_a_certificate_that_its_record_names_and_that_names_nobody(world):
    customer_id = await world.one(1)
    async with world.vault.reading():
        fingerprint = (await world.vault.keys([customer_id]))[customer_id].fingerprint
    certificate = await world.erase(customer_id)
    record = (await world.records(kind=Kind.ERASURE_DONE))[-1]
    body = encode_certificate(certificate)
    assert record.erasure.certificate == digest(body)
    assert certificate.keys == (fingerprint,)
    assert [each.step for each in certificate.steps] == [each.value for each in ErasureStep][:-1]
    assert [each.at for each in certificate.steps] == sorted(each.at for each in certificate.steps)
    assert customer_id.encode() not in body
    stored = await CertificateStore(world.main).find(certificate.id)
    assert stored.body == body
    assert (await world.log.get(EntryId.parse(stored.entry))).record == record


async def test_the_certificate_of_a_person_of_two_profiles_has_both_keys(world):
    one, other = await world.create(*(world.draft({"city": "Bremen"}, external=[f"crm:{n}"]) for n in (901, 902)))
    async with world.vault.reading():
        await world.reviewer.merge(world.access("data_steward", "identity_resolution"), one, other)
        keys = await world.vault.keys([one, other])
    certificate = await world.erase(other)
    assert set(certificate.keys) == {each.fingerprint for each in keys.values()}
    digests = {each.erasure.certificate for each in await world.records(kind=Kind.ERASURE_DONE)}
    assert digest(encode_certificate(certificate)) in digests


async def test_an_erasure_from_before_there_were_certificates_ends_without_one(world, monkeypatch):
    customer_id = await world.one(1)

    async def died(step, erasure):
        if step is ErasureStep.FOLLOWED:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        await world.vault.shred(customer_id, died)
    await world.keys["erasures"].update_one({"_id": customer_id}, {"$unset": {"reference": "", "times": ""}})
    assert await world.eraser.resume() == 1
    record = (await world.records(kind=Kind.ERASURE_DONE))[-1]
    assert b"certificate" not in encode_record(record)
