"""Puts the commands together, and turns what they raise into one line and an exit code.

Nothing of the platform is imported here: a command is when it is run, and the failures it may raise when it fails.
"""

import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from server.cli.lazy import LazyCommands, Place
from server.cli.output import err, fail

_STOPPED = 130

# In the order in which they are listed. A test holds the words against the commands' own.
COMMANDS = {
    "serve": Place(
        "server.cli.serve",
        "serve",
        "Serve the API, with a worker inside, until SIGTERM or Ctrl-C; requests in flight are finished.",
    ),
    "worker": Place(
        "server.cli.serve",
        "worker",
        "Run background work only, beside servers on the same databases and the same key ring.",
    ),
    "token": Place(
        "server.cli.tokens",
        "token",
        "Issue a token of the local issuer and print it. For laptops and tests; production has its own issuer.",
    ),
    "revoke": Place(
        "server.cli.tokens", "revoke", "Revoke tokens. When this returns, the next request everywhere feels it."
    ),
    "import": Place(
        "server.cli.importing",
        "import_file",
        "Import profiles, orders, tickets or events. What is imported again is not made twice.",
    ),
    "erase": Place(
        "server.cli.erase",
        "erase",
        "Erase a customer for ever: destroy their key, then remove what is left. No backup brings them back.",
    ),
    "retention": Place(
        "server.cli.retention",
        "app",
        "Remove what is kept for no purpose any longer: people, events, parts of records.",
    ),
    "requests": Place(
        "server.cli.requests", "app", "Privacy requests: what is due, what was asked, and answering it."
    ),
    "recipients": Place(
        "server.cli.recipients",
        "app",
        "Recipients of personal data, who are told when it is rectified, erased or restricted.",
    ),
    "accounts": Place("server.cli.tokens", "accounts", "Service accounts of client applications."),
    "staff": Place("server.cli.staff", "app", "People of the company who sign in to the console."),
    "documents": Place(
        "server.cli.documents",
        "app",
        "Trusted documents: the GraphQL documents your own apps send, so that requests may name them by their hash.",
    ),
    "sources": Place("server.cli.sources", "app", "Sources of events: web shops, apps, tills; and their write keys."),
    "keys": Place("server.cli.keys", "app", "Rotate, back up and look at the keys."),
    "plans": Place(
        "server.cli.plans", "app", "Check, put and show tracking plans, and list what was not as they say."
    ),
    "quality": Place(
        "server.cli.quality",
        "app",
        "Report on the quality of the data: what is missing, wrong, out of date or there twice.",
    ),
    "identity": Place(
        "server.cli.identity", "app", "Find profiles that are one person though no identifier says so."
    ),
    "enrich": Place(
        "server.cli.enrichment", "app", "Add values that other sources know, each with where it is from."
    ),
    "policy": Place("server.cli.policy", "app", "Check, explain and show the policies."),
    "audit": Place("server.cli.audit", "app", "Sign, prove, export and verify the access log."),
    "demo": Place(
        "server.cli.demo",
        "app",
        "Try Confide: 2,357 customers of a record shop on the embedded database, served on this machine.",
    ),
}


class _Commands(TyperGroup):
    """The commands; each that is told to stop says so, and ends with 130."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._lazy = LazyCommands(COMMANDS)
        self.commands = self._lazy
        self._listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(self._lazy)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self._lazy.listed(cmd_name) if self._listing else super().get_command(ctx, cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            err.print("Stopped.")
            raise typer.Exit(_STOPPED) from None


app = typer.Typer(
    cls=_Commands,
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Confide, the customer database platform that keeps confidences.",
    epilog="Settings come from the environment (CONFIDE_…): see docs/settings.md.",
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - the form of an option's callback
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - only when asked

        typer.echo(version("confide"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and end.")
    ] = False,
) -> None:
    """Confide, the customer database platform that keeps confidences."""


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _interrupt)  # the same as Ctrl-C: what runs is stopped, and cleaned up after
    try:
        app()
    except Exception as error:
        from server.cli.expected import EXPECTED  # noqa: PLC0415 - everything that may fail takes a second to import

        if not isinstance(error, EXPECTED):
            raise
        sys.exit(fail(error))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
