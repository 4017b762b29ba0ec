"""The only names, and the only forms of values, that traces, metrics and request logs may carry.

An attribute is added here, with a form that no personal value has, or it is not exported: the filter in front of
the exporters (filter.py) drops what is not listed, whoever wrote it.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from schema.errors import ErrorCode


class Route(StrEnum):
    """Where a request went; a path that is none of ours may hold anything, so it is `other`.

    Of the console, of the portal, of exports, of copies, of certificates, of the collection of events, of webhooks
    and of unsubscribing it is only said that it was theirs: the rest of such a path holds an entry's, an export's, a
    copy's or a certificate's number, a write key, a source's name or a token, and its query a search.
    """

    GRAPHQL = "/graphql"
    CONSOLE = "/console"
    PORTAL = "/portal"
    EXPORTS = "/exports"
    CERTIFICATES = "/certificates"
    COPIES = "/copies"
    COLLECTION = "/v1"
    WEBHOOKS = "/webhooks"
    UNSUBSCRIBE = "/unsubscribe"
    OPENDSR = "/opendsr"
    HEALTHZ = "/healthz"
    READYZ = "/readyz"
    JWKS = "/.well-known/jwks.json"
    GPC = "/.well-known/gpc.json"
    OTHER = "other"


class Method(StrEnum):
    """How a request came."""

    GET = "GET"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"
    POST = "POST"
    OTHER = "OTHER"


class SpanName(StrEnum):
    """What takes time."""

    REQUEST = "request"
    AUTHENTICATE = "authenticate"
    PLAN = "plan"
    EXECUTE = "execute"
    FETCH = "fetch"
    REVEAL = "reveal"
    AUDIT = "audit"
    ERASE = "erase"
    JOB = "job"


class Attribute(StrEnum):
    """What a span may say about itself."""

    ROUTE = "http.route"
    METHOD = "http.request.method"
    STATUS = "http.response.status_code"
    ERROR_TYPE = "error.type"
    ERROR_CODE = "confide.error.code"
    PROFILES = "confide.profiles"
    FIELDS = "confide.fields"
    RECORDS = "confide.records"


class Metric(StrEnum):
    """What is measured."""

    REQUESTS = "confide.requests"
    DURATION = "confide.request.duration"
    AUDIT_BATCH = "confide.audit.batch"
    LEASE = "confide.lease.held"


# Routes with everything below them.
_WHOLE: Final = (
    Route.CONSOLE,
    Route.PORTAL,
    Route.EXPORTS,
    Route.CERTIFICATES,
    Route.COPIES,
    Route.COLLECTION,
    Route.WEBHOOKS,
    Route.UNSUBSCRIBE,
    Route.OPENDSR,
)
_ERROR_TYPE = re.compile(r"[A-Za-z]{1,60}(Error|Exception|Group|Exit|Interrupt|Warning)")
_MAX_NUMBER: Final = 1 << 31


def _member(kind: type[StrEnum]) -> Callable[[Any], bool]:
    values = frozenset(member.value for member in kind)
    return lambda value: isinstance(value, str) and value in values


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_NUMBER


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


FORMS: Final[Mapping[str, Callable[[Any], bool]]] = {
    Attribute.ROUTE.value: _member(Route),
    Attribute.METHOD.value: _member(Method),
    Attribute.STATUS.value: _number,
    Attribute.ERROR_TYPE.value: _matching(_ERROR_TYPE),
    Attribute.ERROR_CODE.value: _member(ErrorCode),
    Attribute.PROFILES.value: _number,
    Attribute.FIELDS.value: _number,
    Attribute.RECORDS.value: _number,
}
SPAN_NAMES: Final = frozenset(name.value for name in SpanName)
METRIC_NAMES: Final = frozenset(name.value for name in Metric)


def route_of(path: str) -> Route:
    """The route of a path, with or without a query."""
    path = path.partition("?")[0]
    try:
        return Route(path)
    except ValueError:
        return next((route for route in _WHOLE if path.startswith(f"{route.value}/")), Route.OTHER)


def method_of(method: str) -> Method:
    """The method, or OTHER for one that Confide does not answer."""
    try:
        return Method(method)
    except ValueError:
        return Method.OTHER
