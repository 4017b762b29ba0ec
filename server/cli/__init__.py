"""The command line: `confide`, verbs first. Every command has `--help` with an example.

Exit codes: 0 it is done; 1 it failed, and why is on standard error; 2 it was called wrongly; 3 it found something
(`confide policy check` with findings, `confide import` with rejected rows); 130 it was told to stop.
"""

import gc
import sys
from typing import Final

__all__ = ["main"]

_YOUNG: Final = 50_000


def main() -> None:
    """Run the command line."""
    # What is imported stays, and would be walked again and again while more of it comes: a tenth of a start.
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
    try:
        from server.cli import app  # noqa: PLC0415 - so that Ctrl-C while it is imported is no trace
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        sys.exit(130)
    app.main()
