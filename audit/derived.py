"""The forms that a bundle may hold besides the records' own bytes; each follows from them, byte for byte."""

from collections.abc import Mapping
from typing import Any

from audit import csv_form, ocsf
from audit.bundle import BundleForm


def heading(form: BundleForm) -> bytes:
    """What comes before the first record."""
    return csv_form.header() if form is BundleForm.CSV else b""


def line(form: BundleForm, log: str, entry: str, record: Mapping[str, Any]) -> bytes:
    """A record in this form, given the log's name, the entry's id and what the record's JSON says."""
    if form is BundleForm.CSV:
        return csv_form.line(entry, record)
    return ocsf.line(log, entry, record)
