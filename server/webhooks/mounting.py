"""Webhooks over a running platform."""

import logging

from starlette.routing import BaseRoute, Mount, Route

from customers.collection.webhooks.requests import PrivacyIntake
from customers.errors import IdentityBusyError, IntakeBusyError
from schema.errors import InternalError, UnavailableError
from schema.translate import translated
from server.logs import Event, log
from server.platform import Platform
from server.webhooks.errors import Problem, WebhookRefusedError
from server.webhooks.routes import Webhooks


def webhook_routes(platform: Platform) -> list[BaseRoute]:
    """`/webhooks` and everything below it."""

    def refused(error: Exception) -> WebhookRefusedError:
        if isinstance(error, IntakeBusyError):
            return WebhookRefusedError(Problem.BUSY, error.retry_after)
        if isinstance(error, IdentityBusyError):
            return WebhookRefusedError(Problem.BUSY)
        told = translated(error, platform.services)
        log(Event.REQUEST_FAILED, logging.ERROR, error=error, code=told.code)
        away = isinstance(told, UnavailableError) and not isinstance(told, InternalError)
        return WebhookRefusedError(Problem.UNAVAILABLE if away else Problem.INTERNAL)

    webhooks = Webhooks(
        platform.sources,
        platform.intake,
        privacy_intake(platform),
        refused=refused,
        now=platform.now,
        body_seconds=platform.settings.body_seconds,
    )
    return [Route("/webhooks", webhooks), Mount("/webhooks", webhooks)]


def privacy_intake(platform: Platform) -> PrivacyIntake:
    """The privacy requests that came by webhook."""
    return PrivacyIntake(platform.main, blind=platform.vault.blind, digest=platform.vault.digest, now=platform.now)


__all__ = ["privacy_intake", "webhook_routes"]
