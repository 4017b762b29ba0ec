"""Recipients for people: set up, looked at, and shown to whom it concerns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from customers.access import Access
from customers.errors import ReadNotAllowedError
from customers.jobs import JobState, JobStore
from customers.outgoing import Allowed
from customers.profiles.store import CustomerStore
from customers.rights.recipients.deliveries import DeliveryStore
from customers.rights.recipients.errors import RecipientNotFoundError, RecipientTakenError
from customers.rights.recipients.model import Delivery, Recipient, State, check
from customers.rights.recipients.reach import Member, Reach
from customers.rights.recipients.store import RecipientStore
from customers.rights.recipients.telling import JOB, job_of
from customers.rights.requests.standing import PATH, Person, person_of, require_officer
from policies import PolicySet, Verdict
from vault import DataKey, Vault

DEAD: Final = "dead"


@dataclass(frozen=True, slots=True)
class Followed:
    """A delivery with what has become of its job.

    Attributes:
        delivery: The delivery.
        standing: Its state, or `dead` where it was given up on until a person has it tried again.
        attempts: How often it was tried.
        failure: Why it failed last, as a code.
    """

    delivery: Delivery
    standing: str
    attempts: int
    failure: str | None


class RecipientService:
    """What is done with recipients.

    Args:
        recipients: Who.
        deliveries: What they were told.
        jobs: By which it is.
        customers: The profiles' documents.
        vault: The keys.
        reach: Which recipients have whose data.
        policies: The policy in force.
        now: The time.
    """

    def __init__(
        self,
        recipients: RecipientStore,
        deliveries: DeliveryStore,
        jobs: JobStore,
        customers: CustomerStore,
        vault: Vault,
        reach: Reach,
        policies: Callable[[], PolicySet],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._recipients = recipients
        self._deliveries = deliveries
        self._jobs = jobs
        self._customers = customers
        self._vault = vault
        self._reach = reach
        self._policies = policies
        self._now = now

    async def check(self, recipient: Recipient, allowed: Allowed, authorisation: str | None = None) -> None:
        """Refuse a recipient who cannot be added; as `add`.

        Raises:
            InputInvalidError, RecipientTakenError: They cannot.
        """
        check(recipient, self._policies(), allowed, authorisation)
        if await self._recipients.get(recipient.name) is not None:
            raise RecipientTakenError

    async def add(self, recipient: Recipient, allowed: Allowed, authorisation: str | None = None) -> str:
        """Add a recipient; give the secret that they check signatures with, once.

        Args:
            recipient: Who.
            allowed: Which origins may be asked.
            authorisation: Of OpenDSR: what is sent in the header of this name.

        Raises:
            InputInvalidError, RecipientTakenError: Nothing was added.
        """
        check(recipient, self._policies(), allowed, authorisation)
        return await self._recipients.add(recipient, authorisation)

    async def all(self) -> list[Recipient]:
        """Every recipient, by name."""
        return await self._recipients.all()

    async def disable(self, name: str, *, disabled: bool) -> None:
        """Tell a recipient nothing any more, or again.

        Raises:
            RecipientNotFoundError: There is none.
        """
        await self._recipients.disable(name, disabled=disabled)

    async def deliveries(self, recipient: str | None, state: State | None, limit: int) -> list[Followed]:
        """Deliveries, the latest first; nothing of whom they are about."""
        found = await self._deliveries.listed(recipient, state, limit)
        return [await self._followed(each) for each in found]

    async def retry(self, delivery_id: str) -> None:
        """Have a delivery that was given up on tried again, at once.

        Raises:
            RecipientNotFoundError: There is none, or none that has not ended.
        """
        found = await self._deliveries.get(delivery_id)
        if found is None or found.state is not State.WAITING:
            raise RecipientNotFoundError
        about = () if found.customer_id is None else (found.customer_id,)
        await self._jobs.add([job_of(found, self._now(), *about)])  # where it was removed meanwhile
        await self._jobs.revive(f"{JOB}:{found.id}")

    async def told_of_erasure(self, certificate: str) -> list[Delivery]:
        """Who was told of an erasure and when, for whoever knows its certificate's id."""
        return await self._deliveries.of_certificate(certificate)

    async def told_of(self, access: Access, customer_id: str) -> list[Delivery]:
        """What recipients were told of a person, the latest first: for them, and for those who answer for privacy.

        Inside `Vault.reading`; the caller records what was disclosed.

        Raises:
            ReadNotAllowedError, ProfileNotFoundError: The caller may not know.
        """
        return await self._deliveries.of_customers((await self._noted(access, customer_id)).ids)

    async def given_of(self, access: Access, customer_id: str) -> list[Recipient]:
        """To whom a person's data is given (GDPR Art. 15(1)(c)), by name; as `told_of`."""
        return [each for each in await self.given((await self._noted(access, customer_id)).ids) if not each.disabled]

    async def given(self, customer_ids: Sequence[str]) -> list[Recipient]:
        """To whom data of a person is given, or was, by name; inside `Vault.reading`.

        Args:
            customer_ids: Their profiles: theirs, and those that were merged into it.
        """
        keys = await self._vault.keys(list(customer_ids))
        found = await self._customers.find(list(customer_ids))
        members = [Member(each, key) for each in found if isinstance(key := keys.get(each["_id"]), DataKey)]
        return await self._reach.among(await self._recipients.all(), members)

    async def _noted(self, access: Access, customer_id: str) -> Person:
        person = await person_of(access, customer_id, self._customers, self._vault, self._now())
        if not person.circumstances.own:
            require_officer(access, ReadNotAllowedError)
        ways = access.grant.read[PATH].alternatives
        if not ways or ways[0].verdict is not Verdict.CLEAR:
            raise ReadNotAllowedError([PATH])
        access.disclosure.add_fields({PATH: (Verdict.CLEAR, ways[0].rule)})
        access.disclosure.add_subject(person.key.audit_reference)
        return person

    async def forget(self, customer_ids: Sequence[str]) -> None:
        """These customers are erased."""
        await self._deliveries.forget(customer_ids, self._now())

    async def _followed(self, delivery: Delivery) -> Followed:
        job = await self._jobs.get(f"{JOB}:{delivery.id}")
        standing = delivery.state.value
        if delivery.state is State.WAITING and job is not None and job.state is JobState.DEAD:
            standing = DEAD
        attempts = 0 if job is None else job.attempt
        return Followed(delivery, standing, attempts, None if job is None else job.failure)
