"""`GET /certificates/{id}`: the certificate of an erasure, to whoever knows its id.

`…/receipt` is what proves it, and `…/recipients` who was told of it, and when.

Nobody signs in here: the person whom it is about has no account any more. The id is 130 random bits, and there is
nothing in a certificate that tells whose it is.
"""

import re
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from audit import AuditError, EntryId, timestamp
from customers.rights.certificate import decode_certificate, digest
from customers.rights.certificates import CertificateStore, Stored
from customers.rights.recipients import Delivery, DeliveryStore
from server.certificates.page import STYLE_HASH, CertificatePages
from server.logs import Event, log
from server.platform import Platform
from server.portal.languages import Languages

_ID: Final = re.compile(r"crt_[a-z2-7]{26}", re.ASCII)
_HEADERS: Final = {
    # Nothing that lies in between is to keep what an id opens.
    "cache-control": "private, no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "vary": "accept, accept-language, cookie",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
}
_POLICY: Final = (
    "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_BARE: Final = "default-src 'none'; sandbox"


def certificate_routes(platform: Platform) -> list[Route]:
    """The three routes."""
    store, deliveries = CertificateStore(platform.main), DeliveryStore(platform.main)
    fields = platform.policies.current.catalogue.fields
    languages = Languages()
    pages = CertificatePages(languages, {path: field.label for path, field in fields.items()})

    async def certificate(request: Request) -> Response:
        found = await _found(store, request)
        if found is None or found.body is None:
            return _missing()
        name = request.path_params["id"]
        if _wants_page(request):
            told = await deliveries.of_certificate(name)
            language = languages.chosen(request).code
            page = pages.page(language, decode_certificate(found.body), digest(found.body), told)
            policy = _POLICY.format(style=STYLE_HASH)
            headers = {**_HEADERS, "content-security-policy": policy, "content-language": language}
            return Response(page, 200, headers, "text/html; charset=utf-8")
        headers = {
            **_HEADERS,
            "content-security-policy": _BARE,
            "content-disposition": f'attachment; filename="{name}.json"',
            "link": f'</certificates/{name}/receipt>; rel="describedby"; type="text/plain"',
        }
        return Response(found.body, 200, headers, "application/json")

    async def receipt(request: Request) -> Response:
        found = await _found(store, request)
        if found is None or found.entry is None:
            return _missing()
        name, proof = request.path_params["id"], found.receipt
        if proof is None:
            try:
                proof = await platform.signed.checkpointer.receipt(EntryId.parse(found.entry))
            except AuditError as error:
                log(Event.REQUEST_FAILED, error=error)
                headers = {**_HEADERS, "retry-after": "30"}
                return Response("The log cannot be signed now; ask again later.\n", 503, headers, "text/plain")
            await store.proved(name, proof)
        headers = {
            **_HEADERS,
            "content-security-policy": _BARE,
            "content-disposition": f'attachment; filename="{name}.tlog-proof"',
        }
        return Response(proof, 200, headers, "text/plain; charset=utf-8")

    async def recipients(request: Request) -> Response:
        if await _found(store, request) is None:
            return _missing()
        told = [_told(each) for each in await deliveries.of_certificate(request.path_params["id"])]
        headers = {**_HEADERS, "content-security-policy": _BARE}
        return Response(msgspec.json.encode(told), 200, headers, "application/json")

    return [
        Route("/certificates/{id}", certificate, methods=["GET"]),
        Route("/certificates/{id}/recipients", recipients, methods=["GET"]),
        Route("/certificates/{id}/receipt", receipt, methods=["GET"]),
    ]


def _told(delivery: Delivery) -> dict[str, str | None]:
    at = None if delivery.told_at is None else timestamp(delivery.told_at)
    entry = None if delivery.receipt is None else delivery.receipt.entry
    return {"recipient": delivery.recipient, "state": delivery.state.value, "told_at": at, "entry": entry}


async def _found(store: CertificateStore, request: Request) -> Stored | None:
    """The certificate asked for, once the log has it."""
    name = request.path_params["id"]
    if _ID.fullmatch(name) is None:
        return None
    found = await store.find(name)
    return found if found is not None and found.entry is not None else None


def _missing() -> Response:
    headers = {**_HEADERS, "content-security-policy": _BARE}
    return Response("There is no certificate with this id.\n", 404, headers, "text/plain; charset=utf-8")


def _wants_page(request: Request) -> bool:
    """Whether a browser asks; a program that takes anything gets the certificate itself."""
    if request.query_params.get("format") == "json":
        return False
    kinds = [each.partition(";")[0].strip() for each in request.headers.get("accept", "").split(",")]
    return "text/html" in kinds
