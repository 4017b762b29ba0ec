"""`confide audit witness`: a small witness for the access logs of other deployments, run where theirs have no hand."""

import asyncio
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from server.cli.output import err, out
from server.logs import configure
from server.settings import Settings, load_settings

_KEYS_FILE = "witness.keys"


def witness(
    logs: Annotated[
        list[str], typer.Option("--log", help="A log's public key, as `confide audit key` prints it; any number.")
    ],
    directory: Annotated[
        Path, typer.Option("--dir", help="Where it keeps what it signed, and its key; made where missing.")
    ] = Path(".confide-witness"),
    name: Annotated[str, typer.Option(help="The name that it signs under.")] = "witness",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8400,
) -> None:
    """Run a witness (C2SP tlog-witness): it signs a log's checkpoint only when that follows from the last it signed.

    Prints its public key; give that to the deployment as CONFIDE_WITNESS_KEY, and the address as CONFIDE_WITNESS_URL.
    Its own key is sealed under this machine's root key (CONFIDE_ROOT_KEY, by default a file in the directory).

    Example: confide audit witness --dir /var/lib/witness --log 'confide.audit/main+1f0c…+Aa…'
    """
    settings = load_settings()
    if settings.root_key is None:
        settings = settings.model_copy(update={"data_dir": directory})
    configure(settings.log_level)
    asyncio.run(_serve(settings, directory, name, logs, host, port))


async def _serve(settings: Settings, directory: Path, name: str, logs: Sequence[str], host: str, port: int) -> None:
    import uvicorn  # noqa: PLC0415 - only where it is served

    from audit import KeyKind, SigningKey, SigningKeys, VerifierKey  # noqa: PLC0415 - as above
    from server.clock import utc_now  # noqa: PLC0415 - as above
    from server.http import listen  # noqa: PLC0415 - as above
    from server.root_keys import open_root_key  # noqa: PLC0415 - as above
    from server.witness import log_of, witness_app  # noqa: PLC0415 - as above

    trusted: dict[str, list[VerifierKey]] = {}
    for text in logs:
        key = VerifierKey.parse(text.strip())
        trusted.setdefault(log_of(key), []).append(key)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = SigningKeys(directory / _KEYS_FILE, name, [open_root_key(settings)], random=os.urandom)
    if not keys.path.exists():
        await keys.create()
    seed = (await keys.load()).current.seed
    signing = SigningKey.from_seed(f"confide.witness/{name}", seed, KeyKind.COSIGNATURE)
    app = witness_app(directory / "signed", key=signing, logs=trusted, now=utc_now)
    listening = listen(settings.model_copy(update={"host": host, "port": port}))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off")
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: setattr(server, "should_exit", True))
    out.print(str(signing.verifier), markup=False, soft_wrap=True)
    address, number = listening.getsockname()[:2]
    err.print(f"Witnessing {len(trusted)} log(s) at http://{address}:{number}")
    await server.serve([listening])
