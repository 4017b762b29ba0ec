"""Bundles that one verifier believed and the other did not, or both without saying enough: each was found by attack."""

import hashlib
import io
import json
import os
import random
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from audit import AccessQuery, RecordInvalidError, encode_record
from audit.bundle import (
    END,
    MANIFEST,
    MAX_LINE_BYTES,
    RECORDS,
    BundleForm,
    Filter,
    hashes_member,
    line_start,
    roster_member,
)
from audit.checkpoint import Roster
from audit.container import MAX_RATIO
from audit.note import parse_note
from audit.tree import leaf_hash
from audit.verdict import BundleFaultKind
from audit.verify import verify_bundle
from tests.audit.bundles import Log, lines, make_log, pack, record, restate, write_witness
from tests.audit.make_vectors import records
from tests.audit.tamperings import Tamperer

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_audit_bundle.py"
SECOND = runpy.run_path(str(SCRIPT))["verify"]
LOGGED = make_log()
MEMBERS = LOGGED.bundle()
BEGINNING = "0001-01-01T00:00:00.000000Z"


@pytest.fixture
def both(tmp_path):
    """What the two verifiers say: FULL, FILTERED or that it is not what was signed."""

    def verify(data, key=LOGGED.trusted, witness=None):
        path = tmp_path / "bundle.zip"
        path.write_bytes(data)
        first = verify_bundle(path, key, witness=witness)
        try:
            second, _ = SECOND(path, key, *([witness] if witness else []))
        except Exception:  # noqa: BLE001 - as the script: whatever went wrong, it is not verified
            second = None
        return told(first.full if first.ok else None), told(second)

    return verify


def told(full):
    return {True: "FULL", False: "FILTERED", None: "wrong"}[full]


def script(*words):
    """What the second verifier prints, and its exit code."""
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def manifested(members, **changes):
    """The members with anything in their manifest changed, in canonical JSON and with a check that fits."""
    found = json.loads(members[MANIFEST])
    found["filter"] |= changes.pop("filter", {})
    found |= {**changes, "check": ""}
    found["check"] = hashlib.sha256(canonical(found)).hexdigest()
    return members | {MANIFEST: canonical(found)}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def small():
    """A log with one roster and no key change."""
    log = Log()
    log.grow("a1" * 6, 3)
    log.sign()
    return log


@pytest.mark.parametrize("form", list(BundleForm))
def test_erasures_with_and_without_a_certificate_are_the_same_to_both(both, form):
    log = small()
    made = [encode_record(each) for each in records().values() if each.erasure is not None]
    assert sorted(b'"certificate"' in each for each in made) == [False, True]
    log.shards["a1" * 6] += made
    log.sign()
    assert both(pack(log.bundle(form=form)), log.trusted) == ("FULL", "FULL")
    # The negative control: a certificate is exchanged for another.
    members = log.bundle(form=form)
    members[RECORDS] = members[RECORDS].replace(b'"certificate":"9f', b'"certificate":"0f')
    assert both(pack(members), log.trusted) == ("wrong", "wrong")


UNSIGNED = {MANIFEST: MEMBERS[MANIFEST], RECORDS: b""}


@pytest.mark.parametrize(
    "changes",
    [
        {"rosters": 0, "key_changes": 0},
        {"rosters": -7, "key_changes": -5},
        {"rosters": 0, "key_changes": 0, "form": "csv"},
        {"rosters": False, "key_changes": False},
    ],
    ids=str,
)
def test_a_bundle_that_nobody_signed_is_not_believed(both, changes):
    """The second verifier said "verified": with no roster to read, there was no signature to check."""
    members = manifested(UNSIGNED, shards=[], **changes)
    if "form" in changes:
        members["records.csv"] = LOGGED.bundle(AccessQuery(actor="nobody"), BundleForm.CSV)["records.csv"]
    assert both(pack(members)) == ("wrong", "wrong")


