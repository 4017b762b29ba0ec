"""What an event costs our own process step by step, without a database: `python -m benchmarks.collect_stages`.

The events of `benchmarks.collect`, through the steps of the intake as it takes them, but for those that wait for a
database. Of each step the fastest of many rounds, in processor time of the thread, so other work on the machine counts
for little. docs/collection-http.md quotes what it prints.
"""

import argparse
import dataclasses
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import bson
from rich.console import Console
from rich.table import Table

from benchmarks.collect import PLAN, batches
from customers.access import Access
from customers.collection.checking import CompiledPlan
from customers.collection.collector import Permits, collecting
from customers.collection.counting import Work
from customers.collection.event_documents import Prepared, event_document, happened
from customers.collection.preparing import Preparer
from customers.collection.sources import Source, SourceKind
from policies import PolicySet, load_policies
from server.collection.payload import batch
from vault import DataKey
from vault.digest import DigestKey
from vault.normalise import normalise

_NOW = datetime.now(UTC)
_CUSTOMER = "cus_" + "a" * 26


class Naming:
    """What of the vault preparing takes."""

    def __init__(self) -> None:
        self.naming = DigestKey(bytes(32)).naming

    def normalise(self, index: str, value: str) -> str:
        """As `Vault.normalise`."""
        return normalise(index, value)


class Stages:
    """Takes batches through the steps, and notes what each took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._policies: PolicySet = load_policies()
        self._plan = CompiledPlan(dataclasses.replace(PLAN, version=1), self._policies.catalogue)
        self._source = Source(
            "bench", SourceKind.SEGMENT, PLAN.name, "user", (), consent={"ads": "marketing"}, created_at=_NOW
        )
        self._key = DataKey(bytes(32), tenant="main", customer_id=_CUSTOMER, generation=1, leaf=1, random=os.urandom)
        self._access: Access = collecting(self._source, self._policies)

    def take(self, body: bytes) -> None:
        """One batch."""
        sent = self._timed("read the body (JSON)", lambda: batch(body).events)
        prepared = self._timed("understand, name, hold against the plan", lambda: self._prepared(sent))
        catalogue = self._policies.catalogue
        documents = self._timed(
            "seal, make the document",
            lambda: [event_document(each, "bench", self._plan, catalogue, _CUSTOMER, self._key) for each in prepared],
        )
        self._timed("what the profile hears, what the record says", lambda: self._told(prepared))
        self._timed("encode the document (BSON)", lambda: [bson.encode(each) for each in documents])

    def _timed(self, name: str, work: Callable[[], Any]) -> Any:
        began = time.thread_time()
        found = work()
        self.seconds[name] += time.thread_time() - began
        return found

    def _prepared(self, events: Sequence[Any]) -> list[Prepared]:
        preparer = Preparer(
            self._source,
            self._plan,
            Naming(),
            self._policies.purposes,
            sent_at=None,
            received_at=_NOW,
            gpc=False,
            kind=None,
            random=os.urandom,
        )
        for place, each in enumerate(events):
            preparer.add(place, each)
        return preparer.batch.prepared

    def _told(self, prepared: Sequence[Prepared]) -> None:
        permits = Permits(self._policies, self._access.grant)
        kept = [permits.kept(each, []) for each in prepared]
        news = [happened(each, "bench", _CUSTOMER) for each in kept]
        permits.verdicts(kept, news)
        work = Work()
        for each in news:
            work.add(each)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    bodies = batches(10**6, 20, argparse.Namespace(size=100, spread=20), 1000)
    stages = Stages()
    fastest: dict[str, float] = {}
    for _ in range(arguments.rounds):
        stages.seconds.clear()
        for body in bodies:
            stages.take(body)
        fastest = {name: min(took, fastest.get(name, took)) for name, took in stages.seconds.items()}
    table = Table("step", "µs an event")
    for name, took in fastest.items():
        table.add_row(name, f"{took / len(bodies) / 100 * 1e6:.1f}")
    table.add_row("together", f"{sum(fastest.values()) / len(bodies) / 100 * 1e6:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
