"""A bundle is believed only when everything in it was signed; whatever was done to it is found and located."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from audit import (
    AccessQuery,
    KeyKind,
    Kind,
    SigningKey,
    Verdict,
    VerifierKeyInvalidError,
    VerifierKeyKindError,
    encode_record,
)
from audit.bundle import MANIFEST, RECORDS, BundleForm, hashes_member, key_member, line_start, roster_member
from audit.checkpoint import Roster, RosterEntry
from audit.note import Note, parse_note
from audit.tree import Edge, leaf_hash
from audit.verdict import MAX_FAULTS, BundleFaultKind, Findings, Verification
from audit.verify import verify_bundle
from audit.verify_records import Bytes, roots
from tests.audit.bundles import (
    LOG,
    START,
    Log,
    lines,
    make_log,
    pack,
    record,
    relisted,
    restate,
    signed,
    signing_key,
    tree,
    write_witness,
)
from tests.audit.tamperings import Tamperer

LOGGED = make_log()
MEMBERS = LOGGED.bundle()


@pytest.fixture
def judge(tmp_path):
    """The verdict on a bundle of these members."""

    def verify(members, key=LOGGED.trusted, **options):
        path = tmp_path / "bundle.zip"
        path.write_bytes(members if isinstance(members, bytes) else pack(members))
        return verify_bundle(path, key, **options)

    return verify


@pytest.fixture
def witness(tmp_path):
    return write_witness(LOGGED, tmp_path / "witness")


def first(found):
    fault = found.faults[0]
    return fault.kind, fault.member, fault.shard, fault.index, fault.sequence


QUERIES = {
    "everything": None,
    "an actor": AccessQuery(actor="agent-3"),
    "a kind": AccessQuery(kind=Kind.WRITE),
    "a role and a field": AccessQuery(role="auditor", field="profile.phone"),
    "a filter field": AccessQuery(field="profile.region"),
    "a subject that was withheld": AccessQuery(
        subject=f"-{4:021d}", field="profile.email", decision=Verdict.WITHHELD
    ),
    "a time": AccessQuery(since=START + timedelta(seconds=10), until=START + timedelta(seconds=20)),
    "nothing": AccessQuery(actor="nobody"),
}


@pytest.mark.parametrize("form", BundleForm)
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_what_was_signed_is_believed(judge, query, form):
    found = judge(LOGGED.bundle(query, form), filtered=query is not None)
    assert found, found.faults
    assert found.exit_code == 0
    assert (found.log, found.form, found.full) == (LOG, form, query is None)
    assert {type(value) for value in found.filter.values()} == (set() if query is None else {str})
    assert (found.rosters, found.shards, found.leaves) == (6, 3, 65)
    assert (found.records == 65) is (query is None)


def test_a_log_nobody_wrote_to_is_whole(judge):
    log = Log()
    log.sign()
    assert judge(log.bundle(), log.trusted)
    log.shards["ab" * 6] = []
    log.sign()
    found = judge(log.bundle(form=BundleForm.CSV), log.trusted)
    assert found
    assert (found.shards, found.leaves, found.records) == (1, 0, 0)


def test_a_verdict_is_not_good_by_default():
    assert not Verification(key="")
    assert Verification(key="").exit_code == 2
    assert not Findings(LOGGED.keys[0].verifier, lambda _done, _size: None).verdict(finished=False)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "main",
        "main+00000000+AAAA",
        LOGGED.trusted[:-4],
        LOGGED.trusted.replace("+", " ", 1),
        "-----BEGIN PUBLIC KEY-----",
        "\udcff\0",
        "x" * 1_000_000,
    ],
)
@pytest.mark.parametrize("data", [MEMBERS, b"", b"no bundle"])
def test_without_a_verifier_key_nothing_is_said(judge, key, data):
    with pytest.raises(VerifierKeyInvalidError):
        judge(data, key)


def test_a_witnesss_key_is_none_to_verify_a_bundle_with(judge):
    key = SigningKey.from_seed("confide.audit/main", bytes(32), KeyKind.COSIGNATURE)
    with pytest.raises(VerifierKeyKindError):
        judge(MEMBERS, str(key.verifier))


@pytest.mark.parametrize("rotations", [0, 1, 2])
def test_whoever_trusts_one_key_of_the_chain_trusts_all(judge, rotations):
    log = make_log(rotations)
    for key in log.keys:
        assert judge(log.bundle(), str(key.verifier))


def test_a_key_of_no_part_in_the_chain_is_not_believed(judge):
    assert first(judge(MEMBERS, str(signing_key(9).verifier)))[:2] == (BundleFaultKind.KEY_CHANGE, key_member(1))
    plain = make_log(0)
    assert first(judge(plain.bundle(), str(signing_key(9).verifier))) == (
        BundleFaultKind.SIGNATURE, roster_member(1), None, None, 1,
    )  # fmt: skip
    assert first(judge(MEMBERS, str(signing_key(1, "other").verifier)))[0] is BundleFaultKind.MANIFEST


def test_a_key_change_needs_both_signatures(judge):
    old, new = LOGGED.keys
    text = parse_note(LOGGED.changes[0]).text
    for keys in ((old,), (new,), (new, old), (old, new, signing_key(7)), (old, signing_key(7))):
        found = judge(MEMBERS | {key_member(1): signed(text, *keys)})
        assert first(found) == (BundleFaultKind.SIGNATURE, key_member(1), None, None, 1)


def test_a_key_change_takes_effect_where_it_says(judge):
    log = make_log()
    log.rosters[3] = signed(parse_note(log.rosters[3]).text, log.keys[0])
    assert first(judge(log.bundle())) == (BundleFaultKind.SIGNATURE, roster_member(4), None, None, 4)
    log = make_log(0)
    log.rotate()
    assert judge(log.bundle(), log.trusted)  # after the newest roster
    log.rosters, log.newest = log.rosters[:-1], Roster.parse(parse_note(log.rosters[-2]).text)
    assert first(judge(log.bundle()))[0] is BundleFaultKind.KEY_CHANGE


def forge_roster(logged, at_sequence, **parts):
    """The log with a roster that its own key signed, and yet must not have; those after it follow from it."""
    rosters = [Roster.parse(parse_note(note).text) for note in logged.rosters]
    changed = [*rosters]
    for at in range(at_sequence - 1, len(rosters)):
        old = changed[at]
        values = {name: getattr(old, name) for name in ("log", "sequence", "time", "previous", "entries")}
        if at == at_sequence - 1:
            values |= parts
        elif at:
            values["previous"] = changed[at - 1].digest()
        changed[at] = Roster(**values)
    logged.rosters = [signed(roster.text(), logged.keys[0]) for roster in changed]
    logged.newest = changed[-1]
    return logged


def replaced(log, sequence, number, **parts):
    entries = list(Roster.parse(parse_note(log.rosters[sequence - 1]).text).entries)
    values = {name: getattr(entries[number - 1], name) for name in ("number", "shard", "size", "root", "closed")}
    entries[number - 1] = RosterEntry(**values | parts)
    return tuple(entries)


def signed_lies():
    """What even the log's own key cannot make true."""
    log = make_log(0)
    one, two, three = log.shards
    shrunk = tree(log.shards[two][:3])
    other = tree([*log.shards[one][:-1], b"x"])
    grown = tree([*log.shards[one], b"x"])
    kinds = BundleFaultKind
    return {
        "a shard shrinks": (5, {"entries": replaced(log, 5, 2, size=3, root=shrunk)}, kinds.SHARD_SHRANK, two),
        "a shard has two roots": (2, {"entries": replaced(log, 2, 1, root=other)}, kinds.TWO_ROOTS, one),
        "a closed shard grows": (5, {"entries": replaced(log, 5, 1, size=18, root=grown)}, kinds.SHARD_REOPENED, one),
        "a closed shard opens": (5, {"entries": replaced(log, 5, 1, closed=False)}, kinds.SHARD_REOPENED, one),
        "a shard is gone": (5, {"entries": replaced(log, 5, 3)[:2]}, kinds.SHARD_MISSING, three),
        "a shard is another": (5, {"entries": replaced(log, 5, 2, shard="dd" * 6)}, kinds.SHARD_MISSING, two),
        "a root is of nothing": (3, {"entries": replaced(log, 3, 2, root=other)}, kinds.ROOT, two),
        "a sequence is left out": (4, {"sequence": 5}, kinds.ROSTER_CHAIN, None),
        "another roster came before": (4, {"previous": bytes(32)}, kinds.ROSTER_CHAIN, None),
        "another log": (4, {"log": "other"}, kinds.ROSTER_CHAIN, None),
    }  # fmt: skip


