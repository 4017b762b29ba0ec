"""Write the frozen vectors anew: `python -m tests.audit.make_vectors`. Only ever for a new version of the format.

Those of batches of version 1, `batches.json`, cannot be written any more.
"""

import json
from pathlib import Path

from audit import Decision, Deviation, Erasure, Kind, Outcome, Reason, Record, Verdict, encode_record
from audit.batch import build_batch
from audit.tree import Edge, leaf_hash

VECTORS = Path(__file__).with_name("vectors")


def records():
    """One record of each sort, the empty and the full, and texts that encoders disagree about."""
    return {
        "least": Record(
            actor="cli",
            roles=(),
            kind=Kind.ADMIN,
            outcome=Outcome.ALLOWED,
            policy="p1",
            time="2026-05-14T09:30:00.000000Z",
        ),
        "read": Record(
            actor="agent-7",
            roles=("marketer", "support_agent"),
            client="console",
            purpose="customer_service",
            case="T-1001",
            kind=Kind.READ,
            operation="ProfilePage",
            document="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            decisions=(
                Decision(decision=Verdict.CLEAR, fields=("profile.family_name", "profile.given_name"), rule=4),
                Decision(decision=Verdict.MASKED, fields=("profile.email",), reason=Reason.POLICY, rule=9),
                Decision(decision=Verdict.WITHHELD, fields=("profile.national_id",), reason=Reason.POLICY),
            ),
            exceptions=(Deviation(subjects=(1,), fields=("profile.email",), reason=Reason.OBJECTION),),
            filters=("profile.region",),
            subjects=("AAECAwQFBgcICQoLDA0ODw", "Dw4NDAsKCQgHBgUEAwIBAA"),
            policy="1f3a",
            trace="4bf92f3577b34da6a3ce929d0e0e4736",
            outcome=Outcome.ALLOWED,
            time="2026-05-14T09:30:00.000001Z",
        ),
        "erasure": Record(
            actor="officer-1",
            roles=("privacy_officer",),
            purpose="privacy_request",
            kind=Kind.ERASURE_DONE,
            erasure=Erasure(fingerprint="c0ffee", leaf=41, ring="000102030405060708090a0b0c0d0e0f"),
            policy="1f3a",
            outcome=Outcome.ALLOWED,
            time="2026-05-14T09:30:02.999999Z",
        ),
        "texts": Record(
            actor='a"b\\c/d\u0000\u0008\u000a\u001f\u007f\u0080é\u2028\U0001f511',
            roles=("Z", "a", "é", "\uff5e", "\U0001f511"),
            kind=Kind.SEARCH,
            outcome=Outcome.REFUSED,
            policy="",
            time="0001-01-01T00:00:00.000000Z",
        ),
        "certified": Record(
            actor="confide",
            roles=(),
            kind=Kind.ERASURE_DONE,
            erasure=Erasure(
                certificate="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                fingerprint="c0ffee",
                leaf=41,
            ),
            policy="1f3a",
            outcome=Outcome.ALLOWED,
            time="2026-05-14T09:30:03.000000Z",
        ),
    }


def main():
    """Write both files."""
    vectors = [
        {"name": name, "bytes": (data := encode_record(record)).hex(), "leaf_hash": leaf_hash(data).hex()}
        for name, record in records().items()
    ]
    (VECTORS / "records.json").write_text(json.dumps(vectors, indent=1) + "\n", encoding="utf-8")
    edge, batches = Edge(), []
    made = [(record, encode_record(record)) for record in list(records().values())[:4]]
    for part in (made[:3], made[3:]):
        batch = build_batch("0123456789ab", edge, part)
        edge = batch.edge
        document = batch.document()
        for name in ("root", "leaves"):
            document[name] = document[name].hex()
        for name in ("edge", "records"):
            document[name] = [each.hex() for each in document[name]]
        batches.append(document)
    (VECTORS / "batches_v2.json").write_text(json.dumps(batches, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
