"""Who was merged into whom, by audit references: so that a person counts once, of however many profiles they are.

A record of the log names every profile that was read as a subject of its own, and does not say which are one person's.
The profiles do. Whoever was erased is in no profile: their references stay as many as they were.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from customers.disclosure import reference_text
from customers.profiles.joined import MERGED_INTO
from customers.profiles.store import CustomerStore
from vault import DataKey, Vault

_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class People:
    """Where people's profiles and keys are. No reference leaves this by which somebody could be told."""

    store: CustomerStore
    vault: Vault

    async def joined(self, met: Callable[[str], bool]) -> AsyncIterator[tuple[str, str]]:
        """The references of every merged profile that was met, each with that of the profile it is part of.

        Args:
            met: Whether a reference is of interest.

        Raises:
            vault.VaultError: A key cannot be used.
        """
        after = 0
        while documents := await self.store.page(
            {MERGED_INTO: {"$ne": None}}, after=after, limit=_AT_ONCE, projection={"seq": 1, MERGED_INTO: 1}
        ):
            after = documents[-1]["seq"]
            async with self.vault.reading():
                parts = await self._references({each["_id"] for each in documents})
                wanted = {each["_id"]: each[MERGED_INTO] for each in documents if each["_id"] in parts}
                wanted = {part: into for part, into in wanted.items() if met(parts[part])}
                survivors = await self._references(set(wanted.values()))
            for part, into in wanted.items():
                if into in survivors:
                    yield parts[part], survivors[into]

    async def _references(self, customer_ids: set[str]) -> dict[str, str]:
        keys = await self.vault.keys(sorted(customer_ids))
        return {each: reference_text(key.audit_reference) for each, key in keys.items() if isinstance(key, DataKey)}
