"""`confide serve` and `confide worker`: processes that run until they are told to stop."""

import asyncio
import logging
import signal
import socket
from typing import Annotated

import typer

from server.embedded import stopping_with
from server.http import listen, serve_until
from server.logs import configure
from server.platform import Platform, open_platform
from server.settings import Settings, load_settings
from server.worker import working
from vault import LeaseLostError


def serve(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; by default CONFIDE_PORT.")] = None,
    development: Annotated[bool, typer.Option("--development", help="Serve GraphiQL and introspection.")] = False,  # noqa: FBT002
) -> None:
    """Serve the API, with a worker inside, until SIGTERM or Ctrl-C; requests in flight are finished.

    Example: CONFIDE_MONGO_URI=mongodb://db/?replicaSet=rs0 confide serve
    """
    settings = load_settings()
    changes: dict[str, object] = {} if port is None else {"port": port}
    if development:
        changes["development"] = True
    _run(settings.model_copy(update=changes), http=True)


def worker() -> None:
    """Run background work only, beside servers on the same databases and the same key ring.

    Example: confide worker
    """
    _run(load_settings(), http=False)


def _run(settings: Settings, *, http: bool) -> None:
    configure(settings.log_level)
    # It narrates every load of the policies.
    logging.getLogger("casbin").setLevel(max(logging.WARNING, logging.getLogger().level))

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        # Taken first: what keeps it from listening is said before anything is opened.
        listening = listen(settings) if http else None
        async with (
            open_platform(settings, answering=http) as platform,
            working(platform),
            stopping_with(platform.engine, stop),
        ):
            await _until(platform, stop, listening)

    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(run())


async def _until(platform: Platform, stop: asyncio.Event, listening: socket.socket | None) -> None:
    """Serve until told to stop, or until this process lost its lease for good and must not go on."""
    lost = asyncio.create_task(platform.vault.fleet.lost.wait(), name="lease")
    lost.add_done_callback(lambda _: stop.set())
    try:
        if listening is not None:
            await serve_until(platform, stop, listening=listening)
        else:
            await stop.wait()
    finally:
        gone = lost.done()
        lost.cancel()
    if gone:
        raise LeaseLostError("this process lost its lease on the keys and has ended")


def _loop() -> asyncio.AbstractEventLoop:
    import uvloop  # noqa: PLC0415 - has no effect at import, and is not on every system

    return uvloop.new_event_loop()
