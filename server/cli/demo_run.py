"""Loads the demo company, serves it, and runs the tour against it."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from customers.identity.model import IdentifierType
from server.cli import demo_data
from server.cli.expected import EXPECTED
from server.cli.output import err, fail, out, progress
from server.cli.stopping import until_told
from server.demo.cast import CAST, SECOND_OFFICER, customer_token, token_for
from server.demo.errors import DemoError
from server.demo.load import load
from server.demo.tour import FIND, LOG, PROFILE, Stage, Tour, purpose_of
from server.demo.well_known import WELL_KNOWN
from server.demo.writer import PlatformDemoWriter
from server.embedded import stopping_with
from server.http import serve_until
from server.logs import configure
from server.platform import Platform, open_platform
from server.settings import Settings
from server.worker import working

SIZE = 2357
_AT_THE_CONSOLE = "privacy_officer, support_agent, auditor, administrator, data_steward or record_keeper"
_STOPPED = 130


def run(directory: Path, port: int, *, once: bool) -> list[str]:
    """Load what is not there yet, serve, and run the tour or wait to be told to stop; gives what was not as promised.

    Args:
        directory: The demo's own.
        port: The port to serve on.
        once: Whether to run the tour and end.
    """
    configure("WARNING")
    settings = _settings(directory)
    if not demo_data.is_loaded(directory):
        _load_elsewhere(settings)
    try:
        return asyncio.run(_run(settings, port, once=once))
    except _ErasedError:
        # The tour erases its customer for good, so a later one needs her written anew, under a new key.
        _load_elsewhere(settings)
        return asyncio.run(_run(settings, port, once=once))


class _ErasedError(Exception):
    """A customer of the tour is not there any more."""


def _settings(directory: Path) -> Settings:
    """The demo's own settings: all in one directory, whatever the environment says."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("CONFIDE_")}
    for name in kept:
        del os.environ[name]
    try:
        return Settings(data_dir=directory, development=True, log_level="WARNING")
    finally:
        os.environ.update(kept)


