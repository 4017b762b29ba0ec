"""`confide audit`: sign, prove, export and verify the access log."""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import typer

from audit import (
    AccessQuery,
    AuditError,
    BundleFault,
    BundleForm,
    EntryId,
    Kind,
    LogCheck,
    Outcome,
    Verdict,
    Verification,
    VerifierKey,
    VerifierKeyInvalidError,
    check_log,
    export_bundle,
    verify_bundle,
)
from customers.access import Access
from customers.oversight.history import search_filters
from server.audit_log import SignedLog, open_signed_log
from server.cli.impact import impact
from server.cli.instants import instant
from server.cli.output import err, out, print_json, progress
from server.cli.receipts import key_text, verify_certificate, verify_receipt
from server.cli.recording import record
from server.cli.running import operator, with_platform
from server.cli.stopping import until_told
from server.cli.witness import witness
from server.logs import configure
from server.platform import Platform
from server.settings import load_settings

T = TypeVar("T")
_BAD_KEY = 3
app = typer.Typer(no_args_is_help=True, help="Sign, prove, export and verify the access log.")


def _with_log(work: Callable[[SignedLog], Coroutine[Any, Any, T]]) -> T:
    configure("WARNING")
    try:
        return asyncio.run(until_told(open_signed_log(load_settings()), work))
    except asyncio.CancelledError:  # by SIGTERM
        raise KeyboardInterrupt from None


app.command("witness")(witness)
app.command("impact")(impact)
app.command("verify-receipt")(verify_receipt)
app.command("verify-certificate")(verify_certificate)


@app.command("checkpoint")
def checkpoint() -> None:
    """Sign the log as it is now, and give the signed list to the witness directory.

    Example: confide audit checkpoint
    """

    async def work(log: SignedLog) -> tuple[int, int, int]:
        roster = await log.checkpointer.checkpoint()
        return roster.sequence, len(roster.entries), sum(entry.size for entry in roster.entries)

    sequence, shards, entries = _with_log(work)
    out.print(f"Roster {sequence} is signed: {entries} entries in {shards} shards.")


@app.command("key")
def key() -> None:
    """Print the public key that the log is signed with; give it to your auditors, and to nobody through this server.

    Example: confide audit key > audit.pub
    """

    async def work(log: SignedLog) -> str:
        return str((await log.keys.load()).current.verifier)

    out.print(_with_log(work), markup=False)


@app.command("rotate-key")
def rotate_key() -> None:
    """Change the signing key; the last list of the old one and the change are signed by both, so trust carries over.

    Recorded in the log first.

    Example: confide audit rotate-key
    """

    async def work(platform: Platform) -> None:
        await record(platform, "confide audit rotate-key")
        log = platform.signed
        log.checkpointer.on_unwitnessed = lambda error: err.print(
            f"Changed, but: {error}. The next checkpoint goes on.", markup=False
        )
        before = (await log.keys.load()).current.verifier
        try:
            new = (await log.checkpointer.rotate_key()).new
        except AuditError:
            err.print(
                f"It may be changed all the same. If `confide audit key` no longer prints {before}, it is.",
                markup=False,
            )
            raise
        out.print(str(new), markup=False)

    with_platform(work)
    err.print("Changed. Auditors may go on trusting the old key: the change is in every export.")
    err.print("An HTTP witness signs again when its operator has given it the new key, beside the old one.")


@app.command("adopt-witness")
def adopt_witness() -> None:
    """Make an empty witness directory the log's witness. What was cut off before, it cannot show.

    Recorded in the log.

    Example: CONFIDE_WITNESS_DIR=/mnt/worm/witness confide audit adopt-witness
    """

    async def work(log: SignedLog) -> None:
        await log.checkpointer.adopt_witness()

    _with_log(work)
    # Before, the log could not be opened for adding to it: that is what a witness is for.
    with_platform(lambda platform: record(platform, "confide audit adopt-witness"))
    err.print("Adopted.")


