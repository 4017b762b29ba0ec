"""Telemetry by the OpenTelemetry SDK, exported by OTLP over HTTP and through the filter only."""

import re
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from server.telemetry import SpanHandle, Telemetry
from server.telemetry.filter import FilteredMetrics, FilteredSpans
from server.telemetry.vocabulary import Attribute, Method, Metric, Route, SpanName

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_FLUSH_MS = 3_000


def otlp_telemetry(endpoint: str, *, headers: str | None, sample_ratio: float, version: str) -> Telemetry:
    """Telemetry for the collector at `endpoint`."""
    named = dict(part.partition("=")[::2] for part in headers.split(",")) if headers else None
    base = endpoint.rstrip("/")
    return ExportingTelemetry(
        OTLPSpanExporter(endpoint=f"{base}/v1/traces", headers=named),
        OTLPMetricExporter(endpoint=f"{base}/v1/metrics", headers=named),
        sample_ratio=sample_ratio,
        version=version,
    )


class ExportingTelemetry(Telemetry):
    """Telemetry over two exporters; neither ever sees more than the vocabulary."""

    def __init__(
        self, spans: SpanExporter, metrics: MetricExporter, *, sample_ratio: float = 1.0, version: str = ""
    ) -> None:
        # Not Resource.create: it would take attributes from the environment.
        resource = Resource({"service.name": "confide", "service.version": version})
        self._traces = TracerProvider(
            sampler=TraceIdRatioBased(sample_ratio), resource=resource, shutdown_on_exit=False
        )
        self._traces.add_span_processor(BatchSpanProcessor(FilteredSpans(spans)))
        self._meters = MeterProvider(
            [PeriodicExportingMetricReader(FilteredMetrics(metrics))],
            resource=resource,
            shutdown_on_exit=False,
            exemplar_filter=AlwaysOffExemplarFilter(),
        )
        self._tracer = self._traces.get_tracer("confide")
        meter = self._meters.get_meter("confide")
        self._requests = meter.create_counter(Metric.REQUESTS, "{request}", "Requests that were answered")
        self._duration = meter.create_histogram(Metric.DURATION, "s", "How long a request took")
        self._batch = meter.create_histogram(Metric.AUDIT_BATCH, "{record}", "Records in one commit of the log")
        self._lease = meter.create_gauge(Metric.LEASE, "1", "1 while this process may serve, else 0")

    def span(self, name: SpanName, *, traceparent: str | None = None) -> SpanHandle:
        """Open a span for a `with` block."""
        return _OpenSpan(self._tracer, name, _remote(traceparent))

    def request(self, route: Route, method: Method, status: int, seconds: float) -> None:
        """Count one request that was answered."""
        attributes = {
            Attribute.ROUTE.value: route.value,
            Attribute.METHOD.value: method.value,
            Attribute.STATUS.value: status,
        }
        self._requests.add(1, attributes)
        self._duration.record(seconds, attributes)

    def audit_batch(self, records: int) -> None:
        """Count one group commit of the access log."""
        self._batch.record(records)

    def lease(self, *, held: bool) -> None:
        """Say whether this process may serve."""
        self._lease.set(int(held))

    def flush(self) -> None:
        """Send what there is; blocks."""
        self._traces.force_flush(_FLUSH_MS)
        self._meters.force_flush(_FLUSH_MS)

    def close(self) -> None:
        """Send what is left; blocks for a few seconds at most."""
        self.flush()
        self._traces.shutdown()
        self._meters.shutdown(_FLUSH_MS)


class _OpenSpan(SpanHandle):
    """A span of the SDK."""

    __slots__ = ("_context", "_name", "_span", "_stack", "_tracer")

    def __init__(self, tracer: trace.Tracer, name: SpanName, context: Context | None) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._stack = ExitStack()
        self._span: trace.Span = trace.INVALID_SPAN

    @property
    def trace_id(self) -> str | None:
        context = self._span.get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    def set(self, attribute: Attribute, value: str | int) -> None:
        self._span.set_attribute(attribute.value, value)

    def __enter__(self) -> Self:
        opening = self._tracer.start_as_current_span(
            self._name.value, self._context, record_exception=False, set_status_on_exception=False
        )
        self._span = self._stack.enter_context(opening)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        if kind is not None:
            self._span.set_attribute(Attribute.ERROR_TYPE.value, kind.__name__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._stack.__exit__(None, None, None)


def _remote(traceparent: str | None) -> Context | None:
    """The caller's span as a parent; a header of another form starts a trace of its own (W3C Trace Context §3.2)."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if found is None:
        return None
    parent = SpanContext(
        int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16))
    )
    if not parent.is_valid:
        return None
    context: Any = trace.set_span_in_context(NonRecordingSpan(parent))
    return context  # type: ignore[no-any-return]  # a Context; the API has it untyped
