"""`/opendsr`: discovery, requests, their status and their cancelling, as OpenDSR has them. Every answer is signed."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from audit import timestamp
from customers.caller import Caller
from schema.arriving import Arriving
from schema.errors import InternalError, UnavailableError
from schema.translate import translated
from server.access import challenge, is_temporary
from server.enrichment import allowed_hosts
from server.errors import AccessError
from server.logs import Event, log
from server.opendsr.errors import OpenDsrRefusedError, Problem
from server.opendsr.reading import API_VERSION, IDENTITIES, KINDS, asked, is_request_id
from server.opendsr.signing import Signer
from server.opendsr.store import Kept, OpenDsrStore
from server.opendsr.taking import Taking
from server.platform import Platform

PLACE: Final = "/opendsr"
_MAX_BODY: Final = 64 * 1024
_MOST_ARRIVING: Final = 32
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff", "pragma": "no-cache"}
_AGAIN_SECONDS: Final = "30"
Answer = Callable[[Request], Awaitable[Response]]


def opendsr_routes(platform: Platform) -> list[BaseRoute]:
    """The routes; none where no origin is set.

    Raises:
        SettingsError: The key or the certificate cannot be used.
    """
    settings = platform.settings
    if settings.opendsr_origin is None:
        return []
    signer = Signer.load(settings.opendsr_origin, settings.opendsr_key, settings.opendsr_certificate)
    store = OpenDsrStore(platform.main, platform.vault)
    taking = Taking(platform, store, settings.opendsr_id_system)
    return _Office(platform, signer, taking).routes()


class _Office:
    def __init__(self, platform: Platform, signer: Signer, taking: Taking) -> None:
        self._platform = platform
        self._signer = signer
        self._taking = taking
        self._allowed = allowed_hosts(platform.settings)
        self._arriving = Arriving(platform.settings.body_seconds, _MOST_ARRIVING)

    def routes(self) -> list[BaseRoute]:
        one = f"{PLACE}/requests/{{id}}"
        return [
            Route(f"{PLACE}/discovery", self._answering(self._discovery), methods=["GET"]),
            Route(f"{PLACE}/certificate.pem", self._certificate, methods=["GET"]),
            Route(f"{PLACE}/requests", self._answering(self._request), methods=["POST"]),
            Route(one, self._answering(self._status), methods=["GET"]),
            Route(one, self._answering(self._cancel), methods=["DELETE"]),
        ]

    # ---- what is answered

    async def _discovery(self, _: Request) -> Response:
        identities = [{"identity_type": each, "identity_format": "raw"} for each in IDENTITIES]
        told = {
            "api_version": API_VERSION,
            "supported_identities": identities,
            "supported_subject_request_types": list(KINDS),
            "processor_certificate": f"{self._platform.settings.opendsr_origin}{PLACE}/certificate.pem",
        }
        return self._signed(HTTPStatus.OK, told)

    async def _certificate(self, _: Request) -> Response:
        return Response(self._signer.certificate, 200, _HEADERS, "application/x-pem-file")

    async def _request(self, request: Request) -> Response:
        caller = await self._caller(request)
        self._taking.access(caller, "request")  # nobody who may not is listened to
        body = await self._body(request)
        kept = await self._taking.take(caller, asked(body, self._allowed))
        told = {
            **_told(kept),
            "received_time": timestamp(kept.received_at),
            # Only an echo of what is in memory: it is kept nowhere.
            "encoded_request": base64.b64encode(body).decode(),
        }
        return self._signed(HTTPStatus.CREATED, told)

    async def _status(self, request: Request) -> Response:
        kept, status = await self._taking.status(await self._caller(request), _id(request))
        more = {"request_status": status, "api_version": API_VERSION, "results_url": None}
        return self._signed(HTTPStatus.OK, {**_told(kept), **more})

    async def _cancel(self, request: Request) -> Response:
        kept = await self._taking.cancel(await self._caller(request), _id(request))
        told = {
            "controller_id": kept.controller,
            "subject_request_id": kept.subject_request_id,
            "received_time": timestamp(self._platform.now()),
            "api_version": API_VERSION,
        }
        return self._signed(HTTPStatus.ACCEPTED, told)

    # ---- the common parts

    async def _caller(self, request: Request) -> Caller:
        return await self._platform.authenticator.authenticate(request.headers.get("authorization"))

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async with self._arriving.one():
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > _MAX_BODY:
                        raise OpenDsrRefusedError(Problem.TOO_LARGE)
        except (TimeoutError, ClientDisconnect):
            raise OpenDsrRefusedError(Problem.TOO_SLOW) from None
        return bytes(body)

    def _answering(self, answer: Answer) -> Answer:
        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except OpenDsrRefusedError as error:
                return self._refused(error.problem)
            except AccessError as error:
                if is_temporary(error):
                    return self._refused(Problem.UNAVAILABLE)
                return self._refused(Problem.UNAUTHENTICATED, **{"www-authenticate": challenge(error)})
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, its words must not reach the sender
                told = translated(error, self._platform.services)
                log(Event.REQUEST_FAILED, logging.ERROR, error=error, code=told.code)
                away = isinstance(told, UnavailableError) and not isinstance(told, InternalError)
                return self._refused(Problem.UNAVAILABLE if away else Problem.INTERNAL)

        return answered

    def _refused(self, problem: Problem, **headers: str) -> Response:
        status, message = problem.value
        if problem is Problem.UNAVAILABLE:
            headers["retry-after"] = _AGAIN_SECONDS
        return self._signed(status, {"error": {"code": status.value, "message": message}}, **headers)

    def _signed(self, status: HTTPStatus, told: Any, **headers: str) -> Response:
        body = msgspec.json.encode(told)
        return Response(body, status.value, {**_HEADERS, **self._signer.headers(body), **headers}, "application/json")


def _id(request: Request) -> str:
    name = str(request.path_params["id"])
    if not is_request_id(name):
        raise OpenDsrRefusedError(Problem.NOT_FOUND)
    return name


def _told(kept: Kept) -> dict[str, Any]:
    return {
        "controller_id": kept.controller,
        "expected_completion_time": timestamp(kept.expected_at),
        "subject_request_id": kept.subject_request_id,
    }