@app.command("check")
def check(
    records: Annotated[  # noqa: FBT002 - an option of a command line
        bool, typer.Option("--records", help="Recompute everything that is stored, too; this takes a while.")
    ] = False,
) -> None:
    """Compare the database with its witnesses.

    Exits with 1 when the log is behind one, or another log; and when one cannot be asked, or lacks what was signed. With
    --records also when anything that is stored is not what was written, and says what is wrong where.

    Example: confide audit check --records
    """
    told: list[AuditError] = []

    async def work(log: SignedLog) -> tuple[int | None, LogCheck | None]:
        log.checkpointer.on_unwitnessed = told.append
        if not records:
            roster = await log.checkpointer.check_witness()
            return None if roster is None else roster.sequence, None
        with progress("Checking shards") as advance:
            checked = await check_log(log.reader, log.rosters, log.keys, log.checkpointer, progress=advance)
        return None if checked.newest is None else checked.newest.sequence, checked

    sequence, checked = _with_log(work)
    for error in told:
        err.print(f"confide: {error}", markup=False)
    for fault in () if checked is None else checked.faults:
        out.print(fault, markup=False)
    if told or (checked is not None and not checked):
        raise typer.Exit(1)
    out.print("The witness has seen nothing yet." if sequence is None else f"The log holds all of roster {sequence}.")


@app.command("receipt")
def receipt(
    entry: Annotated[str, typer.Argument(help="The entry's id, as `extensions.privacy` gives it.")],
    to: Annotated[Path | None, typer.Option("--to", help="The file to write; by default ENTRY.tlog-proof.")] = None,
) -> None:
    """Write the proof that an entry is in the log (C2SP tlog-proof), to be checked offline with the log's public key.

    A receipt holds the whole entry, so it is recorded in the log as an export.

    Example: confide audit receipt 8c0f1e2d3a4b.17
    """
    place = EntryId.parse(entry)

    async def work(platform: Platform) -> bytes:
        await platform.log.get(place)
        await platform.exports.record(_access(platform, "confide audit receipt"))
        return await platform.signed.checkpointer.receipt(place)

    path = to or Path(f"{entry}.tlog-proof")
    _require_new(path)
    proof = with_platform(work)
    with _new_file(path) as file:
        file.write(proof)
    err.print(f"Wrote {path}.")


