"""The console over a running platform."""

import os
from collections.abc import Sequence

from customers.identity.merge_list import MergeList
from customers.jobs import JobStore
from customers.oversight.processing import Obtained, Outside
from customers.rights.recipients import RecipientStore
from customers.rights.requests import Kind
from schema.build import BuiltSchema
from schema.service import GraphQLService
from server.console.app import Console
from server.console.customer_names import CustomerNames
from server.console.exports import ConsoleExports
from server.console.keeper import Keeper
from server.console.keeping import Keeping
from server.console.officer import Officer
from server.console.people import People
from server.console.proofs import LogProofs
from server.console.staff import staff_of
from server.console.words import plural
from server.enrichment_record import asked, enrichments, obtained
from server.platform import Platform

_MINUTE = 60


def console_of(platform: Platform, service: GraphQLService, schema: BuiltSchema) -> Console:
    """The console of a platform, to mount at `/console`.

    Args:
        platform: What is served.
        service: What answers its GraphQL.
        schema: The schema it answers by.
    """
    settings, signed = platform.settings, platform.signed
    keeper = Keeper(platform.log, platform.services, lambda: platform.policies.current, platform.now)
    return Console(
        service=service,
        schema=schema,
        staff=staff_of(
            settings,
            keys=platform.keys,
            vault=platform.vault,
            authenticator=platform.authenticator,
            revocations=platform.revocations,
            log=platform.log,
            policies=lambda: platform.policies.current,
            now=platform.now,
        ),
        policies=lambda: platform.policies.current,
        random=os.urandom,
        proofs=LogProofs(
            platform.audit,
            log=platform.log,
            checkpointer=signed.checkpointer,
            keys=signed.keys,
            policies=lambda: platform.policies.current,
            now=platform.now,
            directory=signed.directory,
            due=f"within {duration(settings.checkpoint_seconds)}",
        ),
        exports=ConsoleExports(platform, service),
        keeper=keeper,
        keeping=Keeping(
            keeper,
            sources=platform.sources,
            plans=platform.collecting.plans,
            violations=platform.collecting.violations,
            source_counts=platform.collecting.source_counts,
            log=platform.log,
            now=platform.now,
        ),
        people=People(keeper, platform.reviewer, MergeList(platform.main), platform.vault),
        officer=_officer(platform),
        glass=platform.services.break_glass,
        origin=settings.console_origin,
        body_seconds=settings.body_seconds,
    )


def _officer(platform: Platform) -> Officer:
    """What the pages of the privacy officer need."""
    stored = RecipientStore(platform.main, sealing=platform.vault, random=os.urandom)

    async def recipients() -> Sequence[Outside]:
        policies = platform.policies.current
        fields = policies.catalogue.fields
        told = [
            Outside(
                each.name,
                each.kind.value,
                tuple(dict.fromkeys(fields[path].category for path in each.fields if path in fields)),
                each.purposes or None,
            )
            for each in await stored.all()
            if not each.disabled
        ]
        return [*told, *asked(enrichments(platform.settings, policies), policies)]

    def elsewhere() -> Sequence[Obtained]:
        policies = platform.policies.current
        return obtained(enrichments(platform.settings, policies), policies)

    return Officer(
        CustomerNames(platform.vault),
        JobStore(platform.main, now=platform.now),
        platform.now,
        frozenset(map(Kind, platform.settings.four_eyes)),
        platform.settings.controller,
        recipients,
        platform.copies.stream,
        platform.services.eraser.preview,
        elsewhere,
    )


def duration(seconds: float) -> str:
    """A length of time in words: `5 minutes`, `90 seconds`."""
    whole = max(1, round(seconds))
    if whole % _MINUTE == 0:
        return plural(whole // _MINUTE, "minute")
    return plural(whole, "second")


__all__ = ["console_of"]
