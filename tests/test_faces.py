"""The public faces of the packages are frozen: what others may import changes on purpose or not at all.

To change a face on purpose: python -m tests.test_faces
"""

import importlib
import json
from pathlib import Path

import pytest

FROZEN = Path(__file__).with_name("faces.json")
PACKAGES = ("policies", "audit", "vault")


def face(package: str) -> list[str]:
    return sorted(importlib.import_module(package).__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_face_of_a_package_is_the_frozen_one(package):
    assert face(package) == json.loads(FROZEN.read_text())[package]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_face_is_there(package):
    module = importlib.import_module(package)
    assert [name for name in face(package) if not hasattr(module, name)] == []


if __name__ == "__main__":
    FROZEN.write_text(json.dumps({package: face(package) for package in PACKAGES}, indent=2) + "\n")