@pytest.mark.parametrize("name", signed_lies())
def test_what_the_log_itself_signs_wrongly_is_found(judge, name):
    sequence, parts, kind, shard = signed_lies()[name]
    log = forge_roster(make_log(0), sequence, **parts)
    members = make_log(0).bundle() | {roster_member(n): note for n, note in enumerate(log.rosters, 1)}
    found = judge(members)
    faults = [fault for fault in found.faults if fault.kind is kind]
    assert faults, found.faults
    assert faults[0].shard == shard
    if kind is BundleFaultKind.TWO_ROOTS:
        assert faults[0].sequence == 3  # where the second root is stated
    else:
        assert faults[0].sequence == sequence


def test_a_signed_note_that_is_no_roster_is_found(judge):
    for note in (signed("hello\n", LOGGED.keys[0]), b"", b"\xff" * 50, LOGGED.rosters[0] * 2, b"x" * 100_000):
        found = judge(MEMBERS | {roster_member(2): note})
        assert found.faults[0].member == roster_member(2)
        assert found.faults[0].sequence == 2


def test_nobody_else_may_have_signed_a_roster(judge):
    text = parse_note(LOGGED.rosters[1]).text
    key, other = LOGGED.keys[0], signing_key(7)
    for note in (
        signed(text, key, other),
        signed(text, other, key),
        Note(text).signed(key.sign(text), key.sign(text)),
    ):
        data = note if isinstance(note, bytes) else note.to_bytes()
        assert first(judge(MEMBERS | {roster_member(2): data}))[4] == 2


