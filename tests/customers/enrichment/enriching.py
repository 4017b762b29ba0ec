"""Enrichments over a world: a definition, a provider that remembers what it was asked, and a run."""

import os
import textwrap

from customers.disclosure import Disclosure, Request
from customers.enrichment import ROLE, EnrichmentService, Parts, load_definition
from customers.enrichment.errors import LookupFailedError
from customers.enrichment.running import run
from customers.enrichment.runs import RunStore
from customers.outgoing import Allowed

REGION = """
    version = 1
    name = "region"
    purpose = "data_enrichment"
    basis = "legitimate_interests"
    source = "Postal directory 2026"
    licence = "ODbL 1.0"
    expires_after = "P180D"
    provider = "csv_table"
    [key]
    country = "country"
    postal_code = "code"
    [writes]
    region = "area"
    "traits.setting" = { from = "setting", category = "user.location.coarse" }
    [csv_table]
    path = "table.csv"
"""
AGREED = REGION.replace("data_enrichment", "consented_enrichment").replace("legitimate_interests", "consent")
TABLE = "country,code,area,setting\nDE,20001,north,rural\nDE,20002,south,urban\nDE,20003,Not A Region,urban\n"


def defined(tmp_path, text=REGION, table=TABLE, policies=None):
    """The definition in a file, with its table beside it."""
    path = tmp_path / "region.toml"
    path.write_text(textwrap.dedent(text))
    (tmp_path / "table.csv").write_text(table)
    return load_definition(path, policies)


class Remembering:
    """A provider that remembers every key it was sent; a working stand-in for a service elsewhere."""

    def __init__(self, known, *, recipient="geo.example", at_once=3, before_answer=None):
        self.known = known
        self.recipient = recipient
        self.at_once = at_once
        self.heard = []
        self.before_answer = before_answer

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def look_up(self, key, *, before):
        await before()
        self.heard.append(key)
        if self.before_answer is not None:
            await self.before_answer(key)
        found = self.known.get(key)
        if found is LookupFailedError:
            raise LookupFailedError
        return found


def sent(code, country="DE"):
    return (("country", country), ("code", code))


class Enriching:
    """What a test does with enrichment."""

    def __init__(self, world, now):
        self.world = world
        self.parts = Parts(
            world.services.gateway,
            world.store,
            world.writer,
            world.vault,
            world.log,
            lambda: world.policies,
            now,
            os.urandom,
        )
        self.runs = RunStore(world.main, now=now, random=os.urandom)

    def access(self, definition, operation="enrich"):
        access = self.world.access(ROLE, definition.purpose)
        access.disclosure = Disclosure(
            Request(access.caller, definition.purpose, None, operation, None, None), access.grant
        )
        return access

    async def run(self, definition, provider, **kwargs):
        return await run(self.parts, self.runs, self.access(definition), definition, provider, **kwargs)

    async def service(self):
        return await EnrichmentService.open(self.world.main, self.parts, Allowed())

    async def expire(self):
        return await (await self.service()).expire(self.world.access(ROLE, "retention"))
