"""Each import contract holds, and each would notice a breach: a copy of the code with one planted import is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("server", "schema", "customers", "vault", "policies", "audit")
BREACHES = {
    "Imports run one way": ("vault/slot.py", "import customers.caller"),
    "Areas of customers have an order": ("customers/identity/model.py", "import customers.profiles.draft"),
    "The compiled executor knows nothing of Confide": ("schema/execution/leaves.py", "import schema.errors"),
    "The database driver is chosen in one place": ("schema/paging.py", "import pymongo"),
    "Of the access log only signing knows the cipher library": ("audit/reader.py", "import cryptography.fernet"),
    "Of the vault only the envelope knows the cipher library": ("vault/keys.py", "import cryptography.fernet"),
}


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def checked(directory: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=directory, capture_output=True, text=True, check=False)


def test_the_code_as_it_is_keeps_every_contract(copy):
    done = checked(copy)
    assert done.returncode == 0, done.stdout
    assert f"{len(BREACHES)} kept, 0 broken" in done.stdout


@pytest.mark.parametrize(("contract", "breach"), BREACHES.items())
def test_a_planted_import_breaks_its_contract(copy, contract, breach):
    name, line = breach
    file = copy / name
    file.write_text(f"{file.read_text()}\n{line}\n")
    done = checked(copy)
    assert done.returncode == 1
    assert f"{contract} BROKEN" in done.stdout
