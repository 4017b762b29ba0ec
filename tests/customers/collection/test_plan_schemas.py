"""Schemas of a plan check values as JSON Schema does, reach for nothing outside, and cost no more than they say."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customers.collection.plan_schemas import FORMATS, compiled, schema_faults


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "maxLength": 3}, "abc", "abcd"),
        ({"type": "integer", "minimum": 1}, 1, 0),
        ({"type": "number"}, 1.5, math.nan),
        ({"type": ["string", "null"]}, None, 1),
        ({"enum": ["a", 1]}, 1, 2),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "EUR", "eur"),
        ({"type": "string", "pattern": r"^\p{L}+$"}, "Größe", "42"),
        ({"format": "date-time"}, "2026-05-14T09:30:00Z", "30000-05-14T09:30:00Z"),
        ({"format": "date"}, "2024-02-29", "2023-02-29"),
        ({"format": "uuid"}, "550e8400-e29b-41d4-a716-446655440000", "550e8400"),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 2}, [1, 2], [1, 2, 3]),
        ({"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}, {"sku": "A"}, {}),
        ({"properties": {}, "additionalProperties": False}, {}, {"x": 1}),
        ({"$ref": "#/$defs/money", "$defs": {"money": {"type": "number", "minimum": 0}}}, 1, -1),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "x", 1.5),
        ({"not": {"const": 1}}, 2, 1),
        ({}, {"anything": [1]}, None),
    ],
)
def test_schemas_check_what_they_say(schema, good, bad):
    assert schema_faults(schema) == []
    assert compiled(schema).is_valid(good)
    assert compiled(schema).is_valid(bad) is (schema == {})


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://example.com/schema.json"}, "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
        ({"$ref": "other.json"}, "nothing is fetched"),
        ({"items": {"$ref": "http://127.0.0.1/x"}}, "/items/$ref"),
        ({"$ref": "#"}, "nothing is fetched"),
        ({"$ref": "#/$defs/x"}, "no definition"),
        ({"$id": "https://example.com/"}, "unknown"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "unknown"),
        ({"$dynamicRef": "#x"}, "unknown"),
        ({"unevaluatedProperties": False}, "unknown"),
        ({"maxLenght": 3}, "/maxLenght: this keyword is unknown"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "refers to itself"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
            "refers to itself",
        ),
        ({"items": {"$defs": {}}}, "at the top"),
        ({"$defs": {"a/b": {}}}, "a definition's name"),
        ({"type": "strin"}, "/type"),
        ({"type": "string", "minLength": -1}, "/minLength"),
        ({"minimum": "1"}, "/minimum"),
        ({"required": "a"}, "/required"),
        ({"properties": [1]}, "must be an object of schemas"),
        ({"anyOf": []}, "must be a list of schemas"),
        ({"anyOf": {"type": "string"}}, "must be a list of schemas"),
        ({"items": [{"type": "string"}]}, "a schema is an object"),
        ({"format": "credit-card"}, "must be one of"),
        ({"enum": [math.inf]}, "must be JSON"),
        ({"const": object()}, "must be JSON"),
        ({"pattern": "("}, "linear time"),
        ({"pattern": 1}, "a pattern is a text"),
        ({"pattern": "a" * 501}, "a pattern is a text"),
        ({"pattern": "^(?=x)"}, "linear time"),
        ({"pattern": r"(a)\1"}, "linear time"),
        ({"pattern": "[a-z]{1000}{1000}"}, "linear time"),
        ({"patternProperties": {"(?<!a)b": {}}}, "linear time"),
        ("string", "a schema is an object"),
        (None, "a schema is an object"),
    ],
)
def test_what_a_plan_may_not_use_is_a_fault_with_its_place(schema, words):
    faults = schema_faults(schema)
    assert any(words in fault for fault in faults), faults


def test_a_schema_nested_too_deeply_is_a_fault():
    schema = {"type": "string"}
    for _ in range(15):
        schema = {"items": schema}
    assert schema_faults(schema) == []
    assert any("nested deeper" in fault for fault in schema_faults({"items": schema}))


def test_definitions_that_double_each_other_are_refused_before_they_are_written_out():
    definitions = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}}
    before = time.process_time()
    assert schema_faults({"$ref": "#/$defs/d0", "$defs": definitions}) == [
        "/: larger than 2000 schemas once its references are written out"
    ]
    assert time.process_time() - before < 0.5


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"])
def test_no_pattern_takes_long_on_any_text(pattern):
    assert schema_faults({"pattern": pattern}) == []
    validator = compiled({"pattern": pattern})
    before = time.process_time()
    for letter in "axz":
        validator.is_valid(letter * 32_000 + "!")
    assert time.process_time() - before < 0.5


def test_the_validator_itself_fetches_nothing_either():
    with pytest.raises(ValueError, match="may not refer"):
        compiled({"$ref": "http://127.0.0.1:9/schema.json"})


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_every_format_is_checked(form):
    assert schema_faults({"format": form}) == []
    assert not compiled({"format": form}).is_valid("no such thing at all")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
KEYWORDS = st.sampled_from(
    [
        *("type", "enum", "const", "minimum", "maxLength", "pattern", "format", "items", "properties", "required"),
        *("anyOf", "not", "$ref", "$defs", "patternProperties", "prefixItems", "additionalProperties", "multipleOf"),
        *("uniqueItems", "minItems", "propertyNames", "contains", "nonsense"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(schema=st.dictionaries(KEYWORDS, JSON, max_size=4), value=JSON)
def test_any_schema_is_refused_or_checks_any_value(schema, value):
    if not schema_faults(schema):
        assert compiled(schema).is_valid(value) in (True, False)
