"""Recipients over a world: a clock that the test sets, real servers on loopback, and jobs that are carried out."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from customers.collection.event_store import EventStore
from customers.jobs import JobRunner, JobStore
from customers.outgoing import Allowed, Limits, OutgoingClient
from customers.profiles.writing import ProfileWriter
from customers.rights.certificates import CertificateStore
from customers.rights.erase import Eraser
from customers.rights.keeping import Keeper
from customers.rights.recipients import (
    JOB,
    RETRIES,
    Deliverer,
    DeliveryStore,
    Reach,
    Recipient,
    RecipientKind,
    RecipientNotices,
    RecipientService,
    RecipientStore,
)
from customers.rights.retained import RetainedStore
from server.signed_answers import proven
from tests.schema.world import OFFICER
from vault import ErasureStep

START = datetime(2030, 1, 7, 9, 0, tzinfo=UTC)  # after whatever the worlds did when they were made
FIELDS = ("profile.email", "profile.city", "profile.birth_date")
LIMITS = Limits(seconds=5.0, attempts=1)


class Office:
    """Everything about recipients over one world."""

    def __init__(self, world, *, main=None):
        self.world = world
        self.now = START
        main = world.main if main is None else main
        self.recipients = RecipientStore(main, sealing=world.vault, random=os.urandom)
        self.deliveries = DeliveryStore(main)
        self.jobs = JobStore(main, now=self.clock)
        reach = Reach(world.consents, EventStore(world.main), lambda: world.policies.purposes)
        self.notices = RecipientNotices(
            self.recipients, self.deliveries, self.jobs, world.store, world.vault, reach, now=self.clock
        )
        self.service = RecipientService(
            self.recipients,
            self.deliveries,
            self.jobs,
            world.store,
            world.vault,
            reach,
            lambda: world.policies,
            now=self.clock,
        )
        retained = RetainedStore(world.main)
        self.eraser = Eraser(
            world.store,
            world.consents,
            world.vault,
            world.log,
            policy_version=lambda: world.policies.version,
            now=self.clock,
            certificates=CertificateStore(world.main),
            keeper=Keeper(world.store, retained, world.vault, lambda: world.policies, now=self.clock),
            retained=retained,
            deployment="main",
            forget=(self.service.forget, self.jobs.forget),
            telling=self.notices,
        )
        self.writer = ProfileWriter(
            world.store,
            world.consents,
            world.vault,
            world.log,
            lambda: world.policies,
            now=self.clock,
            random=os.urandom,
            correcting=self.notices.correcting,
            restricting=self.notices.restricting,
        )

    async def notices_only(self, step, erasure):
        """The steps of an erasure that prepare what is told, and nothing of the end."""
        if step is ErasureStep.DRAINED:
            await self.notices.prepare(erasure)

    def clock(self):
        return self.now

    def wait(self, **time):
        self.now += timedelta(**time)

    async def empty(self):
        for name in ("recipients", "recipient_deliveries", "recipient_notices"):
            await self.world.main[name].delete_many({})
        await self.deliveries.prepare()
        return self

    def recipient(self, url, **other):
        made = Recipient("newsletter", RecipientKind.WEBHOOK, url, ("email",), FIELDS, self.now)
        return replace(made, **other)

    async def add(self, server, *, authorisation=None, **other):
        """Add a recipient at a server; gives its secret."""
        found = self.recipient(server.url("/told"), **other)
        return await self.service.add(found, Allowed([server.url("")]), authorisation)

    async def change(self, customer_id, values, role="support_agent", purpose="customer_service", **who):
        async with self.world.vault.reading():
            await self.writer.update(self.world.access(role, purpose, **who), customer_id, values)

    async def erase(self, customer_id):
        return await self.eraser.erase(self.world.access(*OFFICER), customer_id)

    def runner(self, client, *, random=os.urandom, failed=None, retries=RETRIES, process="one"):
        """What carries out deliveries; a fault that nobody foresaw fails the test."""
        deliverer = Deliverer(
            self.recipients,
            self.deliveries,
            self.world.store,
            self.world.vault,
            self.world.log,
            client,
            lambda: self.world.policies.catalogue,
            access=lambda: self.world.access(*OFFICER, actor="confide"),
            proving=proven,
            now=self.clock,
        )
        return JobRunner(
            self.jobs, {JOB: deliverer.deliver}, process, now=self.clock, random=random, failed=failed or raising,
            retries=retries,
        )  # fmt: skip

    def client(self, *allowed, **options):
        return OutgoingClient(Allowed(allowed), LIMITS, random=os.urandom, **options)

    async def run(self, *servers):
        """Have what is due delivered; gives how many jobs that was."""
        async with self.client(*(each.url("") for each in servers)) as client:
            return await self.runner(client).run_due()

    async def sweep(self):
        return await self.notices.sweep(self.eraser.destroy)

    async def states(self):
        return {each.delivery.recipient: each.standing for each in await self.service.deliveries(None, None, 100)}


def raising(error):
    raise error


def heard(request):
    """The headers, in lower case, and the body of a request that a server was sent."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return {name.lower(): value for name, value in headers.items()}, json.loads(body)
