"""Random tamperings with bundles, which the verifier must all find and locate: `scripts/faults_audit`.

Flips of bits, drops, repeats, swaps, cuts, forged records with forged hashes, rosters signed by another key, forked
tails, ends cut off, and the same to the file's bytes. Prints each kind's count, what was missed and what was found
but not located, and fails if either is not nothing. Every `--second`-th goes to the second verifier too.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from audit.verify import verify_bundle
from tests.audit.bundles import write_witness
from tests.audit.tamperings import Tamperer

SECOND = Path(__file__).parents[1] / "scripts" / "verify_audit_bundle.py"


def _second(path: Path, key: str, witness: Path | None) -> bool:
    command = [sys.executable, SECOND, path, key, *([witness] if witness else [])]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(count: int, seed: int, second: int) -> int:
    """Tamper so often; how many tamperings were missed, not located, or judged otherwise by the second verifier."""
    tamperer = Tamperer(random.Random(seed))  # noqa: S311 - tamperings, not secrets
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    harmless = asked = disagreed = 0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        path, witness = Path(directory) / "bundle.zip", write_witness(tamperer.log, Path(directory) / "witness")
        for number in track(range(count), "Tampering", console=Console(stderr=True)):
            tampering = tamperer.next()
            path.write_bytes(tampering.data)
            looked_at = witness if tampering.needs_witness else None
            found = verify_bundle(path, tamperer.log.trusted, witness=looked_at)
            made[tampering.name] += 1
            if tampering.harmless:
                harmless += 1
            elif found.ok:
                missed[tampering.name] += 1
            elif not tampering.located(found):
                lost[tampering.name] += 1
            if second and number % second == 0 and not tampering.harmless:
                asked += 1
                disagreed += _second(path, tamperer.log.trusted, looked_at) != found.ok
    table = Table(title=f"{count:,} tamperings, seed {seed}, {time.perf_counter() - started:,.0f} s")
    for heading in ("tampering", "made", "missed", "not located"):
        table.add_column(heading, justify="left" if heading == "tampering" else "right")
    for name, number in sorted(made.items()):
        table.add_row(name, f"{number:,}", str(missed[name]), str(lost[name]))
    console = Console()
    console.print(table)
    console.print(
        f"missed {missed.total()}, not located {lost.total()}; {harmless} changed no member's bytes; "
        f"the second verifier was asked {asked} times and disagreed {disagreed} times"
    )
    return missed.total() + lost.total() + disagreed


def main() -> None:
    """Tamper and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, default=2_000, help="how many tamperings (default 2,000; the full run is 100,000)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--second", type=int, default=20, help="ask the second verifier for every so many (0: never)")
    arguments = parser.parse_args()
    sys.exit(1 if run(arguments.count, arguments.seed, arguments.second) else 0)


if __name__ == "__main__":
    main()
