"""What an export is made of: its manifest, its members in their order, and the lines of its records.

Values in, values out; the file around them is audit/container.py. The format has a page, docs/formats/audit-bundle.md,
so exact that a verifier can be written from it. Nothing in the manifest is signed: everything that a verdict rests on
is held against the signed rosters, and the page says what is not.
"""

from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from audit.checkpoint import MAX_ROSTER_BYTES, MAX_SIZE, require_log_name
from audit.container import DEFLATED, STORED
from audit.entry import require_shard
from audit.errors import AuditError, BundleInvalidError, RecordInvalidError
from audit.note import MAX_NOTE_BYTES
from audit.query import AccessQuery
from audit.record import MAX_RECORD_BYTES, Kind, Outcome, Record, Verdict, moment

VERSION = "confide.audit.bundle/v1"
MANIFEST = "manifest.json"
RECORDS = "records.jsonl"
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
MAX_KEY_CHANGES = 10_000
MAX_ROSTERS = 10_000_000
MAX_LINE_BYTES = MAX_RECORD_BYTES + 64
"""A record, its entry's id and what is around them, the line end included."""
HASH = 32
END = b"}\n"

_FIRST_ROSTER = 1


class BundleForm(StrEnum):
    """What an export holds besides the records' own bytes."""

    JSONL = "jsonl"
    """Nothing."""
    CSV = "csv"
    """A table that opens in a spreadsheet: audit/csv_form.py."""
    OCSF = "ocsf"
    """Events of OCSF class 6005, Datastore Activity: audit/ocsf.py."""

    @property
    def member(self) -> str | None:
        """The member that is derived from the records."""
        return {BundleForm.CSV: "records.csv", BundleForm.OCSF: "records.ocsf.jsonl"}.get(self)


# Fields of the structs below may not be reordered, renamed or removed: their sorted names are the manifest's bytes.
# A change is a new VERSION.


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An AccessQuery as the manifest holds it; `since` and `until` in the form of a record's time."""

    actor: str | None = None
    case: str | None = None
    client: str | None = None
    decision: Verdict | None = None
    field: str | None = None
    kind: Kind | None = None
    outcome: Outcome | None = None
    policy_version: str | None = None
    purpose: str | None = None
    role: str | None = None
    since: str | None = None
    subject: str | None = None
    until: str | None = None

    @classmethod
    def of(cls, query: AccessQuery) -> "Filter":
        """The filter that a query is.

        Raises:
            RecordInvalidError: A time without a time zone; or `parts`, for which a manifest has no word.
        """
        if query.parts:
            raise RecordInvalidError("a bundle is about one reference")
        since, until = query.span()
        asked = {name: getattr(query, name) for name in cls.__struct_fields__}
        return cls(**asked | {"since": since, "until": until})

    def query(self) -> AccessQuery:
        """The query that the filter is.

        Raises:
            RecordInvalidError: A time is not of a record's form.
        """
        span = {"since": self.since, "until": self.until}
        times = {name: None if time is None else moment(time) for name, time in span.items()}
        return AccessQuery(**{name: getattr(self, name) for name in self.__struct_fields__} | times)

    def asked(self) -> dict[str, str]:
        """What was asked for, by name; empty where that is everything."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: str(value) for name, value in found.items() if value is not None}


class ShardCount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One shard: how many leaves it had in the newest roster, and how many of its records are in the bundle."""

    number: int
    records: int
    shard: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle says of itself. `check` guards it against accidents only: anyone can compute it."""

    check: str = ""
    created: str
    filter: Filter
    form: BundleForm
    key_changes: int
    log: str
    rosters: int
    shards: tuple[ShardCount, ...]
    version: str = VERSION

    def to_bytes(self) -> bytes:
        """The manifest's only bytes, its check included."""
        bare = msgspec.structs.replace(self, check="")
        return _encoder.encode(msgspec.structs.replace(self, check=sha256(_encoder.encode(bare)).hexdigest()))

    @property
    def full(self) -> bool:
        """Whether every record must be there: nothing was filtered out."""
        return self.filter == Filter()

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """The manifest that `data` is.

        Raises:
            BundleInvalidError: Not a manifest of this version, not its only bytes, or a number outside its bounds.
        """
        try:
            manifest = _decoder.decode(data)
            require_log_name(manifest.log)
            moment(manifest.created)
            manifest.filter.query()
            for entry in manifest.shards:
                require_shard(entry.shard)
            whole = manifest.to_bytes() == data
        except (msgspec.MsgspecError, UnicodeError, AuditError):
            # Their messages may quote what was read.
            raise _invalid("is not a manifest of this version") from None
        if not whole:
            raise _invalid("is not as it was written")
        if not (
            manifest.version == VERSION
            and 0 <= manifest.key_changes <= MAX_KEY_CHANGES
            and _FIRST_ROSTER <= manifest.rosters <= MAX_ROSTERS
            and [entry.number for entry in manifest.shards] == list(range(1, len(manifest.shards) + 1))
            and all(0 <= entry.records <= entry.size <= MAX_SIZE for entry in manifest.shards)
            and len({entry.shard for entry in manifest.shards}) == len(manifest.shards)
        ):
            raise _invalid("states numbers that no bundle has")
        return manifest

    def members(self) -> Iterator[tuple[str, int, int]]:
        """Every member that follows the manifest: name, how it is packed, and the most bytes it may have."""
        for number in range(1, self.key_changes + 1):
            yield key_member(number), STORED, MAX_NOTE_BYTES
        for sequence in range(1, self.rosters + 1):
            yield roster_member(sequence), STORED, MAX_ROSTER_BYTES
        for entry in self.shards:
            yield hashes_member(entry.number, entry.shard), STORED, entry.size * HASH
        yield RECORDS, DEFLATED, sum(entry.records for entry in self.shards) * MAX_LINE_BYTES
        if self.form.member:
            yield self.form.member, DEFLATED, MAX_SIZE * MAX_LINE_BYTES


def key_member(number: int) -> str:
    """The member with the log's key change of this number."""
    return f"keys/{number:012d}.note"


def roster_member(sequence: int) -> str:
    """The member with the roster of this sequence."""
    return f"rosters/{sequence:012d}.note"


def hashes_member(number: int, shard: str) -> str:
    """The member with a shard's leaf hashes."""
    return f"hashes/{number}-{shard}.bin"


def line_start(shard: str, index: int) -> bytes:
    """What comes before a record's canonical bytes in its line; END comes after them."""
    return b'{"entry":"%b.%d","record":' % (shard.encode(), index)


def asked_for(query: AccessQuery, record: Record) -> bool:
    """Whether a search for `query` finds the record, its time included."""
    since, until = query.span()
    return (
        (since is None or record.time >= since) and (until is None or record.time < until) and query.matches(record)
    )


def _invalid(what: str) -> BundleInvalidError:
    return BundleInvalidError(f"the manifest {what}", MANIFEST, 0)


def encode(value: Any) -> bytes:
    """A value as canonical JSON: sorted keys, no white space, UTF-8."""
    return _encoder.encode(value)


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Manifest)