def test_each_record_is_held_against_its_leaf_hash(judge):
    found = lines(MEMBERS)
    for at in (0, 16, 17, 40, 64):
        line = found[at].replace(b'"actor":"agent-', b'"actor":"agenT-')
        assert line != found[at]
        verdict = judge(relisted(MEMBERS, [*found[:at], line, *found[at + 1 :]]))
        shard, index = found[at].split(b'"')[3].decode().split(".")
        assert first(verdict) == (BundleFaultKind.RECORD_CHANGED, RECORDS, shard, int(index), None)
        assert len(verdict.faults) == 1
        assert verdict.exit_code == 1


def test_a_record_whose_leaf_hash_was_changed_too_is_placed_between_two_rosters(judge):
    shard = "b2" * 6
    found, name = lines(MEMBERS), hashes_member(2, shard)
    forged = encode_record(record(999))
    at = 17 + 11  # between the sizes 9 (roster 3) and 32 (roster 4)
    found[at] = line_start(shard, 11) + forged + b"}\n"
    hashes = MEMBERS[name][: 11 * 32] + leaf_hash(forged) + MEMBERS[name][12 * 32 :]
    verdict = judge(relisted(MEMBERS, found) | {name: hashes})
    assert first(verdict) == (BundleFaultKind.ROOT, name, shard, 9, 4)
    assert "from 9 to 31" in verdict.faults[0].sentence


def test_missing_records_are_named(judge):
    found = lines(MEMBERS)
    verdict = judge(relisted(MEMBERS, [*found[:3], *found[5:14], *found[20:]]))
    assert [(fault.kind, fault.shard, fault.index) for fault in verdict.faults[:3]] == [
        (BundleFaultKind.RECORD_MISSING, "a1" * 6, 3),
        (BundleFaultKind.RECORD_MISSING, "a1" * 6, 14),
        (BundleFaultKind.RECORD_MISSING, "b2" * 6, 0),
    ]
    assert "3 to 4" in verdict.faults[0].sentence
    assert "0 to 2" in verdict.faults[2].sentence
    verdict = judge(relisted(MEMBERS, []))
    assert verdict.faults[0].kind is BundleFaultKind.RECORD_MISSING


def test_a_record_that_was_not_asked_for_is_found(judge):
    query = AccessQuery(actor="agent-1")
    members = LOGGED.bundle(query)
    more = LOGGED.bundle(AccessQuery(case="T-3"))
    found = judge(members | {RECORDS: more[RECORDS]})
    assert any(fault.kind is BundleFaultKind.NOT_ASKED_FOR and fault.index is not None for fault in found.faults)


@pytest.mark.parametrize("form", [BundleForm.CSV, BundleForm.OCSF])
def test_what_is_signed_and_yet_no_record_is_found(judge, form):
    shard, log = "ab" * 6, Log()
    log.grow(shard, 2)
    log.sign()
    members = log.bundle(form=form)
    leaves = [b"{}", log.shards[shard][1]]
    roster = Roster(LOG, 1, log.newest.time, None, (RosterEntry(1, shard, 2, tree(leaves)),))
    members |= {
        roster_member(1): signed(roster.text(), log.keys[0]),
        hashes_member(1, shard): b"".join(map(leaf_hash, leaves)),
        RECORDS: line_start(shard, 0) + b"{}}\n" + lines(members)[1],
    }
    assert first(judge(members)) == (BundleFaultKind.RECORD_INVALID, RECORDS, shard, 0, None)