@pytest.mark.parametrize(
    "changes",
    [
        {"rosters": True},
        {"key_changes": False},
        {"rosters": 1.0},
        {"version": "confide.audit.bundle/v2"},
        {"more": 1},
        {"created": "2026-05-15T24:00:00.000000Z"},
        {"created": "2026-02-30T09:30:00.000000Z"},
        {"form": None},
    ],
    ids=str,
)
def test_a_manifest_has_one_form_for_both(both, changes):
    log = small()
    assert both(pack(log.bundle()), log.trusted) == ("FULL", "FULL"), "the control"
    assert both(pack(manifested(log.bundle(), **changes)), log.trusted) == ("wrong", "wrong")


@pytest.mark.parametrize(
    "changes",
    [
        {"since": ""},
        {"since": "zzzz"},
        {"until": 0},
        {"since": False},
        {"until": "9999-13-01T00:00:00.000000Z"},
        {"kind": "nonsense"},
        {"outcome": ""},
        {"decision": "CLEAR"},
        {"actor": 0},
        {"actor": []},
        {"nobody": None},
    ],
    ids=str,
)
def test_a_filter_has_one_form_for_both(both, changes):
    """An empty time made the first verifier raise an error of Python's."""
    log = small()
    nothing = manifested(log.bundle(AccessQuery(actor="nobody")), filter={"actor": None} | changes)
    assert both(pack(nothing), log.trusted) == ("wrong", "wrong")
    assert both(pack(manifested(log.bundle(), filter=changes)), log.trusted) == ("wrong", "wrong")


def dropped():
    """A full bundle made a filtered one that asks for everything, without one record."""
    found = lines(MEMBERS)
    counts = [
        each | {"records": each["records"] - (not at)} for at, each in enumerate(manifest_of(MEMBERS)["shards"])
    ]
    return manifested(MEMBERS | {RECORDS: b"".join(found[1:])}, filter={"since": BEGINNING}, shards=counts)


def manifest_of(members):
    return json.loads(members[MANIFEST])


def test_a_full_bundle_made_a_filtered_one_is_only_taken_by_who_asked_for_a_filtered_one(both, tmp_path):
    """Both said OK: the manifest is not signed, so whoever holds a full bundle can filter it again."""
    path = tmp_path / "dropped.zip"
    path.write_bytes(pack(dropped()))
    assert both(pack(dropped())) == ("FILTERED", "FILTERED"), "what is left is proved, which is all that can be"
    found = verify_bundle(path, LOGGED.trusted)
    assert (found.exit_code, found.full, found.filter) == (4, False, {"since": BEGINNING})
    assert verify_bundle(path, LOGGED.trusted, filtered=True).exit_code == 0
    code, text = script(path, LOGGED.trusted)
    assert code == 4
    assert text.startswith("filtered: say --filtered if that is what you asked for\n")
    assert f"FILTERED (since '{BEGINNING}'): that none was left out is not proved\n" in text
    for words in ((path, LOGGED.trusted, "--filtered"), ("--filtered", path, LOGGED.trusted)):
        code, text = script(*words)
        assert (code, text.split("\n")[0]) == (0, "verified")
        assert "is not proved" in text


def test_who_asks_for_a_filtered_bundle_may_be_given_a_full_one(tmp_path):
    path = tmp_path / "full.zip"
    path.write_bytes(pack(MEMBERS))
    assert verify_bundle(path, LOGGED.trusted, filtered=True).exit_code == 0
    code, text = script(path, LOGGED.trusted, "--filtered")
    assert (code, text.split("\n")[:2]) == (0, ["verified", "FULL"])
    assert "no witness" in text


def test_a_bundle_that_is_wrong_is_wrong_whatever_was_asked_for(tmp_path):
    path = tmp_path / "wrong.zip"
    path.write_bytes(pack(dropped() | {RECORDS: MEMBERS[RECORDS][:-3]}))
    assert verify_bundle(path, LOGGED.trusted, filtered=True).exit_code in (1, 2)
    assert script(path, LOGGED.trusted, "--filtered")[0] == script(path, LOGGED.trusted)[0] == 1


