"""Random tamperings with bundles, one after another, and what became of them: a part of `scripts/faults audit`.

Flips of bits, drops, repeats, swaps, cuts, forged records with forged hashes, rosters signed by another key, forked
tails, ends cut off, and the same to the file's bytes.
"""

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from audit.verify import verify_bundle
from tests.audit.bundles import write_witness
from tests.audit.tamperings import Tamperer

SECOND = Path(__file__).parents[2] / "scripts" / "verify_audit_bundle.py"


@dataclass
class BundleTally:
    """How many were made of each kind, and what was missed."""

    made: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """Found, but not where it was."""
    harmless: int = 0
    """Bits around the members that mean nothing."""
    asked: int = 0
    disagreed: int = 0
    """How often the second verifier was asked, and said something else."""


def tamper_bundles(pick, count, directory, *, second=0, said=lambda _number: None):
    """Tamper so often with a bundle; every `second`-th goes to the second verifier too, 0 for none."""
    tamperer = Tamperer(pick)
    key = tamperer.log.trusted
    tally = BundleTally()
    path, witness = directory / "bundle.zip", write_witness(tamperer.log, directory / "witness")
    for number in range(count):
        tampering = tamperer.next()
        path.write_bytes(tampering.data)
        looked_at = witness if tampering.needs_witness else None
        found = verify_bundle(path, key, witness=looked_at)
        tally.made[tampering.name] += 1
        if tampering.harmless:
            tally.harmless += 1
        elif found.ok:
            tally.missed[tampering.name] += 1
        elif not tampering.located(found):
            tally.lost[tampering.name] += 1
        if second and number % second == 0 and not tampering.harmless:
            tally.asked += 1
            tally.disagreed += _second(path, key, looked_at) != found.ok
        said(number + 1)
    return tally


def _second(path, key, witness):
    command = [sys.executable, SECOND, path, key, *([witness] if witness else []), "--filtered"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
