"""`confide audit verify-receipt` and `verify-certificate`: is this in the log? With the public key, and nothing else."""

import json
from pathlib import Path
from typing import Annotated

import typer

from audit import NoteError, ProofInvalidError, Receipt, VerifierKey, VerifierKeyInvalidError, decode_record
from audit.errors import RecordInvalidError
from customers.errors import CertificateInvalidError, CertificateNotProvedError
from customers.rights import certificate as certificates
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


def verify_certificate(
    certificate: Annotated[Path, typer.Argument(help="The certificate, a .json file.", exists=True, dir_okay=False)],
    receipt: Annotated[Path, typer.Argument(help="Its receipt, a .tlog-proof file.", exists=True, dir_okay=False)],
    key: Annotated[str, typer.Option(help="The trusted public key: a file, or the text itself.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,  # noqa: FBT002
) -> None:
    """Say whether the certificate of an erasure is what the log recorded at its end. Reads no database.

    Exits with 0 when it is, 1 when it is not, 2 when one of the two is no such file, 3 when the key is none.

    Example: confide audit verify-certificate crt_….json crt_….tlog-proof --key audit.pub
    """
    try:
        trusted = VerifierKey.parse(key_text(key))
    except VerifierKeyInvalidError as error:
        err.print(f"confide: --key: {error}", markup=False)
        raise typer.Exit(_BAD_KEY) from None
    data = _read(certificate)
    try:
        found = certificates.verify_certificate(data, Receipt.parse(_read(receipt)), [trusted])
    except (NoteError, CertificateInvalidError) as error:
        out.print(f"NOT A CERTIFICATE WITH ITS RECEIPT: {error}.", markup=False)
        raise typer.Exit(2) from None
    except CertificateNotProvedError as error:
        out.print(f"NOT PROVED: {error}.", markup=False)
        raise typer.Exit(1) from None
    if as_json:
        print_json({"ok": True, "certificate": json.loads(data)})
        return
    kept = sum(each.records for each in found.kept)
    keys = "1 key was" if len(found.keys) == 1 else f"{len(found.keys)} keys were"
    out.print(f"PROVED: {found.id}, recorded in the log {found.deployment}.", markup=False)
    out.print(f"Finished {found.finished}: {keys} destroyed, {kept} records are kept by law.", markup=False)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST)


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