@app.command("export")
def export(
    to: Annotated[Path, typer.Argument(help="The bundle to write, a ZIP file.")],
    form: Annotated[
        BundleForm, typer.Option("--format", help="What it holds besides the records.")
    ] = BundleForm.JSONL,
    actor: Annotated[str | None, typer.Option(help="Only what this actor did.")] = None,
    role: Annotated[str | None, typer.Option(help="Only in this role.")] = None,
    client: Annotated[str | None, typer.Option(help="Only through this application.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Only for this purpose.")] = None,
    case: Annotated[str | None, typer.Option(help="Only for this case.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only entries of this kind.")] = None,
    field: Annotated[str | None, typer.Option(help="Only what touched this field.")] = None,
    decision: Annotated[
        Verdict | None, typer.Option(help="Only where something, or --field, left in this way.")
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only what ended so.")] = None,
    policy_version: Annotated[str | None, typer.Option(help="Only what this version of the policy decided.")] = None,
    since: Annotated[
        datetime | None, typer.Option(parser=instant, metavar="TIME", help="From this moment on, such as 2026-05-14.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(parser=instant, metavar="TIME", help="Before this moment.")
    ] = None,
) -> None:
    """Export the log, or a part of it, with everything that proves it. A checkpoint is made first.

    Recorded in the log before the first byte is written. Beside a running server with the embedded engine, use the
    console or `exportAccessLog`: one process at a time uses that.

    Example: confide audit export may.zip --format csv --since 2026-05-01
    """
    query = AccessQuery(
        actor=actor,
        role=role,
        client=client,
        purpose=purpose,
        case=case,
        kind=kind,
        field=field,
        decision=decision,
        outcome=outcome,
        policy_version=policy_version,
        since=since,
        until=until,
    )
    _require_new(to)

    async def work(platform: Platform) -> tuple[int, str]:
        await platform.exports.record(_access(platform, "confide audit export"), search_filters(query))
        await platform.signed.checkpointer.checkpoint()
        with progress("Exporting") as advance, _new_file(to) as file:
            manifest = await export_bundle(
                platform.signed.reader,
                platform.signed.rosters,
                file,
                now=platform.now,
                query=query,
                form=form,
                progress=lambda told: advance(told.read, told.of),
            )
        return sum(shard.records for shard in manifest.shards), manifest.created

    count, created = with_platform(work)
    err.print(f"Wrote {count} records to {to}. Verify it with:", markup=False)
    key = "--key AUDIT.PUB" if query == AccessQuery() else "--key AUDIT.PUB --filtered"
    err.print(f"  confide audit verify {to} {key}", markup=False, soft_wrap=True)
    err.print("or, beside the witness, which has heard more since:")
    words = f"--witness DIRECTORY --as-of {created}"
    err.print(f"  confide audit verify {to} {key} {words}", markup=False, soft_wrap=True)


def _require_new(path: Path) -> None:
    if path.exists():
        raise FileExistsError(errno.EEXIST, "there is such a file already; choose another name", str(path))


def _new_file(path: Path) -> BinaryIO:
    """A file that nobody else may read: it holds whole entries."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def _access(platform: Platform, operation: str) -> Access:
    """What leaves by these commands, leaves as it would for an auditor."""
    return platform.access(operator(), ("auditor",), "audit", operation=operation)


@app.command("verify")
def verify(
    bundle: Annotated[Path, typer.Argument(help="The exported bundle.", exists=True, dir_okay=False)],
    key: Annotated[str, typer.Option(help="The trusted public key: a file, or the text itself.")],
    witness: Annotated[Path | None, typer.Option(help="A witness directory to compare with.")] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(
            parser=instant, metavar="TIME", help="When the bundle was made: the witness may know more since."
        ),
    ] = None,
    filtered: Annotated[  # noqa: FBT002
        bool, typer.Option("--filtered", help="A part of the log was asked for; else every entry must be there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Say whether a bundle is what the log signed, and if not, what is wrong where. Reads no database.

    Exits with 0 when nothing is wrong, 1 when something is, 2 when the file cannot be read as a bundle, 3 when the key
    is none, 4 when nothing is wrong with what is there, but it is filtered and --filtered was not said.

    Example: confide audit verify may.zip --key audit.pub --witness /mnt/worm/witness
    """
    try:
        trusted = VerifierKey.parse(key_text(key))
    except VerifierKeyInvalidError as error:
        err.print(f"confide: --key: {error}", markup=False)
        raise typer.Exit(_BAD_KEY) from None
    with progress("Verifying") as advance:
        verdict = verify_bundle(
            bundle, str(trusted), witness=witness, as_of=as_of, filtered=filtered, progress=advance
        )
    if as_json:
        print_json({"ok": verdict.exit_code == 0, "witness": witness, **asdict(verdict)})
    else:
        for line in _said(verdict, witness):
            out.print(line, markup=False, soft_wrap=True)
    raise typer.Exit(verdict.exit_code)


def _said(verdict: Verification, witness: Path | None) -> Iterator[str]:
    """The verdict in words. What the manifest says goes through `ascii`: it can say nothing to a terminal."""
    for fault in verdict.faults:
        yield f"{fault.kind}: {fault.member}{_place(fault)}: {fault.sentence}"
    if not verdict.ok:
        yield f"NOT OK: {len(verdict.faults)}{' or more' if verdict.more else ''} faults."
        return
    asked = ", ".join(f"{name} {value!a}" for name, value in verdict.filter.items())
    yield (
        f"{'FILTERED' if verdict.exit_code else 'OK'}: {verdict.records} records of {verdict.leaves} entries in "
        f"{verdict.shards} shards, {verdict.rosters} rosters, signed up to {verdict.newest}."
    )
    yield (
        "FULL: no entry is missing up to there."
        if verdict.full
        else f"FILTERED by {asked}: each record is proved; that none was left out is not proved."
    )
    if verdict.exit_code:
        yield "A filtered bundle is not what an export of the whole log is: say --filtered if that is what you asked for."
    if witness is None:
        yield "No witness was compared: whether the end was cut off is not known."
        return
    follow = ", and they follow" if verdict.newer else ""
    yield f"Compared with the {verdict.witnessed} rosters that the witness {str(witness)!a} has of it."
    yield f"The witness has {verdict.newer} newer rosters{follow}."


def _place(fault: BundleFault) -> str:
    """Where in its member a fault is."""
    parts = {"shard": fault.shard, "entry": fault.index, "line": fault.line, "roster": fault.sequence}
    known = [f"{name} {value}" for name, value in parts.items() if value is not None]
    return f" ({', '.join(known)})" if known else ""
