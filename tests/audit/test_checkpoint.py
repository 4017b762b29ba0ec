"""Checkpoints, rosters, key changes and receipts: one text each, and nothing else is read as one."""

import dataclasses
import json
from pathlib import Path

import pytest

from audit import (
    AuditInconsistentError,
    Checkpoint,
    CheckpointInvalidError,
    KeyChange,
    KeyChangeInvalidError,
    LogNameInvalidError,
    Note,
    NoteTooLargeError,
    ProofInvalidError,
    Receipt,
    ReceiptInvalidError,
    Roster,
    RosterEntry,
    RosterInvalidError,
    SignatureMissingError,
    SigningKey,
    parse_note,
    verify_note,
)
from audit.checkpoint import key_name, origin, require_chain
from audit.signing import verify_key_change
from audit.tree import EMPTY_ROOT, inclusion_proof, leaf_hash, subtree_hash

VECTORS = json.loads((Path(__file__).parent / "vectors" / "signed.json").read_text())
# The example of C2SP tlog-checkpoint.
EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
OLD, NEW = (SigningKey.from_seed("confide.audit/main", bytes((n,)) * 32) for n in (1, 2))
TIME = "2026-05-14T09:30:00.000000Z"


def root(n):
    return bytes((n,)) * 32


def entry(number, size=0, closed=False):  # noqa: FBT002 - a line's last word
    return RosterEntry(number, f"{number:012x}", size, root(size) if size else EMPTY_ROOT, closed)


def roster(sequence=1, *entries, previous=None, **parts):
    parts = {"log": "main", "time": TIME, **parts}
    return Roster(sequence=sequence, previous=previous, entries=entries, **parts)


def after(older, *entries, **parts):
    return roster(older.sequence + 1, *entries, previous=older.digest(), **parts)


def test_the_example_of_the_specification_is_read_and_written_byte_for_byte():
    note = parse_note(EXAMPLE.encode())
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == note.text


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n" + "A" * 43 + "=",
        "o\n1\n",
        "\n1\n" + "A" * 43 + "=\n",
        "o\n01\n" + "A" * 43 + "=\n",
        "o\n-1\n" + "A" * 43 + "=\n",
        "o\n1e3\n" + "A" * 43 + "=\n",
        "o\n\u0661\n" + "A" * 43 + "=\n",
        "o\n1000000000001\n" + "A" * 43 + "=\n",
        "o\n1\n" + "A" * 42 + "B=\n",
        "o\n1\n" + "A" * 40 + "\n",
        "o\n0\n" + "A" * 43 + "=\n",  # the empty tree has another root
        "o\n1\n" + "A" * 43 + "=\n" + "B" * 43 + "=\n",  # two roots
        "o\n1\n" + "A" * 43 + "=\nextension\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(CheckpointInvalidError):
        Checkpoint.parse(text)


def test_two_roots_for_one_size_are_inconsistent():
    older = Checkpoint("o", 5, root(1))
    Checkpoint("o", 5, root(1)).require_after(older)
    Checkpoint("o", 6, root(2)).require_after(older)
    for later in (Checkpoint("o", 5, root(2)), Checkpoint("o", 4, root(1)), Checkpoint("p", 6, root(2))):
        with pytest.raises(AuditInconsistentError):
            later.require_after(older)


def test_a_log_has_a_name_that_stands_in_its_origins():
    assert origin("main", "0" * 12) == "confide.audit/main/000000000000"
    for name in ("", "a/b", "a b", "a+b", "a\nb", "-a", "é", "a" * 65):
        with pytest.raises(LogNameInvalidError):
            key_name(name)