@pytest.mark.parametrize("form", [BundleForm.CSV, BundleForm.OCSF])
def test_a_derived_form_says_what_the_records_say(judge, form):
    members = LOGGED.bundle(form=form)
    name = form.member
    for change in (
        lambda data: data.replace(b"agent-2", b"agent-3", 1),
        lambda data: data + b"x",
        lambda data: data[:-1],
        lambda _data: b"",
        lambda data: data[1:],
    ):
        found = judge(members | {name: change(members[name])})
        assert found.faults[0].kind is BundleFaultKind.DERIVED
        assert found.faults[0].member == name


def test_the_verifier_stops_when_there_is_too_much(judge):
    log = Log()
    log.grow("ab" * 6, 300)
    log.sign()
    members = log.bundle()
    forged = [line.replace(b"agent", b"tnega") for line in lines(members)]
    found = judge(relisted(members, forged))
    assert len(found.faults) == MAX_FAULTS
    assert found.more
    assert not found.finished
    assert found.exit_code == 1


def test_progress_reaches_the_end(judge):
    seen = []
    judge(MEMBERS, progress=lambda done, size: seen.append((done, size)))
    assert seen[-1] == (len(MEMBERS[RECORDS]),) * 2


def test_roots_are_those_of_the_tree_at_every_size():
    leaves = [leaf_hash(b"%d" % number) for number in range(9000)]
    sizes = [0, 1, 2, 3, 7, 8, 9, 64, 100, 4095, 4096, 4097, 8191, 8192, 9000]
    data = b"".join(leaves)
    for step in (1, 31, 32, 5000, len(data)):
        chunks = (data[at : at + step] for at in range(0, len(data), step)) if step > 1 else [data]
        assert list(roots(Bytes(chunks), sizes)) == [Edge().extend(leaves[:size]).root() for size in sizes]


def missed(judge, witness, count, seed, kinds=()):
    tamperer = Tamperer(random.Random(seed), LOGGED)  # noqa: S311 - tamperings, not secrets
    tamperer.kinds = [getattr(tamperer, name) for name in kinds] or tamperer.kinds
    passed, lost = [], []
    for _ in range(count):
        tampering = tamperer.next()
        if tampering.harmless:
            continue
        found = judge(tampering.data, witness=witness if tampering.needs_witness else None)
        if found.ok:
            passed.append(tampering.name)
        elif not tampering.located(found):
            lost.append(tampering.name)
    return passed, lost


def test_no_random_tampering_is_missed_and_each_is_located(judge, witness):
    assert missed(judge, witness, 700, 11) == ([], [])


CONTROLS = {
    "signatures": ("audit.verify_rosters._signed", lambda *_: True, ("sign_again", "fork_signed")),
    "roots": ("audit.verify.check_hashes", lambda *_: None, ("replace_record_and_hash",)),
    "records": ("audit.verify_records.RecordCheck._changed", lambda _self: None, ("replace_record", "swap_bodies")),
    "missing records": (
        "audit.verify_records.RecordCheck._missing",
        lambda self, at, index: (setattr(self, "_at", at), setattr(self, "_next", index)),
        ("drop_records",),
    ),
    "the witness": ("audit.verify.WitnessCheck.compare", lambda *_: None, ("cut_off",)),
    "the newest roster": ("audit.verify._check_manifest", lambda *_: None, ("reopen",)),
    "the directory": ("audit.container.ContainerReader.finish", lambda _self: None, ("file_flip", "file_cut")),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_verifier_without_one_of_its_checks_misses_what_that_check_is_for(judge, witness, monkeypatch, name):
    target, instead, kinds = CONTROLS[name]
    assert missed(judge, witness, 40, 12, kinds)[0] == []
    monkeypatch.setattr(target, instead)
    if name == "missing records":  # the count in the manifest would tell too
        monkeypatch.setattr("audit.verify_records.RecordCheck._miscounted", lambda *_: None)
    assert missed(judge, witness, 40, 12, kinds)[0] != []


def test_a_shard_in_the_manifest_is_one_of_the_newest_roster(judge):
    members = restate(MEMBERS, log="other")
    assert first(judge(members))[:2] == (BundleFaultKind.MANIFEST, MANIFEST)


def test_the_page_for_auditors_explains_every_kind_of_fault():
    page = Path(__file__).parents[2].joinpath("docs", "audit-verification.md").read_text(encoding="utf-8")
    assert {kind for kind in BundleFaultKind if f"| `{kind}` |" not in page} == set()
