"""How fast a bundle is verified, and what the time goes to: `python -m benchmarks.audit_verify`.

Makes a bundle in memory, of shards that grew by turns with a signed roster after each, and verifies it on one core.
Beside it stand the costs that no verifier in Python can avoid: unpacking, and one hash for each leaf and each node.
"""

import argparse
import cProfile
import hashlib
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from rich.console import Console
from rich.table import Table

from audit.bundle import RECORDS, BundleForm
from audit.verify import verify_bundle
from tests.audit.bundles import Log, pack

SECOND = Path(__file__).parents[1] / "scripts" / "verify_audit_bundle.py"


def _log(records: int, shards: int, rosters: int) -> Log:
    log = Log()
    names = [f"{number:012x}" for number in range(1, shards + 1)]
    for roster in range(rosters):
        log.grow(names[roster % shards], records // rosters)
        log.sign()
    return log


def _cpu(work: object) -> float:
    started = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - started


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _floor(members: dict[str, bytes], table: Table, records: int) -> None:
    """The unavoidable: inflate, one SHA-256 for each record, one for each node."""
    data = members[RECORDS]
    packer = zlib.compressobj(3, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()
    lines = data.splitlines()

    def hash_lines() -> None:
        for line in lines:
            hashlib.sha256(line).digest()

    def hash_nodes() -> None:
        for _ in lines:
            hashlib.sha256(b"x" * 65).digest()

    for name, work in (
        ("of it unavoidable: inflate", lambda: zlib.decompress(packed, -15)),
        ("of it unavoidable: a hash for each record", hash_lines),
        ("of it unavoidable: a hash for each node", hash_nodes),
    ):
        seconds = _cpu(work)
        table.add_row(name, f"{seconds:.2f}", f"{1e6 * seconds / records:.2f}", "")


def run(records: int, shards: int, rosters: int, *, profile: BundleForm | None) -> None:
    """Make the bundles, verify them and print."""
    console = Console()
    log = _log(records, shards, rosters)
    records = sum(map(len, log.shards.values()))
    table = Table(title=f"Verifying {records:,} records in {shards} shards under {rosters} rosters")
    for heading in ("", "CPU s", "µs a record", "records/s"):
        table.add_column(heading, justify="right" if heading else "left")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bundle.zip"
        for form in BundleForm:
            members = log.bundle(form=form)
            path.write_bytes(pack(members))
            seconds = min(_cpu(lambda: _require(path, log)) for _ in range(3))
            size = f"{form} ({path.stat().st_size / 1e6:.0f} MB, records {len(members[RECORDS]) / records:.0f} bytes)"
            table.add_row(size, f"{seconds:.2f}", f"{1e6 * seconds / records:.2f}", f"{records / seconds:,.0f}")
            if form is BundleForm.JSONL:
                _floor(members, table, records)
                started = _children()
                subprocess.run([sys.executable, SECOND, path, log.trusted], check=True, stdout=subprocess.DEVNULL)
                seconds = _children() - started
                table.add_row(
                    "the second verifier",
                    f"{seconds:.2f}",
                    f"{1e6 * seconds / records:.2f}",
                    f"{records / seconds:,.0f}",
                )
            if form == profile:
                profiler = cProfile.Profile()
                profiler.runcall(_require, path, log)
                pstats.Stats(profiler).sort_stats("tottime").print_stats(20)
    console.print(table)


def _require(path: Path, log: Log) -> None:
    if not verify_bundle(path, log.trusted):
        raise SystemExit("the bundle does not verify")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--rosters", type=int, default=100)
    parser.add_argument(
        "--profile", type=BundleForm, choices=list(BundleForm), help="show what this form's time goes to"
    )
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}) if hasattr(os, "sched_setaffinity") else None
    run(arguments.records, arguments.shards, arguments.rosters, profile=arguments.profile)


if __name__ == "__main__":
    main()