def test_a_roster_is_read_as_it_was_written():
    first = roster(1, entry(1, 3, closed=True), entry(2))
    second = after(first, *first.entries, entry(3, 7))
    for each in (first, second, roster()):
        assert Roster.parse(each.text()) == each
    assert first.text().splitlines()[:5] == ["confide.audit.roster/v1", "main", "1", TIME, "-"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("roster/v1", "roster/v2"),
        ("\nmain\n", "\nma in\n"),
        ("\n2\n", "\n02\n"),
        ("\n2\n", "\n0\n"),
        ("\n2\n", "\n1\n"),
        ("09:30", "9:30"),
        (".000000Z", "Z"),
        ("\n1 0000", "\n2 0000"),
        ("\n2 0000", "\n3 0000"),
        ("\n2 0000", "\n\n2 0000"),
        (" closed", " shut"),
        (" open", " open "),
        (" open", " open 1"),
        ("000000000002", "000000000001"),
        ("000000000002", "00000000000A"),
        ("000000000002", "00000000002"),
        (" 3 ", " 03 "),
        (" 3 ", " 0 "),
        (" open\n", " open"),
    ],
)
def test_what_is_no_roster_is_refused(old, new):
    text = after(roster(), entry(1, 3, closed=True), entry(2)).text()
    assert Roster.parse(text)
    assert old in text
    with pytest.raises(RosterInvalidError):
        Roster.parse(text.replace(old, new, 1))


def test_only_the_first_roster_has_none_before_it():
    with pytest.raises(RosterInvalidError):
        Roster.parse(roster(2).text())
    with pytest.raises(RosterInvalidError):
        Roster.parse(roster(1, previous=root(1)).text())


def test_rosters_follow_one_another_whatever_their_times_say():
    first = roster(1, entry(1, 3), time="2026-05-14T09:30:00.000000Z")
    second = after(first, entry(1, 3), time="2026-05-04T09:30:00.000000Z")  # ten days back
    third = after(second, entry(1, 4, closed=True), entry(2), time="2026-05-24T09:30:00.000000Z")
    require_chain([first, second, third])
    for wrong in ([first, third], [first, first], [second, first]):
        with pytest.raises(RosterInvalidError):
            require_chain(wrong)
    with pytest.raises(RosterInvalidError):
        require_chain([first, dataclasses.replace(second, log="other")])
    with pytest.raises(RosterInvalidError):
        require_chain([first, dataclasses.replace(second, previous=root(1))])


@pytest.mark.parametrize(
    "entries",
    [
        [entry(1, 3)],
        [entry(1, 2), entry(2, 5, closed=True)],
        [dataclasses.replace(entry(1, 3), root=root(9)), entry(2, 5, closed=True)],
        [entry(1, 3), entry(2, 5)],
        [entry(1, 3), entry(2, 6, closed=True)],
        [dataclasses.replace(entry(1, 3), shard="f" * 12), entry(2, 5, closed=True)],
    ],
    ids=["gone", "smaller", "two roots", "opened again", "grown after its end", "another shard"],
)
def test_a_roster_in_which_a_shard_did_not_only_grow_is_inconsistent(entries):
    first = roster(1, entry(1, 3), entry(2, 5, closed=True))
    after(first, entry(1, 4), entry(2, 5, closed=True), entry(3)).require_after(first)
    with pytest.raises(AuditInconsistentError):
        after(first, *entries).require_after(first)


def change(**parts):
    parts = {"log": "main", "time": TIME, "old": OLD.verifier, "new": NEW.verifier, "roster": root(1), **parts}
    return KeyChange(**parts)


def test_a_key_change_is_signed_by_both_keys():
    text = change().text()
    both = Note(text).signed(OLD.sign(text), NEW.sign(text))
    assert verify_key_change(parse_note(both.to_bytes()), OLD.verifier) == change()
    for signers in ((OLD,), (NEW,)):
        with pytest.raises(SignatureMissingError):
            verify_key_change(Note(text).signed(*(key.sign(text) for key in signers)), OLD.verifier)
    with pytest.raises(KeyChangeInvalidError):
        verify_key_change(both, NEW.verifier)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("key/v1", "key/v2"),
        ("\nmain\n", "\nother\n"),
        ("09:30", "9:30"),
        (str(NEW.verifier), str(OLD.verifier)),
        (str(NEW.verifier), str(SigningKey.from_seed("confide.audit/other", bytes(32)).verifier)),
        (str(NEW.verifier), f" {NEW.verifier}"),
        (str(NEW.verifier), "key"),
        ("=\n", "=\n\n"),
    ],
)
def test_what_is_no_key_change_is_refused(old, new):
    text = change().text()
    assert KeyChange.parse(text) == change()
    assert old in text
    with pytest.raises(KeyChangeInvalidError):
        KeyChange.parse(text.replace(old, new, 1))


