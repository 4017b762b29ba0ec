"""Wires everything together: the one place where settings become clients, keys, policies and use cases."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from audit import AccessLog
from customers.access import Access
from customers.caller import Caller
from customers.collection.event_store import EventStore
from customers.collection.intake import Intake
from customers.collection.sources import SourceStore
from customers.collection.webhooks.requests import PrivacyIntake
from customers.collection.wiring import Collecting, collecting
from customers.consent.counting import ConsentCounter
from customers.consent.notices import NoticeStore
from customers.consent.service import ConsentService
from customers.consent.store import ConsentStore
from customers.consent.unsubscribe import Unsubscriber
from customers.disclosure import Disclosure, Request
from customers.identity.finding import Matching
from customers.identity.resolution import Resolver
from customers.identity.review import Reviewer
from customers.jobs import JobStore
from customers.oversight.break_glass import BreakGlass
from customers.oversight.exports import AccessLogExports
from customers.profiles.service import ProfileGateway
from customers.profiles.store import CustomerStore
from customers.profiles.writing import ProfileWriter
from customers.quality import CorrectionQueue, QualityService, load_standards
from customers.rights.certificates import CertificateStore
from customers.rights.erase import Eraser
from customers.rights.keeping import Keeper
from customers.rights.portability import Copies
from customers.rights.recipients import DeliveryStore, Reach, RecipientNotices, RecipientService, RecipientStore
from customers.rights.requests import Kind as RequestKind
from customers.rights.requests import RequestService, RequestStore
from customers.rights.retained import RetainedStore
from schema.context import Services
from server.access import Authenticator, LocalIssuer, Revocations, ServiceAccounts
from server.access.portal_sessions import PortalSessionStore
from server.access.sign_in_links import LinkStore
from server.alarms import alarm_of
from server.audit_log import SignedLog
from server.clock import Now, utc_now
from server.database import Database
from server.embedded import Engine
from server.foundation import Foundation, PolicyHolder, open_foundation
from server.logs import Event, log
from server.settings import Settings
from server.trusted_documents import TrustedDocuments
from vault import Vault

_EXPORTS = "exports"
_COPIES = "copies"


@dataclass(frozen=True)
class Platform:
    """A running platform, without the HTTP server."""

    settings: Settings
    policies: PolicyHolder
    main: Database
    keys: Database
    audit: Database
    engine: Engine | None
    vault: Vault
    log: AccessLog
    signed: SignedLog
    exports: AccessLogExports
    reviewer: Reviewer
    matching: Matching
    unsubscriber: Unsubscriber
    services: Services
    requests: RequestService
    copies: Copies
    sources: SourceStore
    collecting: Collecting
    accounts: ServiceAccounts
    revocations: Revocations
    authenticator: Authenticator
    issuer: LocalIssuer
    documents: TrustedDocuments
    now: Now

    @property
    def break_glass(self) -> BreakGlass:
        """Lets staff see more in an emergency."""
        if self.services.break_glass is None:
            raise RuntimeError
        return self.services.break_glass

    @property
    def intake(self) -> Intake:
        """Takes events in."""
        return self.collecting.intake

    async def announce_shard(self) -> None:
        """Say in the list of processes which shard of the log this one writes to, so that nobody closes it."""
        mine = {"_id": self.vault.fleet.process_id}
        await self.keys["processes"].update_one(mine, {"$set": {"shard": self.log.shard}})

    async def living_shards(self) -> set[str]:
        """The shards of the log that processes with a lease write to."""
        found = await self.keys["processes"].find({}, {"shard": 1}).to_list(None)
        return {process["shard"] for process in found if "shard" in process}

    def access(
        self,
        actor: str,
        roles: tuple[str, ...],
        purpose: str,
        *,
        operation: str | None = None,
        case: str | None = None,
    ) -> Access:
        """The access of a command on this machine, gated and recorded like anybody's."""
        caller = Caller(actor, roles, None, None, None, frozenset(), None)
        grant = self.policies.current.decide(roles, purpose)
        return Access(caller, grant, Disclosure(Request(caller, purpose, case, operation, None, None), grant))


