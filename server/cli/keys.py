"""`confide keys`: rotation, backup and status of what seals every customer's data."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from customers.rights.reconcile import Reconciler, Reconciliation
from server.audit_log import signing_keys
from server.cli.output import err, out, print_json, progress
from server.cli.recording import record
from server.cli.running import with_platform
from server.platform import Platform
from server.root_keys import open_root_key
from vault import Epoch

_MOST_REMOVED = 0.2

app = typer.Typer(no_args_is_help=True, help="Rotate, back up and look at the keys.")
rotate = typer.Typer(no_args_is_help=True, help="Replace a key; what it replaces is refused when it is done.")
app.add_typer(rotate, name="rotate")


@app.command("status")
def status(as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:  # noqa: FBT002
    """Show the key ring: its version, where its root key is, erasures, rotations under way.

    Example: confide keys status --json
    """

    async def work(platform: Platform) -> dict[str, object]:
        return asdict(await platform.vault.status())

    found = with_platform(work)
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        out.print(f"{name.replace('_', ' '):<16} {_words(value)}", markup=False)


def _words(value: object) -> str:
    """A value of the status, as people read it; of a ring, its names and numbers."""
    if isinstance(value, dict):
        return " ".join(f"{name.replace('_', ' ')} {held}" for name, held in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(_words, value)) or "none"
    return str(value)


@app.command("backup")
def backup(
    destination: Annotated[Path, typer.Argument(help="The file to write; the backup that is there is destroyed.")],
) -> None:
    """Write a backup of the key ring: the newest only, because an older one could undo erasures.

    The root key is not in it; keep that elsewhere. Example: confide keys backup /mnt/safe/key.ring
    """

    async def work(platform: Platform) -> Path:
        path = await platform.vault.backup(destination)
        await record(platform, "confide keys backup")
        return path

    err.print(f"Wrote {with_platform(work)}. Destroy every older copy.")


@app.command("reconcile")
def reconcile(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
    force: Annotated[bool, typer.Option("--force", help="Also above a fifth of all profiles.")] = False,  # noqa: FBT002
) -> None:
    """After the key store had to be restored from an old backup: remove what it does not know, so that Confide starts.

    Removes profiles, orders, tickets, consents and identifiers of customers without a key record. Nobody can read
    them, but a newer backup of the key store still could: restore that instead, if there is one. Stop every process
    first. Says how many profiles it is about, then asks. Recorded in the access log.

    Example: confide keys reconcile
    """
    found = with_platform(_count, replay=False)
    err.print(
        f"{found.without_key} of {found.profiles} profiles have no key record. {found.others} more customers without "
        f"one have left something behind. The key store does not know {found.tombstones} erasures."
    )
    if not found:
        err.print("There is nothing to do.")
        return
    if found.share > _MOST_REMOVED and not force:
        err.print(
            "That is more than a fifth of all profiles, so nothing was removed: look for a newer backup of the key "
            "store, and see that CONFIDE_MONGO_URI and CONFIDE_KEYS_URI are those of one deployment. Else add --force."
        )
        raise typer.Exit(1)
    if not yes:
        typer.confirm("This cannot be undone. Remove them?", abort=True)

    async def work(platform: Platform) -> Reconciliation:
        await _require_alone(platform)
        await record(platform, "confide keys reconcile")
        with progress("Removing") as advance:
            return await Reconciler(platform.main, platform.vault, platform.services.eraser).remove(advance)

    done = with_platform(work, replay=False)
    err.print(
        f"Removed {done.without_key} profiles, and what {done.others} more customers had left behind. The key store "
        f"knows {done.tombstones} more erasures."
    )


async def _count(platform: Platform) -> Reconciliation:
    await _require_alone(platform)
    with progress("Counting") as advance:
        return await Reconciler(platform.main, platform.vault, platform.services.eraser).count(advance)


async def _require_alone(platform: Platform) -> None:
    """Return when no other process of the deployment runs; one that was killed is waited for until its lease is over."""
    fleet = platform.vault.fleet
    await fleet.advance(Epoch.REVOCATIONS)
    if len(await fleet.processes()) > 1:
        err.print("Another process of this deployment is running: stop every one of them first.")
        raise typer.Exit(1)


@rotate.command("root")
def rotate_root(
    to: Annotated[str | None, typer.Option("--to", help="The new root key, in the form of CONFIDE_ROOT_KEY.")] = None,
) -> None:
    """Seal the key ring under another root key. Afterwards set CONFIDE_ROOT_KEY to it: the old one is refused.

    Without --to the ring is sealed anew under the same root key, as after a rotation inside a key service.

    Example: confide keys rotate root --to env:NEW_ROOT_KEY
    """

    async def work(platform: Platform) -> None:
        new = open_root_key(platform.settings, text=to)
        await platform.vault.rotate_root(new)
        log_keys = signing_keys(platform.settings, new)
        if log_keys.path.exists():
            await log_keys.reseal()
        await record(platform, "confide keys rotate root")

    with_platform(work)
    err.print("Done. The old root key no longer opens the key ring." if to else "Done.")


@rotate.command("ring")
def rotate_ring() -> None:
    """Make a new key ring and wrap every customer's key anew, online. Run it again to go on after an interruption.

    Example: confide keys rotate ring
    """

    async def work(platform: Platform) -> None:
        with progress("Rewrapping") as advance:
            await platform.vault.rotate_ring(advance)
        await record(platform, "confide keys rotate ring")

    with_platform(work)
    err.print("Done. The old key ring is gone. Back up the new one now: confide keys backup PATH")


@rotate.command("index")
def rotate_index() -> None:
    """Compute every blind index entry anew under a new key. Run it again to go on after an interruption.

    Opens the identifiers of every customer in memory, which is recorded. Example: confide keys rotate index
    """

    async def work(platform: Platform) -> None:
        await record(platform, "confide keys rotate index")
        total = await platform.services.writer.count()
        with progress("Indexing", total) as advance:
            await platform.vault.rotate_index(_entries(platform), total=total, progress=advance)
            advance(total)  # who was erased or came meanwhile counts for nothing
        await platform.matching.index.drop_old()  # made anew by the next search for profiles that are one person

    with_platform(work)
    err.print("Done. The old index key is gone.")


async def _entries(platform: Platform) -> AsyncIterator[tuple[str, Sequence[tuple[str, str]]]]:
    async for customer_id, identifiers in platform.services.writer.all_identifiers():
        yield customer_id, [(each.type.value, each.value) for each in identifiers]
