"""Our top-level names are generic, so nothing else that is installed may own one (decision 0003)."""

import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("server", "schema", "customers", "vault", "policies", "audit")


def owners(name: str) -> list[str]:
    """The distributions that put files under a top-level name, whether or not they declare it."""
    return [
        distribution.name
        for distribution in importlib.metadata.distributions()
        if distribution.name != "confide"
        and any(file.parts[0] in (name, f"{name}.py") for file in distribution.files or ())
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_package_of_ours_is_ours(name):
    assert owners(name) == []
    assert Path(importlib.import_module(name).__file__).is_relative_to(ROOT)


def test_a_name_that_others_own_would_be_found():
    assert owners("starlette") == ["starlette"]
    assert "pytest" in owners("pytest")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-demo.lock", "requirements-dev.lock"])
def test_no_lock_brings_a_distribution_of_one_of_our_names(lock):
    pinned = {
        line.partition("==")[0].strip().lower() for line in (ROOT / lock).read_text().splitlines() if "==" in line
    }
    assert "starlette" in pinned
    assert pinned.isdisjoint(NAMES)
