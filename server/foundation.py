"""What everything stands on: databases, keys, the access log, the policy in force, and who may call.

It is opened in the order in which each thing must be known to be whole before the next is touched.
"""

import contextlib
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from audit import AccessLog
from policies import PoliciesError, PolicySet, load_policies
from server import root_keys
from server.access import Authenticator, LocalIssuer, Revocations, ServiceAccounts, TokenVerifier, trusted_issuers
from server.audit_log import SignedLog, signed_log
from server.clock import Now
from server.databases import PATIENCE_SECONDS, Databases, open_databases
from server.logs import Event, log
from server.settings import Settings
from server.trusted_documents import TrustedDocuments
from vault import Epoch, Vault

_AUDIT_SECONDS = 5.0
# A request that finds a database missing looks for it once and then for the access log, to record that it failed:
# within its deadline, so that it can say which one is missing.
_SHARE_OF_A_READ = 0.4


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


@dataclass(frozen=True)
class Entrance:
    """Who may call: how tokens are verified, made and revoked."""

    accounts: ServiceAccounts
    revocations: Revocations
    issuer: LocalIssuer
    authenticator: Authenticator


@dataclass(frozen=True)
class Foundation:
    """What every use case is given. The vault is open; it is started once erasures have been replayed."""

    settings: Settings
    policies: PolicyHolder
    databases: Databases
    vault: Vault
    log: AccessLog
    signed: SignedLog
    entrance: Entrance
    documents: TrustedDocuments
    now: Now

    def policy(self) -> PolicySet:
        """The policy in force."""
        return self.policies.current

    @staticmethod
    def random(size: int) -> bytes:
        """So many random bytes."""
        return os.urandom(size)

    @staticmethod
    def failed(error: Exception) -> None:
        """Tell the log of work in the background that failed."""
        log(Event.JOB_FAILED, logging.ERROR, error=error)


@contextlib.asynccontextmanager
async def open_foundation(settings: Settings, *, answering: bool, now: Now) -> AsyncIterator[Foundation]:
    """Databases, keys, log, policies and sign-in; see `server.platform.open_platform` for arguments and errors."""
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
        entrance = await _open_entrance(settings, databases, client, now)
        stack.push_async_callback(entrance.authenticator.close)

        async def follow_policies() -> None:
            await policies.reload()
            # One that had to keep its old policies says so here, for `confide policy reload` to tell.
            mine = {"_id": vault.fleet.process_id}
            await databases.keys["processes"].update_one(mine, {"$set": {"policy": policies.current.version}})

        vault.fleet.on(Epoch.POLICY, follow_policies)
        vault.fleet.on(Epoch.REVOCATIONS, entrance.authenticator.reload)
        documents = TrustedDocuments(databases.main, now=now)
        vault.fleet.on(Epoch.DOCUMENTS, documents.load)
        yield Foundation(settings, policies, databases, vault, access_log, signed, entrance, documents, now)


async def _open_entrance(settings: Settings, databases: Databases, client: httpx.AsyncClient, now: Now) -> Entrance:
    longest = settings.max_token_seconds
    accounts = ServiceAccounts(databases.keys, now=now, random=os.urandom)
    revocations = Revocations(databases.keys, now=now, max_token_seconds=longest)
    await revocations.prepare()
    issuer = LocalIssuer.open(settings.data_dir, now=now, random=os.urandom, max_token_seconds=longest)
    issuers = trusted_issuers(settings, local=issuer, client=client, now=now)
    verifier = TokenVerifier(issuers, now=now, max_token_seconds=longest)
    authenticator = Authenticator(verifier=verifier, accounts=accounts, revocations=revocations, now=now)
    return Entrance(accounts, revocations, issuer, authenticator)
