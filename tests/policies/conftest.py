"""The packaged policy, and a way to load it with something changed."""

import pytest

from policies.loading import build
from policies.source import read_sources


@pytest.fixture(scope="session")
def packaged():
    return read_sources()


@pytest.fixture(scope="session")
def shipped(packaged):
    return build(packaged)


@pytest.fixture
def with_rules(packaged):
    """A policy with exactly these rules, over the packaged catalogue, purposes and roles; it keeps nothing by law."""

    def load(*lines):
        return build({**packaged, "rules.csv": "\n".join(lines).encode(), "retention.toml": b""})

    return load
