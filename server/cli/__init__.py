"""The command line: `confide`, verbs first. Every command has `--help` with an example.

Exit codes: 0 it is done; 1 it failed, and why is on standard error; 2 it was called wrongly; 3 it found something
(`confide policy check` with findings, `confide import` with rejected rows); 130 it was told to stop.
"""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from server.cli import app  # noqa: PLC0415 - so that Ctrl-C while it is imported is no trace
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        sys.exit(130)
    app.main()
