"""Follows the access log of a deployment from round to round, and verifies it as an auditor would."""

import asyncio
import json
import sys
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from audit import Head, Record, decode_record
from tests.server.processes.deployment import Deployment
from tests.server.processes.ledger import Told, unrecorded
from tests.server.processes.starting import ROOT

SECOND = ROOT / "scripts" / "verify_audit_bundle.py"


@dataclass
class LogWatch:
    """What was seen of the log so far: each shard's head, which it may grow out of and never go behind."""

    site: Deployment
    heads: dict[str, Head] = field(default_factory=dict)
    verified: int = 0
    """How often the whole log was exported and verified."""
    _settled: set[str] = field(default_factory=set)

    async def look(self, told: Iterable[Told]) -> list[str]:
        """What is wrong with the shards that may have grown since the last look, and with these answers' records.

        To be called when the process that gave the answers is dead, and before the next one runs.
        """
        found: list[str] = []
        records: dict[str, Record] = {}
        for shard in await self.site.log.shards():
            if shard in self._settled:
                continue
            check = await self.site.log.verify_shard(shard, known=self.heads.get(shard))
            if not check:
                found.append(f"a shard is not whole: {check.fault}")
            if shard in self.heads:  # nobody wrote to it since the last look but an insert that was under way
                self._settled.add(shard)
            self.heads[shard] = check.head
            async for batch in self.site.log.batches(shard, check.head.size):
                first = batch.first
                records |= {f"{shard}.{first + at}": decode_record(data) for at, data in enumerate(batch.records)}
        return [*found, *unrecorded(told, records)]

    async def verify(self, told: Sequence[Told]) -> list[str]:
        """Export the whole log, have both verifiers look at it beside the witness, and look up every answer in it."""
        self.verified += 1
        bundle = self.site.directory / f"bundle-{self.verified}.zip"
        witness = self.site.data / "witness"
        key = (await self.site.confide("audit", "key")).out.strip()
        exported = await self.site.confide("audit", "export", bundle, seconds=600)
        if exported.code:
            return [f"the log cannot be exported: {exported.err[-500:]}"]
        # What a scheduled checkpoint signs meanwhile is not in the export.
        seen = self.site.directory / f"witness-{self.verified}"
        seen.mkdir()
        rosters = _rosters(bundle)
        for path in sorted(witness.glob("*.note")):
            if not path.name.startswith("roster-") or int(path.name[7:19]) <= rosters:
                (seen / path.name).hardlink_to(path)
        found = []
        verdict = await self.site.confide(
            "audit", "verify", bundle, "--key", key, "--witness", seen, "--json", seconds=600
        )
        if verdict.code or not verdict.json["ok"]:
            found.append(f"the verifier says: {verdict.out[:1000]} {verdict.err[-500:]}")
        second = await asyncio.create_subprocess_exec(
            sys.executable, SECOND, bundle, key, seen, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await second.communicate()
        if second.returncode:
            found.append(f"the second verifier says: {said.decode()[:1000]}")
        entries = _entries(bundle)
        missing = sum(each.entry not in entries for each in told)
        if missing:
            found.append(f"{missing} answers have no record in the export")
        bundle.unlink()
        return found


def _rosters(bundle) -> int:
    with zipfile.ZipFile(bundle) as file:
        return json.loads(file.read("manifest.json"))["rosters"]


def _entries(bundle) -> set[str]:
    with zipfile.ZipFile(bundle) as file, file.open("records.jsonl") as lines:
        return {line[10 : line.index(b'"', 10)].decode() for line in lines}