@pytest.fixture
def receipt():
    records = [f"record {n}".encode() for n in range(11)]
    leaves = [leaf_hash(each) for each in records]
    text = Checkpoint(origin("main", "0" * 12), 11, subtree_hash(leaves, 0, 11)).text()
    return Receipt(records[6], 6, inclusion_proof(leaves, 6, 11), Note(text).signed(OLD.sign(text)))


def test_a_receipt_shows_a_record_with_the_public_key_alone(receipt):
    read = Receipt.parse(receipt.to_bytes())
    assert read == receipt
    assert read.verify([OLD.verifier]).size == 11
    assert read.to_bytes().startswith(b"c2sp.org/tlog-proof@v1\nextra ")
    with pytest.raises(SignatureMissingError):
        read.verify([NEW.verifier])
    for changed in (
        dataclasses.replace(read, record=b"record 7"),
        dataclasses.replace(read, index=7),
        dataclasses.replace(read, proof=read.proof[:-1]),
        dataclasses.replace(read, proof=(*read.proof, bytes(32))),
    ):
        with pytest.raises(ProofInvalidError):
            changed.verify([OLD.verifier])


def test_no_bit_of_a_receipt_can_be_changed(receipt):
    data = receipt.to_bytes()
    for at in range(len(data)):
        changed = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
        with pytest.raises((ReceiptInvalidError, ProofInvalidError, SignatureMissingError, Exception)) as caught:
            Receipt.parse(changed).verify([OLD.verifier])
        assert type(caught.value).__module__ == "audit.errors"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@v1", "@v2"),
        ("extra ", "extra"),
        ("index 6", "index 06"),
        ("index 6", "index -6"),
        ("index 6\n", "index 6\nAAAA\n"),
        ("index 6\n", "index 6\n\n"),
        ("index 6\n", "index 6\n" + "A" * 43 + "=\n" * 64),
    ],
)
def test_what_is_no_receipt_is_refused(receipt, old, new):
    text = receipt.to_bytes().decode()
    assert old in text
    with pytest.raises(ReceiptInvalidError):
        Receipt.parse(text.replace(old, new, 1).encode())


def test_a_receipt_over_the_limit_is_refused():
    with pytest.raises(NoteTooLargeError):
        Receipt.parse(bytes(1_000_000))


def test_the_frozen_texts_and_signatures_are_written_today():
    """Formats 1 to 4: a change here is a new version of the format."""
    keys = {
        name: SigningKey.from_seed(each["name"], bytes.fromhex(each["seed"]))
        for name, each in VECTORS["keys"].items()
    }
    assert {name: str(key.verifier) for name, key in keys.items()} == {
        name: each["vkey"] for name, each in VECTORS["keys"].items()
    }
    for each in VECTORS["notes"]:
        parsed = {"checkpoint": Checkpoint, "roster": Roster, "key_change": KeyChange}[each["form"]].parse(
            each["text"]
        )
        assert parsed.text() == each["text"]
        note = Note(each["text"]).signed(*(keys[name].sign(each["text"]) for name in each["signed_by"]))
        assert note.to_bytes().decode() == each["note"]
        verify_note(parse_note(each["note"].encode()), [keys[name].verifier for name in each["signed_by"]])
    require_chain(Roster.parse(each["text"]) for each in VECTORS["notes"] if each["form"] == "roster")


@pytest.mark.parametrize(
    ("page", "form"), [("checkpoint.md", "checkpoint"), ("roster.md", "roster"), ("key-change.md", "key_change")]
)
def test_the_pages_of_the_formats_show_the_vectors(page, form):
    text = (Path(__file__).parents[2] / "docs" / "formats" / page).read_text()
    assert next(each["note"] for each in VECTORS["notes"] if each["form"] == form) in text
    assert VECTORS["keys"]["old"]["vkey"] in (Path(__file__).parents[2] / "docs/formats/signed-note.md").read_text()
