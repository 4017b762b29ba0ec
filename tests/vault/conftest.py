"""Vaults over real databases, with a key ring file of their own."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)
