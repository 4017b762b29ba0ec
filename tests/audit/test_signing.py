"""Ed25519 and the file of the signing key."""

import json
import os
import pickle
import stat
from pathlib import Path

import pytest

from audit import (
    KeyKind,
    Note,
    SignatureInvalidError,
    SignatureMissingError,
    SigningKey,
    SigningKeyCorruptError,
    SigningKeyExistsError,
    SigningKeyForeignError,
    SigningKeyKindError,
    SigningKeyMissingError,
    SigningKeyPermissionsError,
    SigningKeys,
    VerifierKey,
    parse_note,
    verify_note,
)
from audit.signing import cosignature_time, verify_signature
from tests.audit.sealer import MemorySealer
from tests.audit.test_note import GO_KEY, GO_LINE, GO_TEXT, note_of

VECTORS = json.loads((Path(__file__).parent / "vectors" / "ed25519.json").read_text())
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group, RFC 8032 section 5.1


@pytest.fixture
def key():
    return SigningKey.from_seed("confide.audit/main", bytes(range(32)))


def make_keys(path, log="main", sealers=None):
    return SigningKeys(path, log, sealers or [MemorySealer()], random=os.urandom)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: each["name"])
def test_the_vectors_of_rfc_8032_hold(vector):
    seed, public, message, signature = (bytes.fromhex(vector[n]) for n in ("seed", "public", "message", "signature"))
    key = SigningKey.from_seed("n", seed)
    assert key.verifier.public == public
    assert key._key.sign(message) == signature
    assert verify_signature(public, message, signature)
    assert not verify_signature(public, message + b"x", signature)
    for at in (0, 31, 32, 63):
        changed = bytearray(signature)
        changed[at] ^= 1
        assert not verify_signature(public, message, bytes(changed))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda each: each["name"])
def test_a_signature_has_one_form_only(vector):
    """The classes of forgeries that Wycheproof has for Ed25519: S not reduced, S or R at an edge, wrong lengths."""
    public, message, signature = (bytes.fromhex(vector[n]) for n in ("public", "message", "signature"))
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    for other in (s + ORDER, s + 2 * ORDER, ORDER, ORDER - 1, 0, 1, 2**256 - 1):
        assert not verify_signature(public, message, r + (other % 2**256).to_bytes(32, "little"))
    for point in (bytes(32), b"\xff" * 32, b"\x01" + bytes(31), r[:31] + bytes((r[31] ^ 0x80,))):
        assert not verify_signature(public, message, point + signature[32:])
    for cut in (b"", signature[:-1], signature + b"\x00", signature[:32]):
        assert not verify_signature(public, message, cut)
    assert not verify_signature(public[:-1], message, signature)
    assert not verify_signature(b"\xff" * 32, message, signature)


def test_a_public_note_verifies_and_a_changed_one_does_not():
    key = VerifierKey.parse(GO_KEY)
    assert verify_note(parse_note(note_of(GO_TEXT, GO_LINE + "\n")), [key]) == (key,)
    with pytest.raises(SignatureInvalidError):
        verify_note(parse_note(note_of(GO_TEXT.replace("don't", "do"), GO_LINE + "\n")), [key])


def test_signatures_of_unknown_keys_are_passed_over_and_do_not_suffice(key):
    other = SigningKey.from_seed(key.name, bytes(32))
    note = Note("text\n").signed(other.sign("other\n"), key.sign("text\n"))
    assert verify_note(note, [key.verifier]) == (key.verifier,)
    with pytest.raises(SignatureMissingError):
        verify_note(Note("text\n").signed(other.sign("text\n")), [key.verifier])
    with pytest.raises(SignatureMissingError):
        verify_note(Note("text\n"), [key.verifier])


def test_a_bad_signature_of_a_known_key_spoils_a_note_that_another_signed(key):
    other = SigningKey.from_seed("w", bytes(32))
    note = Note("text\n").signed(key.sign("text\n"), other.sign("another\n"))
    assert verify_note(note, [key.verifier])
    with pytest.raises(SignatureInvalidError):
        verify_note(note, [key.verifier, other.verifier])


def test_a_signature_is_bound_to_the_name_it_is_made_under(key):
    signature = SigningKey.from_seed("confide.audit/other", key.seed).sign("text\n")
    with pytest.raises(SignatureMissingError):
        verify_note(Note("text\n").signed(signature), [key.verifier])


