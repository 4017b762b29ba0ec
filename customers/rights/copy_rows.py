"""The rows of a copy of a person's data: as JSON, as CSV that no spreadsheet runs, and what they say."""

import csv
import io
import json
import zipfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from audit import timestamp
from audit.spreadsheet import spreadsheet_safe
from customers.rights.recipients import Recipient
from customers.rights.recipients.model import path_of
from policies import Catalogue
from vault import EnvelopeError

_PLAIN: Final = {"position", "document_id"}
Rows = AsyncGenerator[list[dict[str, Any]], None]


async def put_list(bundle: zipfile.ZipFile, name: str, rows: Callable[[], Rows]) -> tuple[str, ...]:
    """A list as JSON and as CSV, read once for each, so that it is never held whole; gives the columns."""
    columns: dict[str, None] = {}
    with bundle.open(f"{name}.json", "w") as file:
        separator = b"[\n"
        async for page in rows():
            for each in map(plain, page):
                columns |= dict.fromkeys(each)
                file.write(separator + as_json(each).encode())
                separator = b",\n"
        file.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
    with bundle.open(f"{name}.csv", "w") as file:
        file.write(_csv(columns))
        async for page in rows():
            for each in map(plain, page):
                file.write(_csv([each.get(name) for name in columns]))
    return tuple(columns)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """A document as it is told; a value that was damaged is told to be, and does not cost the rest."""
    return {
        name: "(damaged)" if isinstance(value, EnvelopeError) else value
        for name, value in values.items()
        if name not in _PLAIN
    }


def as_json(value: Any) -> str:
    """A value as JSON, with moments as the platform writes them."""
    return json.dumps(value, ensure_ascii=False, default=_text)


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    if hasattr(value, "__slots__") and hasattr(value, "at"):  # an origin
        return {name: getattr(value, name) for name in value.__slots__}
    return "(damaged)" if isinstance(value, EnvelopeError) else str(value)


def _csv(cells: Sequence[Any] | Mapping[str, None]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow([spreadsheet_safe(_cell(each)) for each in cells])
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else as_json(value).strip('"')


def decision_row(entry: Any, proof: str | None) -> dict[str, Any]:
    """An entry of the consent ledger."""
    said = entry.decision
    return {
        "id": entry.id,
        "purpose": said.purpose,
        "state": said.state.value,
        "channel": None if said.channel is None else said.channel.value,
        "at": timestamp(said.at),
        "recorded_at": None if entry.recorded_at is None else timestamp(entry.recorded_at),
        "expires_at": None if said.expires_at is None else timestamp(said.expires_at),
        "source": said.source,
        "notice": said.notice,
        "proof": proof,
    }


def recipient_row(recipient: Recipient, catalogue: Catalogue) -> dict[str, Any]:
    """To whom the person's data is given: what of it, by the catalogue's words, and since when."""
    paths = dict.fromkeys([*map(path_of, recipient.known_by), *recipient.fields])
    return {
        "recipient": recipient.name,
        "data": [catalogue.fields[each].label for each in paths if each in catalogue.fields],
        "purposes": list(recipient.purposes),
        "since": timestamp(recipient.created_at),
        "still": not recipient.disabled,
    }


def entry_row(entry: Any, names: frozenset[str]) -> dict[str, Any]:
    """An entry of the access log, without anybody else whom it is about."""
    record = entry.record
    told = {
        "id": str(entry.id),
        "time": record.time,
        "actor": record.actor,
        "roles": list(record.roles),
        "client": record.client,
        "purpose": record.purpose,
        "operation": record.operation,
        "fields": sorted({path for each in record.decisions for path in each.fields if each.decision != "withheld"}),
        "outcome": record.outcome.value,
        "policy_version": record.policy,
    }
    return {name: value for name, value in told.items() if name in names}
