"""Writes the frozen bundles: `python -m tests.audit.make_bundle_vectors`. Only for a new version of the format."""

from pathlib import Path

from audit import AccessQuery, BundleForm
from tests.audit.bundles import make_log, pack

DIRECTORY = Path(__file__).with_name("vectors")
VECTORS = {
    "bundle-full.zip": (None, BundleForm.JSONL),
    "bundle-csv.zip": (AccessQuery(actor="agent-1"), BundleForm.CSV),
    "bundle-ocsf.zip": (AccessQuery(field="profile.phone", role="auditor"), BundleForm.OCSF),
}


def main():
    for name, (query, form) in VECTORS.items():
        (DIRECTORY / name).write_bytes(pack(make_log().bundle(query, form)))


if __name__ == "__main__":
    main()
