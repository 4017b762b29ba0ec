"""Traces and metrics, when there is a collector to send them to; nearly nothing when there is none.

`Telemetry` itself does nothing: it is what runs when no OTLP endpoint is set, and the OpenTelemetry SDK is not
even imported. `start` gives the one that exports.
"""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final

from server.errors import TelemetryNotInstalledError
from server.telemetry.vocabulary import Attribute, Method, Metric, Route, SpanName, method_of, route_of

__all__ = [
    "Attribute",
    "Method",
    "Metric",
    "Route",
    "SpanHandle",
    "SpanName",
    "Telemetry",
    "method_of",
    "route_of",
    "start",
]


class SpanHandle(AbstractContextManager["SpanHandle"]):
    """A span that is open; this one records nothing."""

    __slots__ = ()

    @property
    def trace_id(self) -> str | None:
        """The trace this span belongs to, as 32 hexadecimal digits; None when it records nothing."""
        return None

    def set(self, attribute: Attribute, value: str | int) -> None:
        """Say something about the span; a value of another form than the attribute's is not exported."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close the span; of an exception only the type is recorded."""


_NOTHING: Final = SpanHandle()


class Telemetry:
    """What the rest of the server calls; this one does nothing."""

    def span(self, name: SpanName, *, traceparent: str | None = None) -> SpanHandle:
        """Open a span for a `with` block.

        Args:
            name: What takes time.
            traceparent: The header of that name (W3C Trace Context) on a request that continues a trace. The
                caller's `tracestate` is not continued: it may hold anything.
        """
        del name, traceparent
        return _NOTHING

    def request(self, route: Route, method: Method, status: int, seconds: float) -> None:
        """Count one request that was answered."""

    def audit_batch(self, records: int) -> None:
        """Count one group commit of the access log."""

    def lease(self, *, held: bool) -> None:
        """Say whether this process may serve."""

    def close(self) -> None:
        """Send what is left; blocks for a few seconds at most."""


def start(endpoint: str | None, *, headers: str | None = None, sample_ratio: float = 1.0, version: str) -> Telemetry:
    """Telemetry that exports to `endpoint` by OTLP over HTTP, or that does nothing where there is none.

    Args:
        endpoint: The collector's base URL; `/v1/traces` and `/v1/metrics` are added to it.
        headers: Headers for the collector, as `name=value,name=value`.
        sample_ratio: The share of traces that are kept, whatever the caller's own flag says.
        version: The version of Confide.

    Raises:
        TelemetryNotInstalledError: There is an endpoint and the extra `otlp` is not installed.
    """
    if endpoint is None:
        return Telemetry()
    try:
        from server.telemetry.otlp import otlp_telemetry  # noqa: PLC0415 - the SDK costs memory; only when it is used
    except ImportError as error:
        raise TelemetryNotInstalledError("install the extra `otlp`, or unset CONFIDE_OTLP_ENDPOINT") from error
    return otlp_telemetry(endpoint, headers=headers, sample_ratio=sample_ratio, version=version)
