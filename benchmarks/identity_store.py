"""The search over a base through the store, held against the library: tokens, candidates and decisions of the same people.

Invented households (`benchmarks.identity_households`) are written as profiles, sealed, with an identifier belonging to one
profile as always, so that records of one person share none. Then the base is searched as `confide identity match` does,
first with nobody joined, then with sure pairs joined; and the library is given what was written, in memory. Fails when
what is found, what is sure or who is joined differs, or when anybody is joined falsely.

Against an embedded engine of its own.

Usage: python -m benchmarks.identity_store [--households 250] [--seed 1] [--json]
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from pydantic import SecretStr

from benchmarks.identity_households import Written
from benchmarks.identity_households import people as invented
from customers.access import Access
from customers.identity.finding import PURPOSE, READER, STEWARD, Matching
from customers.identity.matching import (
    RANDOM_PAIRS,
    Decision,
    Person,
    Scorer,
    candidates,
    cluster,
    learn,
    observe,
    prepare,
    scored,
)
from customers.profiles.store import CustomerStore
from customers.profiles.writing import ProfileWriter
from server.engine import embedded_engine
from server.platform import open_platform
from server.settings import Settings
from vault import InvalidIdentifierError, Vault

Pairs = set[tuple[int, int]]


@dataclass(frozen=True)
class Expected:
    """What the library says of people in memory: pairs by place, and who is joined."""

    candidates: int
    found: Pairs
    sure: Pairs
    merged: Pairs


@dataclass(frozen=True)
class Figures:
    """What came of a set through the store, and how it differs from the library."""

    records: int
    candidates: int
    compared: int
    found: int
    sure: int
    merged: int
    merged_falsely: int
    found_otherwise: int
    sure_otherwise: int
    merged_otherwise: int
    seconds: float

    def missed(self) -> bool:
        """Whether anything differs, or anybody is joined falsely."""
        otherwise = self.found_otherwise + self.sure_otherwise + self.merged_otherwise
        return bool(otherwise or self.merged_falsely or self.compared != self.candidates)


def writable(vault: Vault, written: Sequence[Written]) -> list[dict[str, Any]]:
    """What can be written of these records: an address or a number has one owner, and must be one."""
    taken: set[tuple[str, str]] = set()
    found = []
    for each in written:
        values = {name: value for name, value in asdict(each).items() if value}
        if not _is_date(values.get("birth_date", "")):
            values.pop("birth_date", None)
        for index in ("email", "phone"):
            try:
                value = vault.normalise(index, values.pop(index, ""))
            except InvalidIdentifierError:
                continue
            if (index, value) not in taken:
                taken.add((index, value))
                values[index] = value
        found.append(values)
    return found


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def by_library(people: Sequence[Person], pairs: int = RANDOM_PAIRS) -> Expected:
    """What the library says, after so many pairs at random."""
    possible = candidates(people)
    random = Random(1)  # noqa: S311 - which pairs are sampled is no secret
    parameters, _ = learn(observe(people, possible, random, pairs=pairs))
    scorer = Scorer(parameters)
    found = scored(people, possible, scorer)
    return Expected(
        len(possible),
        {each.pair for each in found},
        {each.pair for each in found if each.score.decision is Decision.SURE},
        set(cluster(people, found, scorer).pairs()),
    )


async def create(vault: Vault, writer: ProfileWriter, access: Access, values: Sequence[dict[str, Any]]) -> list[str]:
    """Write the records as profiles, in their order."""
    ids: list[str] = []
    for start in range(0, len(values), 100):
        async with vault.reading():
            drafts = [writer.draft(each) for each in values[start : start + 100]]
            ids += await writer.create(access, drafts)
    return ids


async def through_store(
    matching: Matching,
    store: CustomerStore,
    ids: Sequence[str],
    owners: Sequence[int],
    expected: Expected,
    access: Mapping[str, Access],
) -> Figures:
    """Search the base twice, and hold what comes of it against what is expected."""
    place = {each: number for number, each in enumerate(ids)}

    def pair(customers: Sequence[str]) -> tuple[int, int]:
        one, other = sorted(place[each] for each in customers)
        return one, other

    start = time.perf_counter()
    report = await matching.run(access[READER[0]], None, learn=True)
    searched = time.perf_counter()
    cases = await matching.reviewer.cases.about(list(ids))
    sure = {pair(each.customers) for each in await matching.reviewer.cases.sure(len(ids) * 20)}
    await matching.run(access[READER[0]], access[STEWARD[0]])
    group = {str(each["_id"]): str(each.get("merged_into", each["_id"])) for each in await store.find(list(ids))}
    members: dict[str, list[int]] = {}
    for each in ids:
        members.setdefault(group[each], []).append(place[each])
    merged = {(one, other) for held in members.values() for n, other in enumerate(held) for one in held[:n]}
    return Figures(
        records=len(ids),
        candidates=expected.candidates,
        compared=report.pairs,
        found=len(cases),
        sure=len(sure),
        merged=len(merged),
        merged_falsely=sum(owners[one] != owners[other] for one, other in merged),
        found_otherwise=len({pair(each.customers) for each in cases} ^ expected.found),
        sure_otherwise=len(sure ^ expected.sure),
        merged_otherwise=len(merged ^ expected.merged),
        seconds=round(searched - start, 2),
    )


async def measure(households: int, seed: int, directory: Path) -> Figures:
    """One set, against an engine of its own."""
    every = list(invented(seed, households))
    async with (
        embedded_engine(directory / "data", authenticate=False) as engine,
        open_platform(Settings(mongo_uri=SecretStr(engine.uri), data_dir=directory / "confide")) as platform,
    ):
        values = writable(platform.vault, [written for _, written in every])
        importing = platform.access("benchmark", ("client_app",), "data_import")
        ids = await create(platform.vault, platform.services.writer, importing, values)
        expected = by_library([prepare(**each) for each in values])
        matching = await Matching.open(
            platform.main,
            CustomerStore(platform.main),
            platform.vault,
            platform.log,
            platform.reviewer,
            lambda: platform.policies.current,
            tenant=platform.settings.tenant,
            now=platform.now,
            random=Random(seed).randbytes,  # noqa: S311 - names a run
            fewest=2,
        )
        access = {roles[0]: platform.access("benchmark", roles, PURPOSE) for roles in (READER, STEWARD)}
        return await through_store(
            matching, CustomerStore(platform.main), ids, [owner for owner, _ in every], expected, access
        )


def main() -> int:
    """Measure a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--households", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        figures = asyncio.run(measure(asked.households, asked.seed, Path(directory)))
    if asked.json:
        print(json.dumps(asdict(figures), indent=2))
    else:
        print(f"{figures.records:,} profiles, {figures.candidates:,} candidates, {figures.compared:,} compared")
        print(f"  found      {figures.found:,} pairs, {figures.found_otherwise} other than the library's")
        print(f"  sure       {figures.sure:,} pairs, {figures.sure_otherwise} other than the library's")
        print(
            f"  merged     {figures.merged:,} pairs, {figures.merged_otherwise} other than the library's, "
            f"{figures.merged_falsely} falsely"
        )
        print(f"  time       indexed, learnt and compared in {figures.seconds} s")
    return 1 if figures.missed() else 0


if __name__ == "__main__":
    sys.exit(main())
