"""Project Wycheproof's vectors for Ed25519, all of them, against the check that every signature goes through."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from audit.signing import verify_signature

PATH = Path(__file__).parent / "vectors" / "wycheproof" / "ed25519_test.json"
FILE = json.loads(PATH.read_bytes())
CASES = [
    (vector["result"], set(vector["flags"]), *map(bytes.fromhex, (group["publicKey"]["pk"], vector["msg"], vector["sig"])))
    for group in FILE["testGroups"]
    for vector in group["tests"]
]  # fmt: skip


def wrong(check, *results):
    """The numbers of the vectors of these results that `check` does not judge as the first of them."""
    return [
        number
        for number, (result, _, public, message, signature) in enumerate(CASES, 1)
        if result in results and check(public, message, signature) != (results[0] == "valid")
    ]


def test_the_file_is_the_published_one_and_whole():
    assert sha256(PATH.read_bytes()).hexdigest() in PATH.with_name("README.md").read_text(encoding="utf-8")
    assert len(CASES) == FILE["numberOfTests"] == 210


def test_every_valid_signature_is_believed():
    assert wrong(verify_signature, "valid") == []


def test_no_invalid_signature_is_believed():
    assert wrong(verify_signature, "invalid") == []


def test_what_libraries_may_judge_either_way_rests_on_odd_keys_only():
    """Public keys of small or mixed order, which no key generation makes. Our library believes all of them.

    Who publishes such a key can deny what was signed with it; who does not hold the private key of an honest one gains
    nothing. The key that an auditor trusts was given to them by the log's owner, who could as well sign everything.
    """
    assert {flag for result, flags, *_ in CASES if result == "acceptable" for flag in flags} == {
        "SmallOrderPublicKey", "MixedOrderPublicKey",
    }  # fmt: skip
    assert len(wrong(verify_signature, "acceptable")) == sum(result == "acceptable" for result, *_ in CASES)


@pytest.mark.parametrize(("lax", "result"), [(True, "invalid"), (False, "valid")])
def test_a_check_that_does_not_look_fails_them(lax, result):
    assert wrong(lambda *_: lax, result) != []


def test_a_check_that_cuts_signatures_to_size_fails_them():
    assert (
        wrong(lambda public, message, signature: verify_signature(public, message, signature[:64]), "invalid") != []
    )