def test_what_a_manifest_asks_for_says_nothing_to_a_terminal(tmp_path):
    members = manifested(
        LOGGED.bundle(AccessQuery(actor="nobody")), filter={"actor": "\x1b[2J\nverified\nFULL\u202e"}
    )
    path = tmp_path / "bundle.zip"
    path.write_bytes(pack(members))
    assert verify_bundle(path, LOGGED.trusted).exit_code == 4
    code, text = script(path, LOGGED.trusted)
    assert code == 4
    assert text.isascii()
    assert "\x1b" not in text
    assert "FULL" not in text.split("\n")


def earlier():
    """The bundle before the last roster was signed."""
    log = make_log()
    log.rosters = LOGGED.rosters[:-1]
    log.newest = Roster.parse(parse_note(log.rosters[-1]).text)
    return log.bundle()


@pytest.fixture
def witness(tmp_path):
    return write_witness(LOGGED, tmp_path / "witness")


def test_a_witness_of_links_is_read_through_them(both, witness, tmp_path):
    """The first verifier passed over links, so an end cut off was not seen."""
    (tmp_path / "store").mkdir()
    for path in witness.iterdir():
        path.symlink_to(path.rename(tmp_path / "store" / path.name))
    assert both(pack(MEMBERS), witness=witness) == ("FULL", "FULL")
    assert both(pack(earlier()), witness=witness) == ("wrong", "wrong")


@pytest.mark.parametrize("what", ["a directory", "a pipe", "a broken link", "a link to itself"])
@pytest.mark.parametrize("name", ["roster-000000000006.note", "roster-000000000007.note", "key-000000000001.note"])
def test_what_is_no_file_is_not_passed_over(both, witness, tmp_path, name, what):
    path = witness / name
    path.unlink(missing_ok=True)
    if what == "a directory":
        path.mkdir()
    elif what == "a pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if what == "a link to itself" else witness / "none")
    assert both(pack(MEMBERS), witness=witness) == ("wrong", "wrong")
    assert both(pack(earlier()), witness=witness) == ("wrong", "wrong")
    found = verify_bundle(tmp_path / "bundle.zip", LOGGED.trusted, witness=witness)
    assert (BundleFaultKind.WITNESS, int(name[-17:-5])) in [(each.kind, each.sequence) for each in found.faults]


@pytest.mark.parametrize("name", ["notes.txt", "x-000000000007.note", "roster-7.note", "roster-000000000007.note~"])
def test_other_files_of_the_witness_are_nothing_to_either(both, witness, name):
    (witness / name).write_bytes(b"something else")
    assert both(pack(MEMBERS), witness=witness) == ("FULL", "FULL")


def test_both_say_which_witness_was_compared_and_what_it_has_more(witness, tmp_path):
    path = tmp_path / "bundle.zip"
    path.write_bytes(pack(MEMBERS))
    code, text = script(path, LOGGED.trusted, witness)
    assert code == 0
    assert f"the witness {witness} has 6 rosters of the bundle and 0 newer rosters" in text
    path.write_bytes(pack(earlier()))
    code, text = script(path, LOGGED.trusted, witness)
    assert code == 1
    assert "the witness has 1 newer rosters" in text


