"""The compiled executor is a part of its own: what it imports is all that it may ever import."""

import ast
import sys
from pathlib import Path

import schema.execution

ALLOWED = {"graphql", "strawberry", "msgspec"}


def imported(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ("." * node.level) + (node.module or "")


def strangers(text):
    return {
        name
        for name in imported(text)
        if name.partition(".")[0] not in ALLOWED | sys.stdlib_module_names and not name.startswith("schema.execution")
    }


def test_the_executor_imports_graphql_core_strawberry_msgspec_and_the_standard_library():
    files = list(Path(schema.execution.__file__).parent.rglob("*.py"))
    assert len(files) > 5
    assert {file.name: found for file in files if (found := strangers(file.read_text()))} == {}


def test_another_import_would_be_seen():
    planted = "import json, orjson\nfrom schema import errors\nfrom . import plain\ndef f():\n    import vault.slot\n"
    assert strangers(planted) == {"orjson", "schema", ".", "vault.slot"}
