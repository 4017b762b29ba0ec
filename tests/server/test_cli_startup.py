"""Help is there at once: what a command needs is imported when that command is run, and not before."""

import json
import subprocess
import sys

import pytest
import typer

from server.cli.app import COMMANDS, app

HEAVY = ("pymongo", "strawberry", "casbin", "cryptography", "graphql", "vault", "server.platform")
LOOK = """
import json, resource, sys
sys.argv = ["confide", *json.loads(sys.argv[1])]
from server.cli import main
try:
    main()
except SystemExit as end:
    code = end.code
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([code, sorted(sys.modules), used.ru_utime + used.ru_stime]), file=sys.stderr)
"""


def looked(*words):
    """How the command ended, what it printed, what was imported by then, and the seconds of processor it took."""
    ended = subprocess.run(
        [sys.executable, "-c", LOOK, json.dumps(words)], capture_output=True, text=True, check=False, timeout=60
    )
    code, modules, seconds = json.loads(ended.stderr.splitlines()[-1])
    return code, ended.stdout, set(modules), seconds


@pytest.mark.parametrize("words", [("--help",), (), ("--version",), ("explode",)], ids=" ".join)
def test_help_imports_nothing_of_the_platform(words):
    code, said, modules, seconds = looked(*words)
    assert code == (2 if words in {(), ("explode",)} else 0)
    assert not modules.intersection(HEAVY)
    if words == ("--help",):
        assert all(f"│ {name} " in said for name in COMMANDS)
        assert seconds < 0.8  # measured 0.25; of a machine that is busy with other things


def test_a_command_that_needs_the_platform_imports_it():
    """Negative control."""
    code, _, modules, _ = looked("erase", "--help")
    assert code == 0
    assert modules.issuperset(HEAVY[:4])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_command_says(name):
    command = typer.main.get_command(app).commands[name]
    assert command.help.split("\n\n")[0].replace("\n", " ").strip() == COMMANDS[name].help
