"""Whether the time that signing in takes tells who is a customer: measured, and judged without assuming how times spread.

The samples of both kinds are taken in turn, in an order by chance, so that whatever else the machine does falls on both.
They are compared by the probability that one of a known address took longer than one of an unknown (Mann and Whitney
1947): a half where time tells nothing. By chance alone it leaves a half by four of its standard deviations once in 15,000
times.
"""

import math
import time
from dataclasses import dataclass
from random import Random

from server.portal.entry.keeper import Doorkeeper
from tests.server.entry.doors import uuid_bytes

PEOPLE = 8
DEVIATIONS = 4.0


@dataclass(frozen=True)
class Verdict:
    """What was found."""

    samples: int
    longer: float
    """The probability that a known address took longer than an unknown one."""
    deviations: float
    known_ms: float
    unknown_ms: float

    @property
    def tells(self):
        return abs(self.deviations) > DEVIATIONS

    def __str__(self):
        return (
            f"{self.samples} samples; median {self.known_ms:.2f} ms known, {self.unknown_ms:.2f} ms unknown; a known one "
            f"takes longer with probability {self.longer:.3f}, {self.deviations:+.1f} deviations from a half: "
            f"{'it tells' if self.tells else 'it does not tell'}"
        )


class LeakyKeeper(Doorkeeper):
    """As one could write it: the same is written for everybody, but a customer's profile is looked at beforehand."""

    async def ask(self, address, language, network):
        async with self._vault.reading():
            holder = await self._vault.blind.find("email", address)
            if holder is not None:
                access = self._access(holder, "sign_in")
                await self._platform.services.gateway.by_ids(access, frozenset({"identifiers"}), [holder])
        return await super().ask(address, language, network)


class NaiveKeeper(Doorkeeper):
    """As one would write it first: only what a customer asks for is written down."""

    async def ask(self, address, language, network):
        async with self._vault.reading():
            holder = await self._vault.blind.find("email", address)
        return "nothing" if holder is None else await super().ask(address, language, network)


def leaking(door, kind=LeakyKeeper):
    """A keeper of this door that leaks."""
    return kind(door.platform, uuid_bytes)


async def samples(door, count, seed=7):
    """So many times to ask for a letter over HTTP, in seconds: of known addresses, and of unknown ones."""
    dice = Random(seed)  # noqa: S311 - an order, not a secret
    known = [f"known{each}" for each in range(PEOPLE)]
    for name in known:
        if name not in door.people:
            await door.person(name)
    asked = [(f"{name}@door.example", True) for name in known]
    asked += [(f"other{each}@door.example", False) for each in range(PEOPLE)]
    browser, taken = door.browser(), {True: [], False: []}
    await browser.get("/sign-in")
    rounds = math.ceil(count / len(asked))
    for number in range(rounds + 1):
        dice.shuffle(asked)
        for address, is_known in asked:
            browser.client.cookies.clear()
            began = time.perf_counter()
            page = await browser.post("/sign-in", {"address": address})
            seconds = time.perf_counter() - began
            assert page.status_code == 303
            if number:  # the first round warms everything up
                taken[is_known].append(seconds)
        # So that nothing was asked for too often, and each round is like the first.
        for name in ("sign_in_links", "jobs"):
            await door.platform.main[name].delete_many({})
    return taken[True], taken[False]


def compared(known, unknown):
    """Whether the times tell."""
    ranked = sorted([(each, True) for each in known] + [(each, False) for each in unknown])
    rank_sum = sum(place for place, (_, is_known) in enumerate(ranked, 1) if is_known)
    one, other = len(known), len(unknown)
    longer = (rank_sum - one * (one + 1) / 2) / (one * other)
    deviation = math.sqrt((one + other + 1) / (12 * one * other))
    return Verdict(
        one + other,
        longer,
        (longer - 0.5) / deviation,
        sorted(known)[one // 2] * 1000,
        sorted(unknown)[other // 2] * 1000,
    )


__all__ = ["LeakyKeeper", "NaiveKeeper", "Verdict", "compared", "leaking", "samples"]
