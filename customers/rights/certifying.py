"""Certifies erasures: writes the certificate, and records the end with its digest. Each call may come again."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

import audit
from audit import AccessLog, Kind, Outcome, Record, timestamp
from customers.rights.certificate import (
    Certificate,
    Kept,
    certificate_id,
    decode_certificate,
    digest,
    encode_certificate,
    steps_of,
)
from customers.rights.certificates import CertificateStore
from customers.rights.keeping import Keeper
from customers.rights.reach import REACHED
from vault import Erasure

_ACTOR = "confide"


class Telling(Protocol):
    """Whoever tells the recipients of an erasure; each call may come again."""

    def owns(self, key_id: str) -> bool:
        """Whether a key is that of what is told, and of no customer."""

    async def prepare(self, erasure: Erasure) -> None:
        """Prepare it, while the person can be read for the last time."""

    async def names(self, erasure: Erasure) -> Sequence[str]:
        """Who is told."""

    async def release(self, erasure: Erasure) -> None:
        """Tell them: it has happened."""


class Certifier:
    """Writes certificates.

    Args:
        log: Where ends are recorded.
        certificates: Where certificates are kept.
        keeper: Knows what the law has us keep.
        telling: Knows who is told; None where nobody is.
        deployment: The name of the access log.
        policy_version: The version of the policy in force.
        now: The time.
    """

    def __init__(
        self,
        log: AccessLog,
        certificates: CertificateStore,
        keeper: Keeper,
        telling: Telling | None,
        *,
        deployment: str,
        policy_version: Callable[[], str],
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._certificates = certificates
        self._keeper = keeper
        self._telling = telling
        self._deployment = deployment
        self._policy_version = policy_version
        self._now = now

    async def draft(self, erasure: Erasure, parts: Sequence[Erasure]) -> None:
        """Note in the certificate what is known only while the documents are there."""
        if not erasure.reference:
            return
        keys, kept = [*erasure.fingerprints], list[Kept]()
        for part in parts:
            keys += part.fingerprints
            theirs = await self._certificates.find(certificate_id(part))
            if theirs is not None and theirs.body is not None:
                kept += decode_certificate(theirs.body).kept
        await self._certificates.draft(certificate_id(erasure), keys, kept)

    async def certify(self, erasure: Erasure) -> None:
        """Write the certificate, and record the end with its digest; what was done before is not done again."""
        certificate: str | msgspec.UnsetType = msgspec.UNSET
        if erasure.reference:  # else it was under way before there were certificates
            certificate = digest(await self.certified(erasure))
            stored = await self._certificates.find(certificate_id(erasure))
            if stored is not None and stored.entry is not None:
                return
        entry = await self.record_end(erasure, certificate)
        if erasure.reference:
            await self._certificates.logged(certificate_id(erasure), entry)

    async def record_end(self, erasure: Erasure, certificate: str | msgspec.UnsetType) -> str:
        """Record that a key is destroyed; give the entry."""
        entry = await self._log.append(
            Record(
                kind=Kind.ERASURE_DONE,
                time=timestamp(self._now()),
                actor=_ACTOR,
                roles=(),
                outcome=Outcome.ALLOWED,
                policy=self._policy_version(),
                erasure=audit.Erasure(
                    leaf=erasure.leaf, fingerprint="".join(erasure.fingerprints[:1]), certificate=certificate
                ),
            )
        )
        return str(entry)

    async def certified(self, erasure: Erasure) -> bytes:
        """The bytes of the certificate, which is written if it is not there."""
        name = certificate_id(erasure)
        stored = await self._certificates.find(name)
        if stored is None:
            await self._certificates.draft(name, erasure.fingerprints, ())
            stored = await self._certificates.find(name)
        if stored is not None and stored.body is not None:
            return stored.body
        made = Certificate(
            begun=timestamp(erasure.started_at),
            deployment=self._deployment,
            finished=timestamp(erasure.finished_at or self._now()),
            id=name,
            kept=(*(() if stored is None else stored.kept), *await self._keeper.kept_of(erasure)),
            keys=erasure.fingerprints if stored is None else stored.keys,
            policy=self._policy_version(),
            reached=REACHED,
            recipients=() if self._telling is None else tuple(await self._telling.names(erasure)),
            steps=steps_of(erasure),
        )
        return await self._certificates.write(name, encode_certificate(made))