@contextlib.asynccontextmanager
async def open_platform(
    settings: Settings, *, answering: bool = False, replay: bool = True, now: Now = utc_now
) -> AsyncIterator[Platform]:
    """Everything but the HTTP server: keys open, log open, erasures that died finished, backups' ghosts removed.

    Args:
        settings: The deployment's settings.
        answering: Somebody waits for every answer, so a database that is away is given up on within a read's
            deadline. Other work has the patience for a replica set to elect its primary.
        replay: False where that is what is to be mended: erasures are neither replayed nor finished.
        now: The time.

    Raises:
        ServerError, VaultError, AuditError, PoliciesError: What keeps the platform from serving; the message says
            what to do.
    """
    async with contextlib.AsyncExitStack() as stack:
        base = await stack.enter_async_context(open_foundation(settings, answering=answering, now=now))
        people = await _open_people(base)
        # Before anything is served: nobody comes back from a backup.
        if replay:
            erasures = base.databases.keys["erasures"]
            unfinished = await erasures.find({"open": True}, {"leaf": 1}).to_list(None)
            await people.eraser.replay([each["leaf"] for each in unfinished])
        await base.vault.start()
        stack.push_async_callback(base.vault.stop)
        sources = SourceStore(base.databases.main, now=now, random=base.random, sealing=base.vault)
        gathered = await stack.enter_async_context(_collecting(base, people, sources))
        if replay and (resumed := await people.eraser.resume()):
            log(Event.ERASURE_RESUMED, count=resumed)
        exports = _exports(base)
        await exports.open()
        stack.push_async_callback(exports.close)
        platform = await _assembled(base, people, sources, gathered, exports)
        await platform.announce_shard()
        yield platform


@dataclass(frozen=True)
class _People:
    """What knows customers, and how they go."""

    store: CustomerStore
    consents: ConsentStore
    reviewer: Reviewer
    gateway: ProfileGateway
    writer: ProfileWriter
    requests: RequestStore
    jobs: JobStore
    eraser: Eraser


async def _open_people(base: Foundation) -> _People:
    main, vault, now = base.databases.main, base.vault, base.now
    store, consents = CustomerStore(main), ConsentStore(main, now=now)
    requests, jobs, retained = RequestStore(main), JobStore(main, now=now), RetainedStore(main)
    asked = PrivacyIntake(main, blind=vault.blind, digest=vault.digest, now=now)
    links = LinkStore(main, now=now, random=base.random)
    sessions = PortalSessionStore(main, now=now, random=base.random)
    await links.prepare()
    await sessions.prepare()
    deliveries = DeliveryStore(main)
    for each in (store, consents, asked, requests, jobs, retained, deliveries):
        await each.prepare()
    recipients = RecipientStore(main, sealing=vault, random=base.random)
    reach = Reach(consents, EventStore(main), lambda: base.policy().purposes)
    notices = RecipientNotices(recipients, deliveries, jobs, store, vault, reach, now=now)

    async def sign_out(customer_ids: Sequence[str]) -> None:
        await links.forget(customer_ids)
        await sessions.forget(customer_ids)

    reviewer = await Reviewer.open(
        main, store, vault, base.log, base.policy, now=now, random=base.random, parted=sign_out
    )
    eraser = Eraser(
        store,
        consents,
        vault,
        base.log,
        policy_version=lambda: base.policy().version,
        now=now,
        certificates=CertificateStore(main),
        keeper=Keeper(store, retained, vault, base.policy, now=now),
        retained=retained,
        deployment=base.signed.keys.log,
        free=requests.require_free,
        forget=(
            reviewer.forget,
            CorrectionQueue(main, now=now, random=base.random).forget,
            EventStore(main).remove,
            asked.settle,
            lambda customer_ids: requests.settle(customer_ids, now()),
            sign_out,
            jobs.forget,
            lambda customer_ids: deliveries.forget(customer_ids, now()),
        ),
        telling=notices,
    )
    writer = ProfileWriter(
        store,
        consents,
        vault,
        base.log,
        base.policy,
        now=now,
        random=base.random,
        correcting=notices.correcting,
        restricting=notices.restricting,
    )
    gateway = ProfileGateway(store, vault, base.policy().catalogue, now=now)
    return _People(store, consents, reviewer, gateway, writer, requests, jobs, eraser)


def _recipients(base: Foundation, people: _People) -> RecipientService:
    main = base.databases.main
    return RecipientService(
        RecipientStore(main, sealing=base.vault, random=base.random),
        DeliveryStore(main),
        people.jobs,
        people.store,
        base.vault,
        Reach(people.consents, EventStore(main), lambda: base.policy().purposes),
        base.policy,
        now=base.now,
    )


