"""`confide demo`: the demo company on the embedded database. `scripts/demo` calls it."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.output import err, fail

DIRECTORY = Path("data/demo")
_PORT = 8000

app = typer.Typer(no_args_is_help=False, invoke_without_command=True)


@app.callback()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Run the tour against the server, print it, and end.")] = False,  # noqa: FBT002
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw the demo's data away and begin again.")] = False,  # noqa: FBT002
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to serve on; another is taken when it is in use.")
    ] = _PORT,
    data: Annotated[Path, typer.Option(help="Where the demo's data lies: a new, an empty or its own directory.")] = (
        DIRECTORY
    ),
) -> None:
    """Try Confide: 2,357 customers of a record shop on the embedded database, served on this machine.

    The first start takes about a minute, later ones seconds.

    With --once it runs the tour of the README and ends: with 0 if every answer was as promised, otherwise with 1.

    Example: confide demo --once
    """
    from server.cli import demo_data  # noqa: PLC0415 - see below
    from server.demo.errors import DemoDirectoryError  # noqa: PLC0415 - see below

    directory = data.absolute()
    try:
        demo_data.claim(directory, fresh=fresh)
    except DemoDirectoryError as error:
        fail(error)
        raise typer.Exit(2) from None
    # What serves takes a second to import; a directory that is refused is refused before that.
    from server.cli import demo_run  # noqa: PLC0415 - see above

    faults = demo_run.run(directory, port, once=once)
    for fault in faults:
        err.print(f"Not as promised: {fault}")
    if faults:
        raise typer.Exit(1)
    if once:
        err.print("Everything was as promised.")
