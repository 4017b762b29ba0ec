"""Puts the commands together, and turns what they raise into one line and an exit code."""

import sys
from typing import Annotated

import typer
from pymongo.errors import PyMongoError

from audit import AuditError
from customers.errors import CustomersError
from policies import PoliciesError
from server.cli import demo, erase, importing, keys, policy, serve, tokens
from server.cli.output import fail
from server.errors import ServerError
from vault import VaultError

EXPECTED = (AuditError, CustomersError, PoliciesError, PyMongoError, ServerError, VaultError)

app = typer.Typer(
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
app.add_typer(demo.app, name="demo")


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,  # noqa: FBT002
) -> None:
    """Confide, the customer database platform that keeps confidences."""
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415 - only when asked

        typer.echo(installed("confide"))
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    try:
        app()
    except EXPECTED as error:
        sys.exit(fail(error))
    except KeyboardInterrupt:
        sys.exit(130)
