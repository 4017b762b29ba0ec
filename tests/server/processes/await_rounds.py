"""Work that is killed at every point at which it waits: an erasure, and the completion of a request.

Each kill is of a process of its own that does the work of one person of whom there is something everywhere; another
process, which serves on, must bring it to its end. Then nothing of the person is anywhere, and the rest is as it should be.
"""

import asyncio
import itertools
import json
import os
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from audit import Kind as RecordKind
from customers.rights.requests import Kind, State, Verification
from server.platform import Platform, open_platform
from server.settings import Settings
from tests.server.processes.deployment import Deployment
from tests.server.processes.erased_bytes import Scanner
from tests.server.processes.erasure_rounds import step_of
from tests.server.processes.kill_rounds import Outcome
from tests.server.test_nothing_left import REMAINS, places, planted, shopify

_PROGRAM = "tests.server.processes.watched_work:main"
_SECONDS = 120.0
Say = Callable[[str], None]


@dataclass
class Person:
    """Somebody whose erasure, or request, is killed."""

    number: int
    ids: tuple[str, str]
    request: str | None = None

    @property
    def word(self) -> str:
        """What begins every value of theirs, and stands nowhere else."""
        return f"zq{self.number}x"


def settings_of(site: Deployment) -> Settings:
    """The deployment's settings, for a process of the test itself."""
    named = {
        name.removeprefix("CONFIDE_").lower(): value
        for name, value in site.environment.items()
        if name.startswith("CONFIDE_")
    }
    return Settings(**named)


async def _new(platform: Platform) -> Person:
    number = 100_000 + secrets.randbelow(900_000)
    ids = await planted(platform, number, sku="LP-1")
    # Of a creation that died half way: a person who is whole has none.
    await platform.main["creations"].delete_many({})
    return Person(number, ids)


async def _request(platform: Platform, person: Person, kind: Kind) -> Person:
    """A request that the second of two persons has only to complete."""
    first = platform.access("ana", ("privacy_officer",), "privacy_request")
    requests = platform.requests
    async with platform.vault.reading():
        opened = await requests.open(first, kind, person.ids[0], source="letter")
        how = Verification.DOCUMENT if not opened.agent else Verification.AUTHORITY
        await requests.confirm(first, opened.id, how)
        await requests.begin(first, opened.id)
    if kind is Kind.ERASURE:
        await requests.complete(first, opened.id)
    person.request = opened.id
    return person


async def _done_by(site: Deployment, action: str, name: str, target: str | None) -> tuple[int, list[str]]:
    """How a process ended that does this, and at which places it waited, unless it was killed."""
    process = await site.run_own(_PROGRAM, action, name, "ben", *([target] if target else []))
    code = await process.wait(_SECONDS)
    if code == 0:
        return code, json.loads(process.out)
    if code != -9:
        raise AssertionError(process.err[-3000:])
    return code, []


