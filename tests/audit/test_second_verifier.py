"""The second verifier shares nothing with the first, and says the same."""

import ast
import random
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from audit import AccessQuery, Decision, Deviation, Kind, Outcome, Reason, Record, Verdict, encode_record
from audit.bundle import BundleForm, roster_member
from audit.verify import verify_bundle
from tests.audit.bundles import START, Log, lines, make_log, pack, relisted, signing_key, unpack, write_witness
from tests.audit.make_bundle_vectors import DIRECTORY, VECTORS
from tests.audit.tamperings import Tamperer
from tests.audit.test_verify_bundle import LOGGED, QUERIES, forge_roster, signed_lies

SCRIPT = Path(__file__).parents[2] / "scripts" / "verify_audit_bundle.py"
SECOND = runpy.run_path(str(SCRIPT))["verify"]


@pytest.fixture
def both(tmp_path):
    """What the two verifiers say: good or not."""

    def verify(data, key=LOGGED.trusted, witness=None):
        path = tmp_path / "bundle.zip"
        path.write_bytes(data)
        return verify_bundle(path, key, witness=witness).ok, second(path, key, witness)

    return verify


def second(path, key, witness=None):
    try:
        SECOND(path, key, *([witness] if witness else []))
    except Exception:  # noqa: BLE001 - as the script: whatever went wrong, it is not verified
        return False
    return True


def test_it_is_short_and_imports_nothing_of_ours():
    source = SCRIPT.read_text()
    assert len(source.splitlines()) < 200
    tree = ast.parse(source)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    ours = {"cryptography.hazmat.primitives.asymmetric.ed25519"}
    assert {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names} == ours


@pytest.mark.parametrize("form", BundleForm)
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_both_believe_what_was_signed(both, query, form):
    assert both(pack(LOGGED.bundle(query, form))) == (True, True)


@pytest.mark.parametrize("name", VECTORS)
def test_frozen_bundles_are_believed_and_made_again(both, name):
    data = (DIRECTORY / name).read_bytes()
    assert both(data) == (True, True)
    assert unpack(data) == LOGGED.bundle(*VECTORS[name])  # how it is packed is the compressor's business


@pytest.mark.parametrize("rotations", [0, 1, 2])
def test_both_follow_the_chain_of_keys(both, rotations):
    log = make_log(rotations)
    for key in log.keys:
        assert both(pack(log.bundle()), str(key.verifier)) == (True, True)
    assert both(pack(log.bundle()), str(signing_key(9).verifier)) == (False, False)
    assert both(pack(log.bundle()), str(signing_key(1, "other").verifier)) == (False, False)


@pytest.mark.parametrize("seed", range(4))
def test_both_agree_on_random_tamperings(both, tmp_path, seed):
    """A ZIP library does not look at every byte around the members: there the second may not see what changed none."""
    witness = write_witness(LOGGED, tmp_path / "witness")
    tamperer = Tamperer(random.Random(seed), LOGGED)  # noqa: S311 - tamperings, not secrets
    for _ in range(150):
        tampering = tamperer.next()
        if not tampering.harmless:
            found = both(tampering.data, witness=witness if tampering.needs_witness else None)
            assert found == (False, False), tampering.name


@pytest.mark.parametrize("name", signed_lies())
def test_both_see_what_the_log_itself_signs_wrongly(both, name):
    sequence, parts, *_ = signed_lies()[name]
    log = forge_roster(make_log(0), sequence, **parts)
    members = make_log(0).bundle() | {roster_member(n): note for n, note in enumerate(log.rosters, 1)}
    assert both(pack(members)) == (False, False)


def test_both_compare_with_a_witness(both, tmp_path):
    witness = write_witness(LOGGED, tmp_path / "witness")
    assert both(pack(LOGGED.bundle()), witness=witness) == (True, True)
    (witness / "roster-000000000004.note").write_bytes(b"another\n")
    assert both(pack(LOGGED.bundle()), witness=witness) == (False, False)
    (tmp_path / "empty").mkdir()
    assert both(pack(LOGGED.bundle()), witness=tmp_path / "empty") == (False, False)


HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "a;=1",
    "a,=1",
    'a"=1',
    "a\n=1",
    "\uff1d1",
    "a b=c",
    " =1",
    "é-1",
    "x" * 256,
]


@pytest.mark.parametrize("form", [BundleForm.CSV, BundleForm.OCSF])
def test_both_derive_the_same_from_anything_a_record_can_hold(both, form):
    log = Log()
    shard = "ab" * 6
    log.shards[shard] = [
        encode_record(
            Record(
                actor=text,
                case=text,
                client=text or None,
                kind=kind,
                operation=text,
                outcome=outcome,
                policy=text,
                roles=(text,),
                filters=(text, text),
                subjects=("-" * 22, "_" * 22) * (400 if kind is Kind.EXPORT else 1),
                decisions=(Decision(decision=Verdict.CLEAR, fields=(text,), reason=Reason.SCOPE, rule=7),),
                exceptions=(Deviation(fields=(text,), reason=Reason.ERASED, subjects=(0,)),),
                time="1969-12-31T23:59:59.999999Z" if kind is Kind.READ else "2026-05-14T09:30:00.123456Z",
            )
        )
        for text in HOSTILE
        for kind, outcome in zip(
            [each for each in Kind if each is not Kind.ERASURE_DONE], list(Outcome) * 2, strict=False
        )
    ]
    log.sign()
    assert both(pack(log.bundle(form=form)), log.trusted) == (True, True)
    query = AccessQuery(field="=1+1", since=START)
    assert both(pack(log.bundle(query, form)), log.trusted) == (True, True)


def test_the_command_says_it_with_its_exit_code(tmp_path):
    path = tmp_path / "bundle.zip"
    members = LOGGED.bundle()
    path.write_bytes(pack(members))

    def run(*arguments):
        found = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
        return found.returncode, found.stdout.split("\n")[0]

    assert run(path, LOGGED.trusted) == (0, "verified")
    path.write_bytes(pack(relisted(members, lines(members)[1:])))
    assert run(path, LOGGED.trusted)[0] == 1
    assert run(path)[0] == 3


def test_a_second_verifier_without_its_hashes_would_disagree(both, monkeypatch):
    """The negative control: agreement is not for want of looking."""
    found = lines(LOGGED.bundle())
    forged = relisted(LOGGED.bundle(), [found[0].replace(b"agent-0", b"agent-1"), *found[1:]])
    assert both(pack(forged)) == (False, False)
    monkeypatch.setitem(SECOND.__globals__, "check_records", lambda _bundle, manifest, *_: manifest["shards"])
    assert both(pack(forged)) == (False, True)