def plain_zip(members, packed=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(name, data, zipfile.ZIP_DEFLATED if name in packed else zipfile.ZIP_STORED)
    return out.getvalue()


def test_the_second_verifier_needs_no_container_of_ours(both):
    """The control of the two below."""
    assert both(plain_zip(MEMBERS, [RECORDS])) == ("wrong", "FULL")


@pytest.mark.parametrize("name", [MANIFEST, "rosters/000000000001.note", "hashes/1-a1a1a1a1a1a1.bin"])
def test_no_member_but_the_records_may_be_packed(both, name):
    assert both(plain_zip(MEMBERS, [RECORDS, name])) == ("wrong", "wrong")


def test_records_may_not_unpack_to_far_more_than_their_size(both):
    """Packed at its best, a megabyte of one byte becomes less than a 1/MAX_RATIO of it."""
    data = plain_zip(MEMBERS | {RECORDS: MEMBERS[RECORDS] + b"a" * (2 << 20)}, [RECORDS])
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        info = file.getinfo(RECORDS)
    assert info.file_size > (1 << 20) + MAX_RATIO * info.compress_size
    assert both(data) == ("wrong", "wrong")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_is_not_unpacked(tmp_path, method):
    """The second verifier read the manifest whole, whatever it unpacked to."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", method) as file, file.open(MANIFEST, "w", force_zip64=True) as out:
        for _ in range(200):
            out.write(b"a" * (1 << 20))
    limited = f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_AS, ({300 << 20},) * 2); "
    limited += (
        f"sys.argv = ['', {str(path)!r}, {LOGGED.trusted!r}]; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, check=False)
    assert (done.returncode, "too large" in done.stdout) == (1, True), (done.stdout, done.stderr[-300:])


def signed_records(raws):
    """A full bundle of a log that signed these bytes, whatever they are."""
    log, shard = Log(), "a1" * 6
    log.grow(shard, len(raws))
    log.sign()
    members = log.bundle()
    signing = Log(shards={shard: raws})
    signing.sign()
    lines_of = (line_start(shard, at) + data + END for at, data in enumerate(raws))
    return members | {
        roster_member(1): signing.rosters[0],
        hashes_member(1, shard): b"".join(map(leaf_hash, raws)),
        RECORDS: b"".join(lines_of),
    }, log.trusted


@pytest.mark.parametrize("over", [0, 1])
def test_a_line_is_as_long_for_both(both, over):
    size = MAX_LINE_BYTES - len(line_start("a1" * 6, 0)) - len(END)
    members, key = signed_records([b"x" * (size + over)])
    assert both(pack(members), key) == (("wrong", "wrong") if over else ("FULL", "FULL"))


def test_a_full_bundle_is_not_read_record_by_record(both):
    """What docs/audit-verification.md says that neither looks at, nor has to, to prove what was signed."""
    members, key = signed_records([b"no record"])
    assert both(pack(members), key) == ("FULL", "FULL")


def test_the_first_alone_decodes_what_was_filtered(both):
    """As that page says; only who holds the log's key can make them differ so."""
    members, key = signed_records([LOGGED.shards["a1" * 6][0].replace(b'"v":1', b'"v":2')])
    asked = manifested(members, filter={"since": BEGINNING})
    assert both(pack(asked), key) == ("wrong", "FILTERED")


def test_two_subjects_are_not_one_with_a_comma():
    with pytest.raises(RecordInvalidError):
        type(record(1))(
            actor="a", kind="read", outcome="allowed", policy="p", roles=(), time=record(1).time,
            subjects=("a" * 22 + "," + "b" * 22,),
        )  # fmt: skip


def test_random_bundles_and_filters_are_judged_alike(both, witness):
    """Tamperings, and after each the same with a manifest made to fit whatever was changed in it."""
    pick = random.Random(7)  # noqa: S311 - tamperings, not secrets
    tamperer = Tamperer(pick, LOGGED)
    values = (
        None,
        None,
        None,
        "",
        "agent-1",
        "read",
        "clear",
        "allowed",
        BEGINNING,
        "9999-12-31T23:59:59.999999Z",
        0,
    )
    seen = set()
    for _ in range(150):
        tampering = tamperer.next()
        if not tampering.harmless:
            found = both(tampering.data, witness=witness if tampering.needs_witness else None)
            assert found == ("wrong", "wrong"), tampering.name
        names = pick.sample(Filter.__struct_fields__, 2)
        members = manifested(tamperer.members(), filter={name: pick.choice(values) for name in names})
        first, second = both(pack(members))
        assert first == second, members[MANIFEST]
        seen.add(first)
    assert seen == {"FULL", "FILTERED", "wrong"}, "the control"


def test_a_filter_restated_as_it_was_changes_nothing(both):
    assert both(pack(restate(MEMBERS))) == ("FULL", "FULL")