class Rounds:
    """Kills one kind of work at its places, some at once."""

    def __init__(self, site: Deployment, platform: Platform, scanner: Scanner | None, say: Say) -> None:
        self.site, self.platform, self.scanner, self.say = site, platform, scanner, say
        self.faults: list[str] = []
        self.kills = self.missed = self.rounds = 0

    async def erasures(self, most: int | None, at_once: int, dice: random.Random) -> int:
        """Kill erasures; gives how many places there are."""
        first = await _new(self.platform)
        _, seen = await _done_by(self.site, "erase", first.ids[0], None)
        await self._check([first])
        chosen = _some(seen, most, dice)
        for start in range(0, len(chosen), at_once):
            people = [await _new(self.platform) for _ in chosen[start : start + at_once]]
            await self._killed("erase", [(each, each.ids[0]) for each in people], chosen[start : start + at_once])
            await self.platform.services.eraser.resume()
            for each in people:
                if await step_of(self.site, each.ids[0]) is None:
                    await self._whole(each)
                    access = self.platform.access("ben", ("privacy_officer",), "privacy_request")
                    await self.platform.services.eraser.erase(access, each.ids[0])
            await self._check(people)
            self._say("erasures", min(start + at_once, len(chosen)), len(chosen))
        return len(set(seen))

    async def requests(self, kind: Kind, most: int | None, at_once: int, dice: random.Random) -> int:
        """Kill the completion of requests of one kind; gives how many places there are."""
        first = await _request(self.platform, await _new(self.platform), kind)
        _, seen = await _done_by(self.site, "complete", first.request, None)
        await self._met(first, kind)
        chosen = _some(seen, most, dice)
        for start in range(0, len(chosen), at_once):
            people = [
                await _request(self.platform, await _new(self.platform), kind)
                for _ in chosen[start : start + at_once]
            ]
            await self._killed("complete", [(each, each.request) for each in people], chosen[start : start + at_once])
            await self.platform.services.eraser.resume()
            for each in people:
                await self._again(each)
                await self._met(each, kind)
            if kind is Kind.ERASURE:
                await self._check(people)
            self._say(kind.value, min(start + at_once, len(chosen)), len(chosen))
        return len(set(seen))

    def _say(self, what: str, done: int, of: int) -> None:
        """How far it is, and at once what was wrong."""
        wrong = "".join(f"; {each}" for each in dict.fromkeys(self.faults))
        self.say(f"{what}: killed at {done} of {of} places, {len(self.faults)} faults{wrong}")

    async def _killed(self, action: str, work: list, targets: list[str]) -> None:
        ended = await asyncio.gather(
            *(_done_by(self.site, action, name, target) for (_, name), target in zip(work, targets, strict=True))
        )
        self.kills += sum(code == -9 for code, _ in ended)
        # Not every run comes by each place: a connection that is free is not waited for.
        self.missed += sum(code != -9 for code, _ in ended)

    async def _again(self, person: Person) -> None:
        """Have a request completed that its process did not: by the same person, who does not know how far it came."""
        found = await self.platform.requests.due(person.request)
        if found is not None:
            access = self.platform.access("ben", ("privacy_officer",), "privacy_request")
            await self.platform.requests.complete(access, person.request)

    async def _met(self, person: Person, kind: Kind) -> None:
        """The request is completed, once, with the evidence in the log, and what it asked for is so."""
        access = self.platform.access("ana", ("privacy_officer",), "privacy_request")
        async with self.platform.vault.reading():
            request = (await self.platform.requests.get(access, person.request)).request
        if request.state is not State.COMPLETED:
            self.faults.append(f"a request of {kind.value} is {request.state.value}")
        known = await self.site.records()
        if any(each.entry is not None and each.entry not in known for each in request.steps):
            self.faults.append("a step of a request has no record")
        if kind is Kind.ACCESS:
            async with self.platform.vault.reading():
                parts = b"".join(await self.platform.copies.parts(access, person.ids[0], request.result))
            if parts[:2] != b"PK":
                self.faults.append("a request for a copy has led to none")
        elif kind is not Kind.ERASURE:
            profile = await self.platform.main["profiles"].find_one({"_id": person.ids[0]})
            if not (profile["rights"]["objected"] or profile["rights"]["restricted"]):
                self.faults.append(f"a request of {kind.value} is completed and nobody feels it")

    async def _whole(self, person: Person) -> None:
        """Who was not begun with is there as before."""
        document = await self.platform.main["profiles"].find_one({"_id": person.ids[0]})
        order = await self.platform.main["orders"].find_one({"customer_id": person.ids[0]})
        if document is None or order is None:
            self.faults.append("an erasure that was not begun took something away")

    async def _check(self, people: list[Person]) -> None:
        """Nothing of these is left in any document or byte; what the law demands is kept, once, and certified."""
        self.rounds += 1
        ids = [each for person in people for each in person.ids]
        words = [word for person in people for word in (person.word, shopify(person.number))]
        left = await places(self.platform, *ids)
        self.faults += [f"the number of an erased customer is in {each}" for each in left - set(REMAINS)]
        self.faults += [f"a value of an erased customer is in {each}" for each in await places(self.platform, *words)]
        erasures = await self.site.keys["erasures"].find({}).to_list(None)
        self.faults += ["an erasure is open"] * any(each.get("open") for each in erasures)
        known = {
            each.erasure.certificate
            for each in (await self.site.records()).values()
            if each.kind is RecordKind.ERASURE_DONE
        }
        certificates = await self.site.main["certificates"].find({}).to_list(None)
        if (
            len(certificates) != len(erasures)
            or len(known) != len(erasures)
            or any("entry" not in each for each in certificates)
        ):
            self.faults.append("an erasure has no certificate, or the log does not know it")
        retained = await self.site.main["retained"].find({}).to_list(None)
        profiles = len([each for each in erasures if each["_id"].startswith("cus_")])
        # Each person is two profiles and has two orders that are kept.
        if len(retained) != profiles or {each["state"] for each in retained} != {"kept"}:
            self.faults.append(f"{len(retained)} invoices are kept of {profiles // 2} people, or not to the end")
        if self.scanner is not None:
            self.faults += await self.scanner.faults(words)


def _some(seen: list[str], most: int | None, dice: random.Random) -> list[str]:
    """The places, or so many of them from the first to the last."""
    places_ = list(dict.fromkeys(seen))
    if most is None or most >= len(places_):
        return places_
    # One of each stretch of the way, so that every step has some.
    cuts = [round(each * len(places_) / most) for each in range(most + 1)]
    return [places_[dice.randrange(low, high)] for low, high in itertools.pairwise(cuts)]


async def kill_awaits(
    site: Deployment,
    *,
    most: int | None,
    seed: int,
    kinds: tuple[Kind, ...] = (),
    erasures: bool = True,
    at_once: int = 6,
    scanner: Scanner | None = None,
    say: Say = lambda _line: None,
) -> Outcome:
    """Kill an erasure, and the completion of requests of these kinds, at every place or at so many of them."""
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    os.environ.pop("CONFIDE_SECRETS_DIR", None)
    async with open_platform(settings_of(site)) as platform:
        rounds = Rounds(site, platform, scanner, say)
        found = {"an erasure": await rounds.erasures(most, at_once, dice)} if erasures else {}
        for kind in kinds:
            found[f"completing {kind.value}"] = await rounds.requests(kind, most, at_once, dice)
    told = ", ".join(f"{name} waits at {count} places" for name, count in found.items())
    looked = "" if scanner is None else f"; every byte looked at {scanner.looks} times"
    note = f"{told}; {rounds.missed} runs did not come by their place{looked}"
    return Outcome(rounds.kills, rounds.kills, 0, rounds.kills, 0, rounds.faults, note=note)
