"""A bundle beside a witness directory: cut off, forked, or only older than the witness."""

from datetime import datetime, timedelta

import pytest

from audit import RecordInvalidError
from audit.bundle import key_member, roster_member
from audit.checkpoint import Roster
from audit.note import parse_note
from audit.verdict import BundleFaultKind
from audit.verify import verify_bundle
from tests.audit.bundles import START, Log, make_log, pack, signed, signing_key, write_witness

LOGGED = make_log()
MEMBERS = LOGGED.bundle()
FIRST_CHANGE = 3  # the roster that the key change follows


@pytest.fixture
def judge(tmp_path):
    """The verdict on a bundle of these members."""

    def verify(members, key=LOGGED.trusted, **options):
        path = tmp_path / "bundle.zip"
        path.write_bytes(pack(members))
        return verify_bundle(path, key, **options)

    return verify


@pytest.fixture
def witness(tmp_path):
    return write_witness(LOGGED, tmp_path / "witness")


def earlier(rosters, log=LOGGED):
    """The bundle of when there were so many rosters."""
    older = Log(keys=log.keys, shards=log.shards, closed=log.closed)
    older.rosters = log.rosters[:rosters]
    older.newest = Roster.parse(parse_note(older.rosters[-1]).text)
    older.changes = log.changes if rosters >= FIRST_CHANGE else []
    return older.bundle()


def after(rosters):
    """When roster number `rosters` was there and the next was not: one is signed each minute."""
    return START + timedelta(minutes=rosters - 1, seconds=30)


def said(found):
    return [(fault.kind, fault.sequence) for fault in found.faults]


def test_a_witness_of_the_same_log_agrees(judge, witness):
    found = judge(MEMBERS, witness=witness)
    assert found
    assert (found.witnessed, found.newer) == (6, 0)
    (witness / "roster-000000000003.note").unlink()  # it may have been out of reach
    (witness / "notes.txt").write_text("something else")
    assert judge(MEMBERS, witness=witness).witnessed == 5


def test_an_end_cut_off_is_seen_only_with_a_witness(judge, witness):
    assert judge(earlier(4))
    found = judge(earlier(4), witness=witness)
    assert said(found) == [(BundleFaultKind.CUT_OFF, 5)]
    assert "rosters 5 to 6" in found.faults[0].sentence
    assert "was made before" in found.faults[0].sentence, "both are possible, and it says so"
    assert found.exit_code == 1


@pytest.mark.parametrize("rosters", range(1, 7))
def test_a_bundle_made_before_is_believed_by_who_knows_when_it_was_made(judge, witness, rosters):
    found = judge(earlier(rosters), witness=witness, as_of=after(rosters))
    assert found, found.faults
    assert (found.witnessed, found.newer) == (rosters, 6 - rosters)


def test_what_was_signed_by_then_must_be_there(judge, witness):
    for rosters in range(1, 6):
        found = judge(earlier(rosters), witness=witness, as_of=after(rosters + 1))
        assert said(found) == [(BundleFaultKind.CUT_OFF, rosters + 1)]
        assert "is not after" in found.faults[0].sentence
        at_once = judge(earlier(rosters), witness=witness, as_of=START + timedelta(minutes=rosters))
        assert said(at_once) == [(BundleFaultKind.CUT_OFF, rosters + 1)]


def test_a_clock_that_went_back_excuses_nothing(judge, tmp_path):
    """The first roster after the bundle states a later time, the next one an earlier: that one must be there."""
    log = Log()
    log.grow("ab" * 6, 3)
    for days in (0, 10, -10):
        log.grow("ab" * 6, 1)
        log.sign()
        text = log.newest.text().replace(log.newest.time, f"2026-05-{14 + days:02}T09:30:00.000000Z")
        log.newest = Roster.parse(text)
        log.rosters[-1] = signed(text, log.keys[0])
    witness = write_witness(log, tmp_path / "witness")
    as_of = START + timedelta(hours=1)
    assert judge(log.bundle(), log.trusted, witness=witness)
    assert said(judge(earlier(2, log), log.trusted, witness=witness, as_of=as_of)) == [(BundleFaultKind.CUT_OFF, 3)]
    found = judge(earlier(1, log), log.trusted, witness=witness, as_of=as_of)
    assert said(found) == [(BundleFaultKind.CUT_OFF, 3)]


def test_a_time_needs_a_zone(judge, witness):
    with pytest.raises(RecordInvalidError):
        judge(MEMBERS, witness=witness, as_of=datetime(2026, 5, 14, 9, 30))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize("options", [{}, {"as_of": after(4)}], ids=["strict", "as of"])
