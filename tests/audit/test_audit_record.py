"""A record and its bytes: one form, frozen, with nothing in it that could be a person."""

import json
import string
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import (
    Decision,
    Deviation,
    Erasure,
    Kind,
    Outcome,
    Reason,
    Record,
    RecordInvalidError,
    RecordTooLargeError,
    Verdict,
    decode_record,
    encode_record,
    moment,
    timestamp,
)
from audit.tree import leaf_hash
from tests.audit.make_vectors import records

VECTORS = json.loads(Path(__file__).with_name("vectors").joinpath("records.json").read_text(encoding="utf-8"))

texts = st.text(st.characters(codec="utf-8"), max_size=40)
paths = st.lists(texts, max_size=4).map(tuple)
subjects = st.lists(
    st.text(string.ascii_letters + string.digits + "-_", min_size=22, max_size=22), min_size=1, max_size=5
)
rules = st.none() | st.integers(0, 10_000)


@st.composite
def any_record(draw):
    referred = tuple(draw(subjects))
    among = st.lists(st.integers(0, len(referred) - 1), max_size=3).map(tuple)
    decision = st.builds(
        Decision,
        decision=st.sampled_from(Verdict),
        fields=paths,
        reason=st.none() | st.sampled_from(Reason),
        rule=rules,
    )
    deviation = st.builds(
        Deviation,
        decision=st.sampled_from(Verdict),
        fields=paths,
        reason=st.sampled_from(Reason),
        rule=rules,
        subjects=among,
    )
    return Record(
        actor=draw(texts),
        case=draw(st.none() | texts),
        decisions=tuple(draw(st.lists(decision, max_size=3))),
        erasure=Erasure(fingerprint=draw(texts), leaf=draw(st.integers(0, 2**32 - 1))),
        exceptions=tuple(draw(st.lists(deviation, max_size=3))),
        filters=draw(paths),
        kind=draw(st.sampled_from(Kind)),
        outcome=draw(st.sampled_from(Outcome)),
        policy=draw(texts),
        roles=tuple(sorted(set(draw(paths)))),
        subjects=referred,
        time=timestamp(draw(st.datetimes(timezones=st.just(UTC)))),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_records_encode_to_their_frozen_bytes(vector):
    record = records()[vector["name"]]
    assert encode_record(record).hex() == vector["bytes"]
    assert decode_record(bytes.fromhex(vector["bytes"])) == record
    assert leaf_hash(bytes.fromhex(vector["bytes"])).hex() == vector["leaf_hash"]


@given(any_record())
def test_a_record_comes_back_from_its_bytes(record):
    assert decode_record(encode_record(record)) == record


@given(any_record())
def test_the_bytes_are_what_any_json_library_writes_under_the_documented_rule(record):
    data = encode_record(record)
    plain = json.loads(data)
    again = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert again.encode() == data


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b",", b", ", 1),
        lambda data: data + b"\n",
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b'"agent', b'"\\u0061gent'),
        lambda data: data.replace(b'"case":null,', b""),
        lambda data: data.replace(b'"v":1', b'"v":1.0'),
        lambda data: data.replace(b'"v":1', b'"v":1,"v":1'),
        lambda data: data.replace(b'"v":1', b'"v":2'),
        lambda data: data.replace(b'"v":1', b'"v":1,"w":1'),
        lambda data: data.replace(b'"kind":"read"', b'"kind":"peek"'),
        lambda data: data.replace(b'"actor":"agent-1"', b'"actor":null'),
        lambda data: data.replace(b"agent", b"ag\xffnt"),
        lambda data: data.replace(b'"actor":"agent-1","case":null', b'"case":null,"actor":"agent-1"'),
        lambda data: data[:-1],
        lambda data: data[:0],
        lambda data: b"[" + data + b"]",
        lambda data: data.replace(b"09:30", b"25:30"),
    ],
)
def test_bytes_that_are_not_canonical_are_refused(make_record, change):
    data = encode_record(make_record())
    decode_record(data)
    assert change(data) != data
    with pytest.raises(RecordInvalidError):
        decode_record(change(data))


@pytest.mark.parametrize(
    "parts",
    [
        {"time": "2026-05-14T09:30:00Z"},
        {"time": "2026-05-14T09:30:00.000000+00:00"},
        {"time": "2026-05-14T24:00:00.000000Z"},
        {"time": "2026-02-30T09:30:00.000000Z"},
        {"time": "\uff12026-02-03T09:30:00.000000Z"},
        {"roles": ("b", "a")},
        {"roles": ("a", "a")},
        {"subjects": ("cus_abcdefghijklmnopqrstuvwxyz",)},
        {"subjects": ("ada@example.org",)},
        {"subjects": ("A" * 21,)},
        {"subjects": (("A" * 22) + "\n",)},
        {"subjects": ("A" * 22 + "," + "B" * 22 + "C",)},
        {"document": "abc"},
        {"document": "A" * 64},
        {"trace": "xyz"},
        {"actor": "a" * 257},
        {"case": "c" * 257},
        {"exceptions": (Deviation(subjects=(1,), fields=("profile.email",), reason=Reason.SCOPE),)},
        {"exceptions": (Deviation(subjects=(-1,), fields=("profile.email",), reason=Reason.SCOPE),)},
        {"kind": Kind.ERASURE_DONE},
        {"v": 2},
    ],
)
def test_a_record_that_breaks_the_format_cannot_be_made(make_record, parts):
    make_record()
    with pytest.raises(RecordInvalidError):
        make_record(**parts)


def test_an_error_quotes_nothing_of_what_it_refused(make_record):
    data = encode_record(make_record()).replace(b'"kind":"read"', b'"kind":"ada@example.org"')
    with pytest.raises(RecordInvalidError) as caught:
        decode_record(data)
    assert "ada" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_text_that_is_not_unicode_is_refused(make_record):
    with pytest.raises(RecordInvalidError):
        encode_record(make_record(actor="\ud800"))


def test_a_record_over_the_limit_is_refused(make_record):
    encode_record(make_record(subjects=tuple(f"{n:022d}" for n in range(10_000))))
    with pytest.raises(RecordTooLargeError):
        encode_record(make_record(subjects=tuple(f"{n:022d}" for n in range(11_000))))


def test_a_record_cannot_be_changed(make_record):
    with pytest.raises(AttributeError):
        make_record().actor = "another"


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_times_as_text_sort_as_in_time(one, other):
    assert (timestamp(one) < timestamp(other)) == (one < other)
    assert moment(timestamp(one)) == one


def test_a_time_of_another_zone_is_written_in_utc():
    zone = timezone(timedelta(hours=2))
    assert timestamp(datetime(2026, 5, 14, 11, 30, tzinfo=zone)) == "2026-05-14T09:30:00.000000Z"


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(RecordInvalidError):
        timestamp(datetime(2026, 5, 14, 11, 30))  # noqa: DTZ001 - that is the fault


def test_the_fields_are_those_that_the_format_froze():
    assert [field.name for field in msgspec.structs.fields(Record)] == [
        "actor", "case", "client", "decisions", "document", "erasure", "exceptions", "filters", "kind", "operation",
        "outcome", "policy", "purpose", "roles", "subjects", "time", "trace", "v",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [*Kind])
def test_every_kind_encodes_as_its_value(make_record, kind):
    erasure = Erasure(fingerprint="c0ffee", leaf=1)
    assert f'"kind":"{kind.value}"'.encode() in encode_record(make_record(kind=kind, erasure=erasure))


def test_outcomes_are_a_closed_set():
    assert [*Outcome] == ["allowed", "refused", "failed", "not_found"]
