"""Makes what new customers are made of, all or none of it: a profile's own document is written last.

So a crash leaves nothing that a reader could see half of, and whoever finds the intention can undo it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from customers.consent.store import ConsentStore
from customers.errors import IdentifierTakenError
from customers.profiles.draft import ProfileDraft
from customers.profiles.made import child_documents, profile_document, rights_of
from customers.profiles.store import Collection, CustomerStore, Document
from policies import PolicySet
from vault import Claim, DataKey, Vault
from vault import IdentifierTakenError as ClaimRefusedError


class ProfileMaker:
    """Writes new customers; who may make them, and their records, are the caller's."""

    def __init__(
        self,
        store: CustomerStore,
        consents: ConsentStore,
        vault: Vault,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._consents = consents
        self._vault = vault
        self._policies = policies
        self._now = now
        self._random = random

    async def begin(self, customer_ids: Sequence[str]) -> dict[str, DataKey]:
        """Note that these customers are about to be made, and make their keys.

        From here until it is settled, whoever finds the intention can undo what is half done.
        """
        await self._store.begin(customer_ids, self._vault.fleet.process_id, self._now())
        return await self._vault.create_keys(customer_ids)

    async def make(self, made: Mapping[str, ProfileDraft], keys: Mapping[str, DataKey]) -> None:
        """Make these customers, whose making was begun.

        Raises:
            IdentifierTakenError: Another profile has one of the identifiers; none is made.
        """
        claims = [
            Claim(each.type, each.value, customer_id)
            for customer_id, draft in made.items()
            for each in draft.identifiers
        ]
        try:
            await self._vault.blind.claim_many(claims)
            await self._insert(made, keys)
        except ClaimRefusedError as error:
            raise IdentifierTakenError("identifier") from error
        except BaseException as error:
            whole = await asyncio.shield(self._settle(list(made)))
            if not whole or not isinstance(error, Exception):
                raise
        with contextlib.suppress(Exception):  # they are there; whoever finds the intention again sees that
            await self._store.finish(list(made))

    async def _insert(self, made: Mapping[str, ProfileDraft], keys: Mapping[str, DataKey]) -> None:
        """Insert what these customers have, each profile after all that belongs to it."""
        now, policies = self._now(), self._policies()
        catalogue = policies.catalogue
        first = await self._store.next_sequence(len(made))
        profiles: list[Document] = []
        orders: list[Document] = []
        tickets: list[Document] = []
        for number, (customer_id, draft) in enumerate(made.items(), first):
            key = keys[customer_id]
            rights = rights_of(draft, policies.purposes)
            profiles.append(profile_document(draft, rights, catalogue, key, seq=number, now=now))
            orders += child_documents(Collection.ORDERS, draft.orders, catalogue, key, random=self._random)
            tickets += child_documents(Collection.TICKETS, draft.tickets, catalogue, key, random=self._random)
        await self._store.insert(Collection.ORDERS, orders)
        await self._store.insert(Collection.TICKETS, tickets)
        await self._consents.append(
            ((customer_id, decision) for customer_id, draft in made.items() for decision in draft.consents), keys
        )
        await self._store.insert(Collection.PROFILES, profiles)

    async def _settle(self, customer_ids: Sequence[str]) -> bool:
        """After a failure, make it all or nothing: whether all these customers were created all the same.

        Otherwise whatever did get there goes, and above all the identifiers, which nobody else could have while they
        are held. Where the database does not even take this, what is left is seen by no reader.
        """
        with contextlib.suppress(Exception):  # the error that brought us here is the one to tell
            if len(await self._store.find(customer_ids, {"seq": 1})) == len(customer_ids):
                return True
            await self._store.withdraw(customer_ids)
            for customer_id in customer_ids:
                await self._vault.blind.release_all(customer_id)
            await self._consents.remove(customer_ids)
            await self._store.remove(customer_ids)
        return False
