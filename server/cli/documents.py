"""`confide documents`: the GraphQL documents that a company's own apps send, known before they come."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, parse
from rich.table import Table

from audit import Outcome
from schema.build import build_schema
from schema.documents import Documents
from schema.errors import DocumentRefusedError
from schema.limits import Limits
from server.cli.output import err, out, print_json
from server.cli.recording import record
from server.cli.running import with_platform
from server.errors import TrustedDocumentError
from server.limits import limits_of
from server.platform import Platform
from server.trusted_documents import MOST_CHARACTERS, TrustedDocument
from vault import Epoch

app = typer.Typer(
    no_args_is_help=True,
    help="Trusted documents: the GraphQL documents your own apps send, so that requests may name them by their hash.",
)

_MANIFEST = "apollo-persisted-query-manifest"
_SHORT = 12


@app.command()
def add(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="GraphQL documents (.graphql, .gql), or an app's manifest (.json): Apollo's persisted query manifest, "
            "or an object of texts by their SHA-256.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
) -> None:
    """Add documents, all of these or none. When this returns, the next request everywhere may name them.

    Each is checked as a request would be: it must fit the schema and cost no more than the limits allow. What is there
    already stays as it is.

    Example: confide documents add web/queries/*.graphql
    """
    found = [each for path in files for each in _read(path)]

    async def work(platform: Platform) -> int:
        _check(found, limits_of(platform.settings), platform)
        held = sum(len(each.text) for each in await platform.documents.all())
        if held + sum(len(each.text) for each in found) > MOST_CHARACTERS:
            raise TrustedDocumentError(f"trusted documents may have {MOST_CHARACTERS:,} characters together")
        await record(platform, f"confide documents add ({len(found)})")
        added = await platform.documents.add(found)
        await platform.vault.fleet.advance(Epoch.DOCUMENTS)
        return added

    added = with_platform(work)
    for each in found:
        out.print(f"{each.digest}  {each.name}", markup=False)
    there = len(found) - added
    err.print(f"Added {added}." + (f" {there} were there already." if there else ""))


@app.command("list")
def list_documents(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with their texts.")] = False,
) -> None:
    """List the trusted documents, the oldest first.

    Example: confide documents list
    """

    async def work(platform: Platform) -> list[TrustedDocument]:
        return await platform.documents.all()

    found = with_platform(work)
    if as_json:
        print_json(
            [
                {"sha256": each.digest, "name": each.name, "text": each.text, "added_at": each.added_at}
                for each in found
            ]
        )
        return
    if not found:
        err.print("There are none. Add your app's with: confide documents add FILES")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("SHA-256", "Operations", "Characters", "Added"):
        table.add_column(heading, justify="right" if heading == "Characters" else "left")
    for each in found:
        added = "" if each.added_at is None else each.added_at.strftime("%Y-%m-%d %H:%M")
        table.add_row(each.digest[:_SHORT], each.name, str(len(each.text)), added)
    out.print(table)


@app.command()
def remove(
    digest: Annotated[str, typer.Argument(help="The document's SHA-256, or its first characters, at least 8.")],
) -> None:
    """Remove a document. When this returns, no request anywhere may name it any more.

    Example: confide documents remove 3fa85f64
    """
    least = 8

    async def work(platform: Platform) -> bool:
        if len(digest) < least:
            raise TrustedDocumentError(f"give at least {least} characters of the SHA-256")
        found = [each for each in await platform.documents.all() if each.digest.startswith(digest.lower())]
        if len(found) > 1:
            raise TrustedDocumentError("several documents begin so; give more of the SHA-256")
        if not found:
            await record(platform, "confide documents remove", Outcome.NOT_FOUND)
            return False
        await platform.documents.remove(found[0].digest)
        await platform.vault.fleet.advance(Epoch.DOCUMENTS)
        await record(platform, f"confide documents remove {found[0].digest}")
        return True

    if not with_platform(work):
        err.print("There is no such document.")
        raise typer.Exit(1)
    err.print("Removed.")


def _read(path: Path) -> Iterator[TrustedDocument]:
    """The documents of a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise TrustedDocumentError(f"{path} is not UTF-8") from None
    if path.suffix.lower() != ".json":
        yield TrustedDocument.of(_named(path, text.strip()), text.strip())
        return
    for digest, body in _of_manifest(path, text):
        document = TrustedDocument.of(_named(path, body), body)
        if digest != document.digest:
            raise TrustedDocumentError(f"{path}: a document's id is not the SHA-256 of its text ({document.name})")
        yield document


def _of_manifest(path: Path, text: str) -> list[tuple[str, str]]:
    """The ids and texts of a manifest."""
    wrong = TrustedDocumentError(
        f"{path} is no manifest: give Apollo's persisted query manifest, or an object of texts by their SHA-256"
    )
    try:
        held: Any = json.loads(text)
    except ValueError:
        raise wrong from None
    if not isinstance(held, dict):
        raise wrong
    found: list[tuple[Any, Any]] = list(held.items())
    if held.get("format") == _MANIFEST:
        operations = held.get("operations")
        if held.get("version") != 1 or not isinstance(operations, list):
            raise wrong
        found = [
            (each.get("id"), each.get("body")) if isinstance(each, dict) else (None, None) for each in operations
        ]
    if not all(isinstance(part, str) for each in found for part in each):
        raise wrong
    return found


def _named(path: Path, text: str) -> str:
    """The document's operations, or its file's name where none has a name."""
    try:
        node: DocumentNode = parse(text)
    except GraphQLError as error:
        raise TrustedDocumentError(f"{path}: {error.message}") from None
    names = [
        each.name.value
        for each in node.definitions
        if isinstance(each, OperationDefinitionNode) and each.name is not None
    ]
    return ", ".join(names) or path.name


def _check(found: Sequence[TrustedDocument], limits: Limits, platform: Platform) -> None:
    """Refuse what a request could not run."""
    documents = Documents(build_schema(platform.policies.current.catalogue).schema, limits, introspection=False)
    faults = []
    for each in found:
        try:
            documents.prepare(each.text)
        except DocumentRefusedError as error:
            faults += [f"{each.name}: {fault.message}" for fault in error.errors]
    if faults:
        raise TrustedDocumentError("nothing was added:\n  " + "\n  ".join(faults))