def test_a_cosignature_is_of_a_text_at_a_time():
    witness = SigningKey.from_seed("w.example", bytes(32), KeyKind.COSIGNATURE)
    signature = witness.cosign("o\n0\nr\n", 1_679_315_147)
    assert verify_note(Note("o\n0\nr\n").signed(signature), [witness.verifier]) == (witness.verifier,)
    assert cosignature_time(signature) == 1_679_315_147
    later = type(signature)(signature.name, signature.key_id, bytes(7) + b"\x01" + signature.value[8:])
    for note in (Note("o\n0\nr\n").signed(later), Note("o\n1\nr\n").signed(signature)):
        with pytest.raises(SignatureInvalidError):
            verify_note(note, [witness.verifier])


def test_a_key_signs_only_what_it_is_for(key):
    witness = SigningKey.from_seed("w.example", bytes(32), KeyKind.COSIGNATURE)
    with pytest.raises(ValueError, match="time"):
        witness.sign("text\n")
    with pytest.raises(ValueError, match="witness"):
        key.cosign("text\n", 1)


async def test_a_key_file_gives_back_the_key_and_shows_it_to_nobody(tmp_path):
    keys = make_keys(tmp_path / "audit.key")
    public = await keys.create()
    loaded = await make_keys(tmp_path / "audit.key").load()
    assert loaded.first == loaded.current.verifier == public
    assert public.name == "confide.audit/main"
    data = (tmp_path / "audit.key").read_bytes()
    assert loaded.current.seed not in data
    assert stat.S_IMODE((tmp_path / "audit.key").stat().st_mode) == 0o600
    assert loaded.current.seed.hex() not in repr(loaded)
    assert str(loaded.current.seed)[2:-1] not in repr(loaded)
    with pytest.raises(TypeError):
        pickle.dumps(loaded)
    with pytest.raises(TypeError):
        pickle.dumps(loaded.current)


async def test_a_key_is_never_overwritten_by_a_new_one(tmp_path):
    keys = make_keys(tmp_path / "audit.key")
    public = await keys.create()
    with pytest.raises(SigningKeyExistsError):
        await make_keys(tmp_path / "audit.key").create()
    assert (await keys.load()).first == public


async def test_a_change_of_keys_keeps_the_first_and_both_until_it_is_done(tmp_path):
    keys = make_keys(tmp_path / "audit.key")
    first = await keys.create()
    prepared = await keys.prepare_next()
    again = await make_keys(tmp_path / "audit.key").prepare_next()
    assert again.next.verifier == prepared.next.verifier  # a crash here draws no second one
    promoted = await keys.promote(prepared.next.verifier)
    assert (promoted.first, promoted.current.verifier, promoted.next) == (first, prepared.next.verifier, None)
    assert (await keys.promote(prepared.next.verifier)).current.verifier == prepared.next.verifier


async def test_a_process_sees_that_another_has_changed_the_file(tmp_path):
    mine, theirs = make_keys(tmp_path / "audit.key"), make_keys(tmp_path / "audit.key")
    await mine.create()
    await mine.load()
    prepared = await theirs.prepare_next()
    assert (await mine.load()).next.verifier == prepared.next.verifier


async def test_the_file_is_sealed_anew_under_the_next_root_key(tmp_path):
    old, new = MemorySealer("old"), MemorySealer("new")
    public = await make_keys(tmp_path / "audit.key", sealers=[old]).create()
    await make_keys(tmp_path / "audit.key", sealers=[new, old]).reseal()
    assert (await make_keys(tmp_path / "audit.key", sealers=[new]).load()).first == public
    with pytest.raises(SigningKeyForeignError):
        await make_keys(tmp_path / "audit.key", sealers=[old]).load()


async def test_a_file_that_cannot_be_used_is_refused_with_its_reason(tmp_path):
    path = tmp_path / "audit.key"
    with pytest.raises(SigningKeyMissingError):
        await make_keys(path).load()
    await make_keys(path).create()
    with pytest.raises(SigningKeyForeignError):
        await make_keys(path, log="other").load()
    with pytest.raises(SigningKeyForeignError):
        await make_keys(path, sealers=[MemorySealer("other")]).load()
    path.chmod(0o640)
    with pytest.raises(SigningKeyPermissionsError):
        await make_keys(path).load()
    for data in (b"", b"-----BEGIN PRIVATE KEY-----\n", b"CFRF" + bytes(40), b"CFSK\x02" + bytes(40)):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(SigningKeyKindError):
            await make_keys(path).load()
    with pytest.raises(SigningKeyKindError):
        await make_keys(tmp_path).load()


async def test_no_damaged_file_is_taken_for_a_key(tmp_path):
    path = tmp_path / "audit.key"
    await make_keys(path).create()
    data = path.read_bytes()
    broken = [data[:end] for end in range(4, len(data))] + [data + b"\x00"]
    broken += [data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :] for at in range(len(data))]
    for each in broken:
        path.write_bytes(each)
        with pytest.raises((SigningKeyCorruptError, SigningKeyKindError, SigningKeyForeignError)):
            await make_keys(path).load()