def _load_elsewhere(settings: Settings) -> None:
    """Load in a process of its own, so that what only loading needs takes no memory of the server."""
    process = get_context("spawn").Process(target=_load, args=(settings,))
    with _no_interrupts():
        process.start()  # it does not hear Ctrl-C: we do, and tell it
    try:
        process.join()
    except KeyboardInterrupt:
        process.terminate()
        process.join()
        raise
    if process.exitcode == _STOPPED:
        raise KeyboardInterrupt
    if process.exitcode != 0:
        raise DemoError("the demo company could not be loaded; why stands above")


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """What is started in this block never hears of Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _load(settings: Settings) -> None:
    try:
        asyncio.run(_loading(settings))
    except asyncio.CancelledError:
        sys.exit(_STOPPED)
    except EXPECTED as error:
        sys.exit(fail(error))


async def _loading(settings: Settings) -> None:
    configure("WARNING")
    await until_told(open_platform(settings), _written)


async def _written(platform: Platform) -> None:
    """Write the company, or of one that is there the customers whom the tour has erased."""
    from server.demo.asking import ask  # noqa: PLC0415 - see below
    from server.demo.company import company  # noqa: PLC0415 - only this process needs what they import
    from server.demo.keeping import keep  # noqa: PLC0415 - see above

    directory = platform.settings.data_dir
    access = platform.access("demo", ("client_app",), "data_import", operation="confide demo")
    writer = PlatformDemoWriter(platform.services.writer, platform.vault, access)
    if demo_data.is_loaded(directory):
        missing = [name for name in _STARS if await _find(platform, name) is None]
        await load((each for each in company() if each.external_id in missing), writer)
        return
    with progress("Writing customers", SIZE) as advance:
        await load(company(), writer, advance)
    await keep(platform, writer.ids)
    await ask(platform, list(writer.ids.values()))
    demo_data.set_loaded(directory)


async def _run(settings: Settings, port: int, *, once: bool) -> list[str]:
    """Serve, and run the tour or wait to be told to stop."""
    found = _free(port)
    if port not in {found, 0}:
        err.print(f"Port {port} is in use; taking {found}.")
    settings = settings.model_copy(update={"port": found})
    async with open_platform(settings) as platform, working(platform):
        customer = await _find(platform, WELL_KNOWN.consenting)
        if customer is None or await _find(platform, WELL_KNOWN.declining) is None:
            raise _ErasedError
        tokens = {player.role: token_for(platform.issuer, player) for player in CAST}
        tokens["customer"] = customer_token(platform.issuer, customer)
        stage = Stage(
            f"http://{settings.host}:{settings.port}", tokens, customer, token_for(platform.issuer, SECOND_OFFICER)
        )
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with stopping_with(platform.engine, stop), _serving(platform, stop):
            if once:
                return await Tour(stage, out).run()
            _introduce(stage, settings.data_dir)
            await stop.wait()
    return []


@contextlib.asynccontextmanager
async def _serving(platform: Platform, stop: asyncio.Event) -> AsyncIterator[None]:
    """Serve for the length of a block, and stop then; what keeps the server from starting is raised."""
    ready = asyncio.Event()
    serving = asyncio.create_task(serve_until(platform, stop, ready=ready), name="serve")
    starting = asyncio.create_task(ready.wait(), name="ready")
    try:
        await asyncio.wait((serving, starting), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            yield
    finally:
        stop.set()
        starting.cancel()
        await serving


async def _find(platform: Platform, external_id: str) -> str | None:
    return await platform.vault.blind.find(IdentifierType.EXTERNAL_ID, external_id)


def _introduce(stage: Stage, directory: Path) -> None:
    """What to open and what to type."""
    out.print(f"\n[bold]Confide serves {SIZE} customers at {stage.address}[/bold]   (Ctrl-C stops it)\n")
    out.print(f"Console    {stage.address}/console    (sign in with the token of {_AT_THE_CONSOLE})")
    # Letters lead there, and a browser keeps its cookies for one name.
    portal = f"{stage.address.replace('127.0.0.1', 'localhost')}/portal"
    out.print(f"Portal     {portal}     (for customers: sign in with {WELL_KNOWN.consenting_email};")
    out.print(
        f"           the letter with the link and the code is the newest file in {directory / 'mail'})", markup=False
    )
    out.print(f"GraphiQL   {stage.address}/graphiql   (put a token and a purpose under Headers)")
    out.print(f"Data       {directory}   (throw it away with --fresh)", markup=False)
    out.print("Commands   in another terminal, while this one serves; for instance", markup=False)
    out.print(f"           CONFIDE_DATA_DIR={directory} .venv/bin/confide sources list\n", markup=False)
    out.print("Tokens, good for twelve hours:")
    for role, token in stage.tokens.items():
        out.print(f"\n[bold]{role}[/bold] for {purpose_of(role)}", highlight=False)
        out.print(token, markup=False)
    out.print(
        f"\n[bold]a second privacy officer[/bold], {SECOND_OFFICER.subject}: it takes two to erase", highlight=False
    )
    out.print(stage.second_officer, markup=False)
    out.print("\nThree questions to paste:")
    for role, query, variables in (
        ("support_agent", FIND, {"email": WELL_KNOWN.consenting_email}),
        ("marketer", PROFILE, {"id": stage.customer_id}),
        ("auditor", LOG, {}),
    ):
        out.print(f"\n[bold]# {role}[/bold]")
        out.print(_curl(stage, role, query, variables), markup=False)
    out.print(f"\nA customer who wants no marketing, to compare: {WELL_KNOWN.declining_email}", markup=False)


def _curl(stage: Stage, role: str, query: str, variables: dict[str, Any]) -> str:
    body = json.dumps({"query": query, "variables": variables})
    return (
        f"curl -s {stage.address}/graphql -H 'Content-Type: application/json' "
        f"-H 'Authorization: Bearer {stage.tokens[role]}' -H 'Confide-Purpose: {purpose_of(role)}' -d '{body}'"
    )


def _free(port: int) -> int:
    """The port, or a free one where something else listens on it."""
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("there is no free port on this machine")


_STARS = (WELL_KNOWN.consenting, WELL_KNOWN.declining)
