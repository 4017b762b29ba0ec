"""Records as events of OCSF 1.3.0, class 6005 (Datastore Activity). Values in, values out.

Required by the schema and always there: activity_id, actor, category_uid, class_uid, metadata (product, version),
severity_id, src_endpoint, time, type_uid; of database, databucket and table at least one, and in a database type_id.
What the schema has no place for is in `unmapped`. docs/formats/audit-bundle.md
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from audit.bundle import encode

VERSION = "1.3.0"
CLASS = 6005
OTHER = 99

ACTIVITIES: Mapping[str, tuple[int, str]] = {
    "read": (1, "Read"),
    "search": (4, "Query"),
    "write": (5, "Write"),
    "erasure_done": (7, "Delete"),
    # The class has no activity for these. Whether a read decrypted is not in a record, so Decrypt (10) does not occur.
    "export": (OTHER, "Export"),
    "erasure_intent": (OTHER, "Erasure Intent"),
    "policy_change": (OTHER, "Policy Change"),
    "admin": (OTHER, "Admin"),
}
MAPPED = frozenset({"actor", "roles", "time", "trace"})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INFORMATIONAL, _SUCCESS, _FAILURE, _NOSQL = 1, 1, 2, 6


def event(log: str, entry: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The event that a record is, given the log's name, the entry's id and what the record's JSON says."""
    activity, name = ACTIVITIES[record["kind"]]
    user = {"groups": [{"name": role} for role in record["roles"]], "uid": record["actor"]}
    metadata = {
        "log_name": log,
        "original_time": record["time"],
        "product": {"name": "Confide", "vendor_name": "Confide"},
        "uid": entry,
        "version": VERSION,
    }
    return {
        "activity_id": activity,
        "activity_name": name,
        "actor": {"user": user},
        "category_name": "Application Activity",
        "category_uid": 6,
        "class_name": "Datastore Activity",
        "class_uid": CLASS,
        "database": {"name": "customers", "type": "NoSQL", "type_id": _NOSQL},
        "metadata": metadata | ({} if record["trace"] is None else {"correlation_uid": record["trace"]}),
        "severity_id": _INFORMATIONAL,
        "src_endpoint": {"name": record["client"] or "unknown"},
        "status_detail": record["outcome"],
        "status_id": _SUCCESS if record["outcome"] == "allowed" else _FAILURE,
        "time": (datetime.fromisoformat(record["time"]) - _EPOCH) // timedelta(milliseconds=1),
        "type_uid": CLASS * 100 + activity,
        "unmapped": {key: value for key, value in record.items() if key not in MAPPED},
    }


def line(log: str, entry: str, record: Mapping[str, Any]) -> bytes:
    """The event as a line of canonical JSON."""
    return encode(event(log, entry, record)) + b"\n"