def _collecting(
    base: Foundation, people: _People, sources: SourceStore
) -> contextlib.AbstractAsyncContextManager[Collecting]:
    resolver = Resolver(
        people.store, base.vault, people.writer, people.reviewer, base.policy, now=base.now, random=base.random
    )
    return collecting(
        base.databases.main,
        customers=people.store,
        consents=people.consents,
        people=resolver,
        sources=sources,
        vault=base.vault,
        log=base.log,
        policies=base.policy,
        now=base.now,
        random=base.random,
        failed=base.failed,
    )


def _exports(base: Foundation) -> AccessLogExports:
    return AccessLogExports(
        base.settings.data_dir / _EXPORTS,
        base.signed.reader,
        base.signed.rosters,
        base.signed.checkpointer,
        base.log,
        now=base.now,
        random=base.random,
        failed=base.failed,
    )


async def _assembled(
    base: Foundation, people: _People, sources: SourceStore, gathered: Collecting, exports: AccessLogExports
) -> Platform:
    main, settings, now = base.databases.main, base.settings, base.now
    copies = Copies(
        settings.data_dir / _COPIES,
        people.gateway,
        gathered.gateway,
        people.consents,
        base.log,
        base.vault,
        base.policy().catalogue,
        now=now,
        random=base.random,
        recipients=_recipients(base, people),
    )
    requesting = RequestService(
        people.requests,
        people.store,
        base.vault,
        base.log,
        people.writer,
        people.eraser,
        people.jobs,
        base.policy,
        now=now,
        random=base.random,
        exporting=copies,
        four_eyes=frozenset(map(RequestKind, settings.four_eyes)),
    )
    matching = await Matching.open(
        main,
        people.store,
        base.vault,
        base.log,
        people.reviewer,
        base.policy,
        tenant=settings.tenant,
        now=now,
        random=base.random,
    )
    return Platform(
        settings=settings,
        policies=base.policies,
        main=main,
        keys=base.databases.keys,
        audit=base.databases.audit,
        engine=base.databases.engine,
        vault=base.vault,
        log=base.log,
        signed=base.signed,
        exports=exports,
        reviewer=people.reviewer,
        matching=matching,
        unsubscriber=Unsubscriber(people.writer, base.vault, base.policy, now=now),
        services=await _services(base, people, gathered, exports, requesting),
        requests=requesting,
        copies=copies,
        sources=sources,
        collecting=gathered,
        accounts=base.entrance.accounts,
        revocations=base.entrance.revocations,
        authenticator=base.entrance.authenticator,
        issuer=base.entrance.issuer,
        documents=base.documents,
        now=now,
    )


async def _services(
    base: Foundation,
    people: _People,
    gathered: Collecting,
    exports: AccessLogExports,
    requesting: RequestService,
) -> Services:
    """What GraphQL is given."""
    main, now = base.databases.main, base.now
    alarm = alarm_of(main, base.settings.alarm_addresses, now)
    glass = BreakGlass(
        main,
        base.vault,
        base.log,
        base.policy,
        now=now,
        random=base.random,
        alarm=alarm,
        most_people=base.settings.break_glass_customers,
    )
    await glass.prepare()
    consenting = ConsentService(
        people.gateway,
        people.consents,
        NoticeStore(main, now=now),
        ConsentCounter(people.store, now=now),
        base.log,
        base.policy,
        now=now,
        controller=base.settings.controller,
    )
    quality = await QualityService.open(
        main,
        people.store,
        people.writer,
        base.vault,
        base.log,
        base.policy().catalogue,
        load_standards(base.settings.policy_dir),
        cases=people.reviewer.cases,
        now=now,
        random=base.random,
    )
    return Services(
        gateway=people.gateway,
        writer=people.writer,
        eraser=people.eraser,
        log=base.log,
        vault=base.vault,
        policies=base.policy,
        now=now,
        database_errors=(PyMongoError,),
        exports=exports,
        requests=requesting,
        recipients=_recipients(base, people),
        events=gathered.gateway,
        traits=gathered.traits,
        sources=gathered.sources,
        reviewer=people.reviewer,
        consents=consenting,
        break_glass=glass,
        quality=quality,
    )
