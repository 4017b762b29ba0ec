"""The collection of events over a running platform."""

import logging

from starlette.routing import BaseRoute, Mount, Route

from customers.errors import IdentityBusyError, IntakeBusyError
from schema.errors import InternalError, UnavailableError
from schema.translate import translated
from server.collection.errors import CollectionRefusedError, Problem
from server.collection.routes import Collection
from server.logs import Event, log
from server.platform import Platform


def collection_routes(platform: Platform) -> list[BaseRoute]:
    """`/v1` and everything below it."""

    def refused(error: Exception) -> CollectionRefusedError:
        if isinstance(error, IntakeBusyError):
            return CollectionRefusedError(Problem.BUSY, error.retry_after)
        if isinstance(error, IdentityBusyError):
            return CollectionRefusedError(Problem.BUSY)
        told = translated(error, platform.services)
        log(Event.REQUEST_FAILED, logging.ERROR, error=error, code=told.code)
        away = isinstance(told, UnavailableError) and not isinstance(told, InternalError)
        return CollectionRefusedError(Problem.UNAVAILABLE if away else Problem.INTERNAL)

    collection = Collection(
        platform.sources,
        platform.intake,
        refused=refused,
        now=platform.now,
        origin=platform.settings.console_origin,
        body_seconds=platform.settings.body_seconds,
    )
    # The first so that nobody is sent from `/v1` to `/v1/`: some SDKs take a redirect for an answer.
    return [Route("/v1", collection), Mount("/v1", collection)]


__all__ = ["collection_routes"]
