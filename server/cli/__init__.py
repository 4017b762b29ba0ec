"""The command line: `confide`, verbs first. Every command has `--help` with an example.

Exit codes: 0 it is done; 1 it failed, and why is on standard error; 2 it was called wrongly; 3 it found something
(`confide policy check` with findings, `confide import` with rejected rows).
"""

from server.cli.app import main

__all__ = ["main"]
