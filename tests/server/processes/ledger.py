"""What clients were told, and whether what is stored says the same."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from audit import Kind, Record
from tests.server.processes.deployment import Deployment


@dataclass(frozen=True)
class Told:
    """An answer: the case the request stated, the entry the answer named, and whether it acknowledged a write."""

    case: str
    entry: str
    wrote: bool


@dataclass
class Expected:
    """What must be known of one customer. What was asked for and not answered may have happened, once."""

    id: str
    email: str
    names: list[str]
    """The name that was acknowledged last, and those asked for after it."""
    owner: int
    """Which client changes it: no two change one at the same time."""
    changes: int = 0
    """Acknowledged changes."""
    doubtful: int = 0
    """Changes asked for and not answered."""
    consents: list[str] = field(default_factory=list)
    """The sources of acknowledged decisions."""
    doubtful_consents: list[str] = field(default_factory=list)

    def acknowledged(self, name: str) -> None:
        self.names = [name]
        self.changes += 1

    def unanswered(self, name: str) -> None:
        self.names.append(name)
        self.doubtful += 1


@dataclass
class Ledger:
    """Everything that clients were told."""

    told: list[Told] = field(default_factory=list)
    customers: dict[str, Expected] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    """Faults that clients saw themselves."""

    async def faults(self, site: Deployment) -> list[str]:
        """What is stored and should not be, or the other way round."""
        records = await site.records()
        return [*self.reads, *unrecorded(self.told, records), *await self._customers(site)]

    async def _customers(self, site: Deployment) -> list[str]:
        documents = {each["_id"]: each for each in await site.main["profiles"].find({}).to_list(None)}
        decisions = Counter(
            (each["customer_id"], each["source"]) for each in await site.main["consent_ledger"].find({}).to_list(None)
        )
        found = []
        for expected in self.customers.values():
            document = documents.get(expected.id)
            if document is None:
                found.append("an acknowledged profile is not there")
                continue
            applied = document["version"] - 1
            if not expected.changes <= applied <= expected.changes + expected.doubtful:
                found.append(
                    f"{expected.changes} changes acknowledged, {expected.doubtful} more asked, {applied} made"
                )
            found += [
                f"a decision was recorded {decisions[expected.id, source]} times"
                for source in expected.consents
                if decisions[expected.id, source] != 1
            ]
            found += [
                "a decision was recorded more than once"
                for source in expected.doubtful_consents
                if decisions[expected.id, source] > 1
            ]
        return found


def unrecorded(told: Iterable[Told], records: Mapping[str, Record]) -> list[str]:
    """Answers without their record, and acknowledged writes without theirs."""
    writes = Counter(record.case for record in records.values() if record.kind is Kind.WRITE)
    found = []
    for each in told:
        record = records.get(each.entry)
        if record is None:
            found.append("an answer left without its record")
        elif record.case != each.case:
            found.append("an answer named another request's record")
        if each.wrote and writes[each.case] != 1:
            found.append(f"a write has {writes[each.case]} records")
    return found