def test_what_does_not_follow_from_the_bundles_end_is_a_fork(judge, witness, options):
    """Whoever cuts off and signs another tail: the witness's rosters do not follow from the bundle's last."""
    fork = make_log()
    fork.keys[1] = LOGGED.keys[1]
    fork.rosters = LOGGED.rosters[:3]
    fork.newest = Roster.parse(parse_note(fork.rosters[-1]).text)
    fork.shards["b2" * 6] = [*fork.shards["b2" * 6][:-1]]
    fork.sign()
    found = judge(fork.bundle(), witness=witness, **options)
    assert said(found)[0] == (BundleFaultKind.WITNESS, 4)
    (witness / "roster-000000000004.note").unlink()  # and where the witness lacks the very place of the fork
    found = judge(fork.bundle(), witness=witness, **options)
    assert said(found) == [(BundleFaultKind.WITNESS, 5)]
    assert "does not follow" in found.faults[0].sentence


def test_a_newer_roster_that_another_signed_is_no_excuse(judge, witness):
    text = parse_note(LOGGED.rosters[4]).text
    (witness / "roster-000000000005.note").write_bytes(signed(text, signing_key(99)))
    found = judge(earlier(4), witness=witness, as_of=after(4))
    assert said(found) == [(BundleFaultKind.WITNESS, 5)]
    assert "not signed" in found.faults[0].sentence


@pytest.mark.parametrize("name", ["roster-000000000004.note", "key-000000000001.note"])
def test_a_witness_with_a_gap_beyond_the_bundle_shows_nothing(judge, witness, name):
    (witness / name).unlink()
    found = judge(earlier(2), witness=witness, as_of=after(2))
    assert said(found) == [(BundleFaultKind.WITNESS, 4)]


def test_a_key_change_of_the_witness_that_names_no_roster_is_a_fork(judge, witness):
    (witness / "key-000000000002.note").write_bytes(LOGGED.changes[0])
    found = judge(earlier(4), witness=witness, as_of=after(4))
    assert said(found) == [(BundleFaultKind.WITNESS, 6)]


def test_a_key_change_that_is_missing_at_the_end_was_cut_off(judge, witness):
    for number in (4, 5, 6):
        (witness / f"roster-{number:012d}.note").unlink()
    older = Log(keys=LOGGED.keys, shards=LOGGED.shards, closed=LOGGED.closed)
    older.rosters = LOGGED.rosters[:3]
    older.newest = Roster.parse(parse_note(older.rosters[-1]).text)
    for options in ({}, {"as_of": after(3)}):
        found = judge(older.bundle(), witness=witness, **options)
        assert said(found) == [(BundleFaultKind.CUT_OFF, 1)]
        assert found.faults[0].member == key_member(1)


def test_beyond_a_broken_chain_nothing_is_excused(judge, witness):
    members = earlier(4)
    members[roster_member(2)] = members[roster_member(1)]
    found = judge(members, witness=witness, as_of=after(4))
    assert (BundleFaultKind.CUT_OFF, 5) in said(found)
    assert found.newer == 0


@pytest.mark.parametrize("name", ["roster-000000000002.note", "key-000000000001.note", "roster-000000000000.note"])
def test_a_witness_that_saw_something_else_is_heard(judge, witness, name):
    (witness / name).write_bytes(b"something else\n")
    found = judge(MEMBERS, witness=witness)
    assert found.faults[0].kind is BundleFaultKind.WITNESS
    assert found.faults[0].sequence == int(name.split("-")[1][:12])


def test_an_empty_witness_proves_nothing(judge, tmp_path):
    (tmp_path / "empty").mkdir()
    for options in ({}, {"as_of": after(6)}):
        found = judge(MEMBERS, witness=tmp_path / "empty", **options)
        assert found.faults[0].kind is BundleFaultKind.WITNESS
    assert judge(MEMBERS, witness=tmp_path / "none").exit_code == 2


def test_a_file_far_too_large_for_a_note_is_no_note(judge, witness):
    with (witness / "roster-000000000007.note").open("wb") as file:
        file.truncate(1 << 30)
    assert said(judge(MEMBERS, witness=witness, as_of=after(6))) == [(BundleFaultKind.WITNESS, 7)]


def test_another_logs_witness_is_none(judge, tmp_path):
    other = Log(keys=[signing_key(7)])
    other.grow("ab" * 6, 3)
    for _ in range(8):
        other.sign()
    witness = write_witness(other, tmp_path / "witness")
    found = judge(MEMBERS, witness=witness, as_of=after(6))
    assert found.faults[0].kind is BundleFaultKind.WITNESS


def test_a_verifier_that_did_not_follow_the_newer_rosters_would_excuse_a_fork(judge, witness, monkeypatch):
    """The negative control."""
    text = parse_note(LOGGED.rosters[4]).text
    (witness / "roster-000000000005.note").write_bytes(signed(text, signing_key(99)))
    monkeypatch.setattr("audit.verify_rosters._signed", lambda *_: True)
    assert judge(earlier(4), witness=witness, as_of=after(4))
