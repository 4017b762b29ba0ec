"""A log in memory whose database can be made to fail, and records to put in it."""

import contextlib
import itertools
import os
from datetime import UTC, datetime, timedelta

import pytest

from audit import AccessLog, AuditUnavailableError, Decision, Kind, Outcome, Record, Verdict, timestamp
from audit.store import BatchStore
from tests.audit.faults import FaultyCollection, MemoryCollection
from tests.audit.signed_log import SignedLog

START = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)


@pytest.fixture
def make_record():
    """Records of a support agent reading a name, each a millisecond after the one before; any part replaced."""
    ticks = itertools.count()

    def make(**parts):
        base = {
            "actor": "agent-1",
            "roles": ("support_agent",),
            "kind": Kind.READ,
            "outcome": Outcome.ALLOWED,
            "policy": "p1",
            "purpose": "customer_service",
            "decisions": (Decision(decision=Verdict.CLEAR, fields=("profile.given_name",), rule=3),),
            "subjects": ("A" * 22,),
            "time": timestamp(START + timedelta(milliseconds=next(ticks))),
        }
        return Record(**base | parts)

    return make


@pytest.fixture
def batches():
    return FaultyCollection(MemoryCollection())


@pytest.fixture
async def memory_log(batches):
    log = AccessLog(BatchStore(batches, MemoryCollection()), "a" * 12, now=lambda: START, patience_seconds=0.3)
    yield log
    with contextlib.suppress(AuditUnavailableError):  # a test may leave the database broken
        await log.close()


@pytest.fixture
async def open_log(databases):
    """Logs over a real database, closed at the end."""
    logs = []

    async def open_one(**options):
        log = await AccessLog.open(databases.audit, now=lambda: START, random=os.urandom, **options)
        logs.append(log)
        return log

    yield open_one
    for log in logs:
        await log.close()


@pytest.fixture
async def signed(databases, tmp_path):
    """A log with a signing key and a witness directory."""
    made = SignedLog(databases.audit, tmp_path)
    yield made
    for log in made.logs:
        await log.close()
