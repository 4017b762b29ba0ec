"""Random tamperings with a stored log, one after another, and what became of them: a part of `scripts/faults audit`."""

from collections import Counter
from dataclasses import dataclass, field

from tests.audit.stored_tamperings import StoredTamperer


@dataclass
class Tally:
    """How many were made of each kind, who named the place, and what was missed."""

    made: Counter[str] = field(default_factory=Counter)
    by_log: Counter[str] = field(default_factory=Counter)
    by_bundle: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    """Found, but not where it was."""
    examples: list[str] = field(default_factory=list)


async def tamper(stored, path, pick, count, *, kinds=(), said=lambda _number: None, **how):
    """Tamper so often with the log, each time as if it were the first."""
    tamperer = StoredTamperer(pick, stored)
    tamperer.kinds = [getattr(tamperer, name) for name in kinds] or tamperer.kinds
    tally = Tally()
    for number in range(count):
        tampering = tamperer.next()
        found = await stored.found(tampering, path, **how)
        tally.made[tampering.name] += 1
        named = found.names(tampering.where)
        if named is not None:
            (tally.by_log if named == "log" else tally.by_bundle)[tampering.name] += 1
        else:
            (tally.lost if found else tally.missed)[tampering.name] += 1
            tally.examples.append(f"{tampering.name} at {tampering.where}: {found.log + found.bundle}")
        said(number + 1)
    return tally
