"""Wires everything together: the one place where settings become clients, keys, policies and use cases."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
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
from customers.oversight.exports import AccessLogExports
from customers.profiles.service import ProfileGateway
from customers.profiles.store import CustomerStore
from customers.profiles.writing import ProfileWriter
from customers.quality import CorrectionQueue, QualityService, load_standards
from customers.rights.certificates import CertificateStore
from customers.rights.erase import Eraser
from customers.rights.keeping import Keeper
from customers.rights.portability import Copies
from customers.rights.requests import RequestService, RequestStore
from customers.rights.retained import RetainedStore
from policies import PoliciesError, PolicySet, load_policies
from schema.context import Services
from server import root_keys
from server.access import Authenticator, LocalIssuer, Revocations, ServiceAccounts, TokenVerifier, trusted_issuers
from server.audit_log import SignedLog, signed_log
from server.clock import Now, utc_now
from server.database import Database
from server.databases import PATIENCE_SECONDS, open_databases
from server.engine import EmbeddedEngine
from server.logs import Event, log
from server.settings import Settings
from vault import Epoch, Vault

_AUDIT_SECONDS = 5.0
_EXPORTS = "exports"
_COPIES = "copies"
# A request that finds a database missing looks for it once and then for the access log, to record that it failed:
# within its deadline, so that it can say which one is missing.
_SHARE_OF_A_READ = 0.4


@dataclass(frozen=True)
class Platform:
    """A running platform, without the HTTP server."""

    settings: Settings
    policies: "PolicyHolder"
    main: Database
    keys: Database
    audit: Database
    engine: EmbeddedEngine | None
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
    now: Now

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


class PolicyHolder:
    """The policy set that decides now. A broken directory leaves the old one in force."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self.current: PolicySet = load_policies(directory)

    async def reload(self) -> None:
        """Load the policies again. Another catalogue takes a restart."""
        try:
            found = load_policies(self._directory)
        except PoliciesError as error:
            log(Event.POLICY_REFUSED, error=error)
            return
        if found.catalogue.version != self.current.catalogue.version:
            # What is sealed, and with what, is fixed while a process runs.
            log(Event.POLICY_REFUSED, check="catalogue_changed")
            return
        self.current = found
        log(Event.POLICY_LOADED, version=found.version)


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
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    policies = PolicyHolder(settings.policy_dir)
    keys = [root_keys.open_root_key(settings)]
    keys += [root_keys.open_root_key(settings, text=text) for text in (settings.next_root_key,) if text is not None]
    async with contextlib.AsyncExitStack() as stack:
        seconds = _SHARE_OF_A_READ * settings.read_deadline_seconds if answering else PATIENCE_SECONDS
        databases = await stack.enter_async_context(open_databases(settings, seconds=seconds))
        vault = Vault(
            databases.main,
            databases.keys,
            ring_path=root_keys.ring_path(settings),
            root_keys=keys,
            tenant=settings.tenant,
            now=now,
            random=os.urandom,
            read_seconds=settings.read_deadline_seconds,
        )
        # First of all: an old key ring is refused, and a root key that is not the one that sealed it.
        await vault.open()
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=10.0))
        writing: list[AccessLog] = []
        signed = await signed_log(
            settings, databases.audit, client=client, own_shard=lambda: writing[0].shard if writing else None, now=now
        )
        # Before a shard is opened: nothing is added to a log that is not whole.
        await signed.require_whole()
        access_log = await AccessLog.open(
            databases.audit, now=now, random=os.urandom, patience_seconds=min(seconds, _AUDIT_SECONDS)
        )
        writing.append(access_log)
        # In the other order at the end: the shard is closed, then that is signed.
        stack.push_async_callback(signed.sign_last)
        stack.push_async_callback(access_log.close)
        accounts = ServiceAccounts(databases.keys, now=now, random=os.urandom)
        revocations = Revocations(databases.keys, now=now, max_token_seconds=settings.max_token_seconds)
        await revocations.prepare()
        issuer = LocalIssuer.open(
            settings.data_dir, now=now, random=os.urandom, max_token_seconds=settings.max_token_seconds
        )
        authenticator = Authenticator(
            verifier=TokenVerifier(
                trusted_issuers(settings, local=issuer, client=client, now=now),
                now=now,
                max_token_seconds=settings.max_token_seconds,
            ),
            accounts=accounts,
            revocations=revocations,
            now=now,
        )
        stack.push_async_callback(authenticator.close)

        async def follow_policies() -> None:
            await policies.reload()
            # One that had to keep its old policies says so here, for `confide policy reload` to tell.
            mine = {"_id": vault.fleet.process_id}
            await databases.keys["processes"].update_one(mine, {"$set": {"policy": policies.current.version}})

        vault.fleet.on(Epoch.POLICY, follow_policies)
        vault.fleet.on(Epoch.REVOCATIONS, authenticator.reload)
        store, consents = CustomerStore(databases.main), ConsentStore(databases.main, now=now)
        await asyncio.gather(store.prepare(), consents.prepare())
        reviewer = await Reviewer.open(
            databases.main, store, vault, access_log, lambda: policies.current, now=now, random=os.urandom
        )
        asked = PrivacyIntake(databases.main, blind=vault.blind, digest=vault.digest, now=now)
        await asked.prepare()
        requests, jobs = RequestStore(databases.main), JobStore(databases.main, now=now)
        await asyncio.gather(requests.prepare(), jobs.prepare())
        retained = RetainedStore(databases.main)
        await retained.prepare()
        eraser = Eraser(
            store,
            consents,
            vault,
            access_log,
            policy_version=lambda: policies.current.version,
            now=now,
            certificates=CertificateStore(databases.main),
            keeper=Keeper(store, retained, vault, lambda: policies.current, now=now),
            retained=retained,
            deployment=signed.keys.log,
            forget=(
                reviewer.forget,
                CorrectionQueue(databases.main, now=now, random=os.urandom).forget,
                EventStore(databases.main).remove,
                asked.settle,
                lambda customer_ids: requests.settle(customer_ids, now()),
            ),
        )
        # Before anything is served: nobody comes back from a backup.
        if replay:
            unfinished = await databases.keys["erasures"].find({"open": True}, {"leaf": 1}).to_list(None)
            await eraser.replay([each["leaf"] for each in unfinished])
        await vault.start()
        stack.push_async_callback(vault.stop)
        writer = ProfileWriter(
            store, consents, vault, access_log, lambda: policies.current, now=now, random=os.urandom
        )
        sources = SourceStore(databases.main, now=now, random=os.urandom, sealing=vault)
        gathered = await stack.enter_async_context(
            collecting(
                databases.main,
                customers=store,
                consents=consents,
                people=Resolver(store, vault, writer, reviewer, lambda: policies.current, now=now, random=os.urandom),
                sources=sources,
                vault=vault,
                log=access_log,
                policies=lambda: policies.current,
                now=now,
                random=os.urandom,
                failed=lambda error: log(Event.JOB_FAILED, logging.ERROR, error=error),
            )
        )
        copies = Copies(
            settings.data_dir / _COPIES,
            ProfileGateway(store, vault, policies.current.catalogue, now=now),
            gathered.gateway,
            consents,
            access_log,
            vault,
            policies.current.catalogue,
            now=now,
            random=os.urandom,
        )
        requesting = RequestService(
            requests,
            store,
            vault,
            access_log,
            writer,
            eraser,
            jobs,
            lambda: policies.current,
            now=now,
            random=os.urandom,
            exporting=copies,
        )
        if replay and (resumed := await eraser.resume()):
            log(Event.ERASURE_RESUMED, count=resumed)
        exports = AccessLogExports(
            settings.data_dir / _EXPORTS,
            signed.reader,
            signed.rosters,
            signed.checkpointer,
            access_log,
            now=now,
            random=os.urandom,
            failed=lambda error: log(Event.JOB_FAILED, logging.ERROR, error=error),
        )
        await exports.open()
        stack.push_async_callback(exports.close)
        platform = Platform(
            settings=settings,
            policies=policies,
            main=databases.main,
            keys=databases.keys,
            audit=databases.audit,
            engine=databases.engine,
            vault=vault,
            log=access_log,
            signed=signed,
            exports=exports,
            reviewer=reviewer,
            matching=await Matching.open(
                databases.main,
                store,
                vault,
                access_log,
                reviewer,
                lambda: policies.current,
                tenant=settings.tenant,
                now=now,
                random=os.urandom,
            ),
            unsubscriber=Unsubscriber(writer, vault, lambda: policies.current, now=now),
            services=Services(
                gateway=ProfileGateway(store, vault, policies.current.catalogue, now=now),
                writer=writer,
                eraser=eraser,
                log=access_log,
                vault=vault,
                policies=lambda: policies.current,
                now=now,
                database_errors=(PyMongoError,),
                exports=exports,
                requests=requesting,
                events=gathered.gateway,
                traits=gathered.traits,
                reviewer=reviewer,
                consents=ConsentService(
                    ProfileGateway(store, vault, policies.current.catalogue, now=now),
                    consents,
                    NoticeStore(databases.main, now=now),
                    ConsentCounter(store, now=now),
                    access_log,
                    lambda: policies.current,
                    now=now,
                    controller=settings.controller,
                ),
                quality=await QualityService.open(
                    databases.main,
                    store,
                    writer,
                    vault,
                    access_log,
                    policies.current.catalogue,
                    load_standards(settings.policy_dir),
                    cases=reviewer.cases,
                    now=now,
                    random=os.urandom,
                ),
            ),
            requests=requesting,
            copies=copies,
            sources=sources,
            collecting=gathered,
            accounts=accounts,
            revocations=revocations,
            authenticator=authenticator,
            issuer=issuer,
            now=now,
        )
        await platform.announce_shard()
        yield platform
