"""`confide audit verify-receipt`: is this entry in the log? With the receipt, the public key, and nothing else."""

import json
from pathlib import Path
from typing import Annotated

import typer

from audit import NoteError, ProofInvalidError, Receipt, VerifierKey, VerifierKeyInvalidError, decode_record
from audit.errors import RecordInvalidError
from server.cli.output import err, out, print_json

_BAD_KEY = 3
_MOST = 1024 * 1024


def verify_receipt(
    receipt: Annotated[Path, typer.Argument(help="The receipt, a .tlog-proof file.", exists=True, dir_okay=False)],
    key: Annotated[str, typer.Option(help="The trusted public key: a file, or the text itself.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the entry as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Say whether a receipt proves that its entry is in the log, and print the entry. Reads no database.

    Exits with 0 when it does, 1 when it does not, 2 when it is no receipt, 3 when the key is none.

    Example: confide audit verify-receipt 8c0f1e2d3a4b.17.tlog-proof --key audit.pub
    """
    try:
        trusted = VerifierKey.parse(key_text(key))
    except VerifierKeyInvalidError as error:
        err.print(f"confide: --key: {error}", markup=False)
        raise typer.Exit(_BAD_KEY) from None
    with receipt.open("rb") as file:
        data = file.read(_MOST)
    try:
        found = Receipt.parse(data)
    except NoteError as error:
        out.print(f"NOT A RECEIPT: {error}.", markup=False)
        raise typer.Exit(2) from None
    try:
        checkpoint = found.verify([trusted])
        record = decode_record(found.record)
    except (NoteError, ProofInvalidError, RecordInvalidError) as error:
        out.print(f"NOT PROVED: {error}.", markup=False)
        raise typer.Exit(1) from None
    if as_json:
        place = {"origin": checkpoint.origin, "index": found.index, "size": checkpoint.size}
        print_json({"ok": True, **place, "record": json.loads(found.record)})
        return
    out.print(f"PROVED: entry {found.index} of {checkpoint.size} in {checkpoint.origin}.", markup=False)
    out.print(
        f"{record.time}  {record.kind}  {record.actor}  for {record.purpose or 'no purpose'}: {record.outcome}",
        markup=False,
    )


def key_text(key: str) -> str:
    """The text of a public key, or of the file that holds it; empty where that is none."""
    path = Path(key)
    try:
        if not path.is_file():
            return key
        with path.open("rb") as file:
            return file.read(4096).decode("ascii").strip()
    except (OSError, ValueError):
        return ""
