"""Asks random queries of random schemas for as long as is wanted; run by `scripts/fuzz-execution`."""

import argparse
import asyncio
import gc
import secrets
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.schema.fuzzing import Town, mismatch

EACH = 50  # queries of one schema
ODD = (0.0, 0.05, 0.2, 0.5)


def asked(seed: int) -> tuple[int, str | None]:
    """Ask queries of one schema; how many were valid, and what differed."""
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _raised: None  # coroutines that a bubbling null left behind, in both executors

    async def ask() -> tuple[int, str | None]:
        town = Town(seed)
        valid = 0
        for number in range(EACH):
            ran, wrong = await mismatch(town, seed * 1_000 + number, ODD[number % len(ODD)])
            valid += ran
            if wrong is not None:
                text, expected, found = wrong
                return valid, f"schema {seed}, query {number}:\n{text}\ngraphql-core: {expected}\ncompiled: {found}"
        return valid, None

    found = asyncio.run(ask())
    gc.collect()
    return found


def told(line: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Ask, and say how many were asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=100_000, help="valid queries to ask")
    parser.add_argument("--seed", type=int, default=None, help="of the first schema; random unless given")
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after this long, however many were asked")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    arguments = parser.parse_args()
    first = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    told(f"seed {first}")
    start, valid, schemas = time.monotonic(), 0, 0
    with ProcessPoolExecutor(arguments.jobs, mp_context=get_context("spawn"), max_tasks_per_child=200) as pool:
        waiting = {pool.submit(asked, first + number) for number in range(arguments.jobs * 2)}
        following = first + len(waiting)
        while waiting:
            done = next(as_completed(waiting))
            waiting.discard(done)
            count, wrong = done.result()
            if wrong is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                raise SystemExit(wrong)
            valid, schemas = valid + count, schemas + 1
            if schemas % 100 == 0:
                told(f"{valid} queries of {schemas} schemas, {time.monotonic() - start:.0f} s")
            if valid < arguments.queries and time.monotonic() - start < arguments.minutes * 60:
                waiting.add(pool.submit(asked, following))
                following += 1
    told(f"{valid} queries of {schemas} schemas, {time.monotonic() - start:.0f} s: no difference")


if __name__ == "__main__":
    main()
