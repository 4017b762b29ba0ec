"""Erasures whose process is killed at any moment, and what must then be true."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from datetime import UTC, datetime

import httpx

from audit import Kind
from customers.rights.certificate import digest
from tests.server.processes.deployment import ERASE, FIND, NAMES, READER, Deployment, Server
from tests.server.processes.erased_bytes import Scanner
from tests.server.processes.kill_rounds import Outcome

NAME = "Wilhelmina"


async def remains(site: Deployment, customer: str, email: str, *servers: Server) -> list[str]:
    """What is left of a customer who was erased: in the answers of these servers, and in the databases."""
    found = [fault for server in servers for fault in await given_out(site, server, customer, email)]
    found += [
        f"something is left in {name}"
        for name in ("orders", "tickets", "consent_ledger", "blind_index")
        if await site.main[name].find_one({"customer_id": customer}) is not None
    ]
    if await site.main["profiles"].find_one({"_id": customer}) is not None:
        found.append("the profile is left")
    record = await site.keys["data_keys"].find_one({"_id": customer}) or {"leaf": None}
    if record.get("state") != "erased" or "wrapped" in record:
        found.append("the key record is no tombstone")
    done = [each.erasure.leaf for each in (await site.records()).values() if each.kind is Kind.ERASURE_DONE]
    if record["leaf"] not in done:
        found.append("the log does not say that it was erased")
    return found


async def buy(site: Deployment, customer: str) -> None:
    """Give a customer an order that has to be kept; what an erasure keeps of it is counted by `kept_once`."""
    order = {"customer_id": customer, "bucket": f"{customer}:0", "ordinal": 1, "status": "completed", "total": 1200}
    bought = datetime(2026, 3, 1, tzinfo=UTC)
    await site.main["orders"].insert_one(
        {"_id": f"ord_{customer[4:]}", **order, "placed_at": bought, "currency": "EUR"}
    )


async def kept_once(site: Deployment) -> list[str]:
    """What is wrong with what is kept by law, and with the certificates, once no erasure is open."""
    records = await site.main["retained"].find({}).to_list(None)
    finished = await site.keys["erasures"].find({"done": "finished"}).to_list(None)
    faults = []
    if len(records) != len(finished) or {each["state"] for each in records} - {"kept"}:
        faults.append(f"{len(finished)} erasures kept {len(records)} records, or not to the end")
    known = {
        each.erasure.certificate
        for each in (await site.records()).values()
        if each.kind is Kind.ERASURE_DONE and each.erasure.certificate
    }
    for erasure in finished:
        certificate = await site.main["certificates"].find_one({"_id": f"crt_{erasure['reference']}"}) or {}
        if digest(bytes(certificate.get("body") or b"")) not in known or not certificate.get("entry"):
            faults.append("an erasure has no certificate that the log knows")
    return faults


async def given_out(site: Deployment, server: Server, customer: str, email: str) -> list[str]:
    """What a server gives out of a customer who was erased."""
    by_id = await site.ask(server, READER, NAMES, id=customer)
    by_email = await site.ask(server, READER, FIND, value=email)
    if by_id.code or by_email.code:
        return [f"a server answered {by_id.code or by_email.code}"]
    found = []
    if any((*by_id.data.values(), *by_email.data.values())):
        found.append("a server gives the customer out")
    if by_id.reasons != {"ERASED"}:
        found.append("a server does not say that the customer was erased")
    return found


async def step_of(site: Deployment, customer: str) -> str | None:
    """The last step that an erasure has done, `begun` for none, or None where it was not begun."""
    erasure = await site.keys["erasures"].find_one({"_id": customer})
    return None if erasure is None else erasure["done"] or "begun"


async def finished(site: Deployment, customer: str, seconds: float = 30.0) -> bool:
    """Wait for an erasure to be finished by whoever does."""
    deadline = time.monotonic() + seconds
    while await step_of(site, customer) != "finished":
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True


class Eraser:
    """A server that is killed while it erases a customer of its own."""

    def __init__(self, site: Deployment, server: Server, number: int) -> None:
        self._site = site
        self._server = server
        self.email = f"customer{number}@example.org"
        self.customer = ""
        self.step: str | None = None
        self.acknowledged = False

    async def prepare(self) -> "Eraser":
        """Create the customer, once the server is ready."""
        await self._server.ready()
        self.customer = await self._site.create(self._server, givenName=NAME, email=self.email)
        await buy(self._site, self.customer)
        return self

    async def run(self, seconds: float) -> None:
        """Begin to erase, and be killed so many seconds later."""
        erasing = asyncio.create_task(self._site.ask(self._server, READER, ERASE, id=self.customer))
        await asyncio.sleep(seconds)
        await self._server.kill()
        with contextlib.suppress(httpx.TransportError):
            self.acknowledged = (await erasing).code is None
        self.step = await step_of(self._site, self.customer)

    async def faults(self, other: Server) -> list[str]:
        """What is wrong, once everything that was begun should have been finished."""
        if self.step is not None:
            return await remains(self._site, self.customer, self.email, other)
        kept = await self._site.ask(other, READER, NAMES, id=self.customer)
        if self.acknowledged or kept.data["profile"]["givenName"] != NAME:
            return ["an erasure that was not begun took something away"]
        return []


async def kill_eraser(
    site: Deployment, *, kills: int, seed: int, at_once: int = 3, scanner: Scanner | None = None
) -> Outcome:
    """Erase so many customers, killing each time who does it; others or new processes have to finish, in turn.

    After each round nothing of them may stand in any byte that `scanner` looks at.
    """
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    other = await site.served()
    steps: Counter[str] = Counter()
    faults: list[str] = []
    for start in range(0, kills, at_once):
        servers = [await site.serve() for _ in range(min(at_once, kills - start))]
        erasers = [await Eraser(site, server, start + each).prepare() for each, server in enumerate(servers)]
        # All at nearly the same moment: an erasure waits for a process that died before it.
        moment = dice.uniform(0.0, 0.6)
        await asyncio.gather(*(eraser.run(moment + dice.uniform(0.0, 0.05)) for eraser in erasers))
        steps.update(eraser.step or "nothing" for eraser in erasers)
        if any(eraser.acknowledged and eraser.step != "finished" for eraser in erasers):
            faults.append("an erasure was acknowledged before it was finished")
        begun = [eraser.customer for eraser in erasers if eraser.step is not None]
        if start // at_once % 2:
            await (await site.served()).stop()
            if any([await step_of(site, each) != "finished" for each in begun]):
                faults.append("a process serves that has not finished the erasures before")
        elif not all([await finished(site, each) for each in begun]):
            faults.append("nobody finished an erasure")
        for eraser in erasers:
            faults += await eraser.faults(other)
        faults += await kept_once(site)
        if scanner is not None:
            faults += await scanner.faults([NAME, *(eraser.email for eraser in erasers)])
    await other.stop()
    counted = ", ".join(f"{count} after {step}" for step, count in steps.most_common())
    looked = "" if scanner is None else f"; every byte looked at {scanner.looks} times"
    return Outcome(kills, kills, 0, kills, 0, faults, note=f"killed {counted}{looked}")
