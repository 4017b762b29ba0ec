"""The forms that a bundle may hold besides the records' own bytes; each follows from them, byte for byte."""

from collections.abc import Mapping
from typing import Any

from audit import csv_form, ocsf
from audit.bundle import Form


def heading(form: Form) -> bytes:
    """What comes before the first record."""
    return csv_form.header() if form is Form.CSV else b""


def line(form: Form, log: str, entry: str, record: Mapping[str, Any]) -> bytes:
    """A record in this form, given the log's name, the entry's id and what the record's JSON says."""
    if form is Form.CSV:
        return csv_form.line(entry, record)
    return ocsf.line(log, entry, record)
