"""Puts the commands together, and turns what they raise into one line and an exit code."""

import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from server.cli import audit, demo, erase, importing, keys, policy, serve, tokens
from server.cli.expected import EXPECTED
from server.cli.output import err, fail

_STOPPED = 130


class _Commands(TyperGroup):
    """The commands; each that is told to stop says so, and ends with 130."""

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
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("token")(tokens.token)
app.command("revoke")(tokens.revoke)
app.command("import")(importing.import_file)
app.command("erase")(erase.erase)
app.add_typer(tokens.accounts, name="accounts")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")
app.add_typer(audit.app, name="audit")
app.add_typer(demo.app, name="demo")


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
    except EXPECTED as error:
        sys.exit(fail(error))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
