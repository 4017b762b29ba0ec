"""Signed notes and verifier keys: exact texts, public vectors, and everything else refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import (
    KeyKind,
    Note,
    NoteInvalidError,
    NoteSignedTwiceError,
    NoteTooLargeError,
    Signature,
    VerifierKey,
    VerifierKeyInvalidError,
    VerifierKeyKindError,
    parse_note,
)
from audit.note import MAX_SIGNATURES, decode_base64, encode_base64

# From the tests of Go's golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
# The examples of C2SP signed-note and tlog-cosignature.
QUASIMODO = """Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""
LINE = f"— a.example/b {encode_base64(b'idid' + bytes(64))}\n"


def note_of(text, *lines):
    return f"{text}\n{''.join(lines)}".encode()


def test_the_example_of_the_specification_is_read_and_written_byte_for_byte():
    note = parse_note(QUASIMODO.encode())
    assert note.text.endswith("raggio di sole:\n\ned è subito sera.\n")
    assert [each.name for each in note.signatures] == ["quasimodo.example/salvatore"]
    assert note.to_bytes() == QUASIMODO.encode()


def test_a_public_verifier_key_is_read_and_written():
    key = VerifierKey.parse(GO_KEY)
    assert (key.name, key.id.hex(), str(key)) == ("PeterNeumann", "c74f20a3", GO_KEY)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        note_of("", LINE),
        note_of("text", LINE),  # the text ends without a line end, so that there is no blank line
        note_of("text\n", LINE[:-1]),
        note_of("text\n", LINE, "\n"),
        note_of("text\n", LINE, "more\n"),
        note_of("text\n", LINE) + b"\x00",
        note_of("te\rxt\n", LINE),
        note_of("te\txt\n", LINE),
        note_of("te\x7fxt\n", LINE),
        b"\xff" + note_of("text\n", LINE),
        note_of("text\n", LINE.replace("—", "-")),
        note_of("text\n", LINE.replace("— ", "—")),
        note_of("text\n", LINE.replace("a.example/b", "a.example/b ")),
        note_of("text\n", LINE.replace("a.example/b", "a+b")),
        note_of("text\n", LINE.replace("a.example/b", "a\u00a0b")),
        note_of("text\n", "— name AAAA\n"),
        note_of("text\n", "— name AAAAA\n"),
        note_of("text\n", "— name AAAABBBB*\n"),
        note_of("text\n", "— name aWRpZAB=\n"),  # bits set beyond the last byte
    ],
)
def test_what_is_no_note_is_refused(data):
    with pytest.raises(NoteInvalidError):
        parse_note(data)


def test_two_signatures_of_one_key_are_refused():
    with pytest.raises(NoteSignedTwiceError):
        parse_note(note_of("text\n", LINE, LINE))
    other = f"— a.example/b {encode_base64(b'idid' + bytes(63) + b'x')}\n"
    with pytest.raises(NoteSignedTwiceError):
        parse_note(note_of("text\n", LINE, other))
    assert len(parse_note(note_of("text\n", LINE, LINE.replace("/b", "/c"))).signatures) == 2


def test_a_note_of_sixteen_signatures_is_read_and_one_of_too_many_is_not():
    lines = [LINE.replace("/b", f"/{n}") for n in range(MAX_SIGNATURES + 1)]
    assert len(parse_note(note_of("text\n", *lines[:16])).signatures) == 16
    assert len(parse_note(note_of("text\n", *lines[:-1])).signatures) == MAX_SIGNATURES
    with pytest.raises(NoteTooLargeError):
        parse_note(note_of("text\n", *lines))


def test_a_note_over_the_limit_is_refused_before_it_is_read():
    data = note_of("text\n", LINE)
    assert parse_note(data, max_bytes=len(data))
    with pytest.raises(NoteTooLargeError):
        parse_note(data, max_bytes=len(data) - 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("c74f20a3", "C74F20A3"),
        GO_KEY.replace("Peter", "Pieter"),
        GO_KEY.replace("PeterNeumann", ""),
        GO_KEY.replace("PeterNeumann", "Peter Neumann"),
        GO_KEY[:-4],
        GO_KEY + "+",
        GO_KEY + "AAAA",
    ],
)
def test_what_is_no_verifier_key_is_refused(text):
    with pytest.raises(VerifierKeyInvalidError):
        VerifierKey.parse(text)


def test_a_verifier_key_of_another_kind_is_refused_as_such():
    witness = VerifierKey("w.example", bytes(32), KeyKind.COSIGNATURE)
    assert VerifierKey.parse(str(witness), KeyKind.COSIGNATURE) == witness
    with pytest.raises(VerifierKeyKindError):
        VerifierKey.parse(str(witness))
    with pytest.raises(VerifierKeyKindError):
        VerifierKey.parse(GO_KEY, KeyKind.COSIGNATURE)


def test_no_error_quotes_what_was_read():
    for broken in (note_of("text\n", "— secret AAAA\n"), note_of("secret", LINE)):
        with pytest.raises(NoteInvalidError) as caught:
            parse_note(broken)
        assert "secret" not in str(caught.value)


_names = st.text(st.characters(exclude_categories=("Zs", "Zl", "Zp", "Cc", "Cs"), exclude_characters="+"), min_size=1)
_texts = st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.just("\n")).map(lambda text: f"x{text}\n")


@given(_texts, st.lists(st.tuples(_names, st.binary(min_size=4, max_size=4)), min_size=1, max_size=4, unique=True))
def test_every_note_is_read_back_as_it_was_written(text, names):
    note = Note(text, tuple(Signature(name[:64], key_id, b"value") for name, key_id in names))
    if len({(each.name, each.key_id) for each in note.signatures}) == len(names):
        assert parse_note(note.to_bytes()) == note


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_whatever_is_read_as_a_note_is_written_as_it_was(data):
    try:
        note = parse_note(data)
    except NoteInvalidError:
        return
    assert note.to_bytes() == data


@given(st.text("ABab01+/=\n é", max_size=12))
def test_base64_has_one_spelling(text):
    data = decode_base64(text)
    assert data is None or encode_base64(data) == text
