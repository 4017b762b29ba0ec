"""Traces and metrics: what is exported, and that nothing but the vocabulary is, whoever wrote it."""

import asyncio
import contextlib
import subprocess
import sys
import time

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from schema.errors import ErrorCode
from server.telemetry import Attribute, Method, Route, SpanName, Telemetry, method_of, route_of, start
from server.telemetry.filter import FilteredMetrics, FilteredSpans, allowed
from server.telemetry.otlp import ExportingTelemetry
from server.telemetry.vocabulary import FORMS

CANARY = "anna.canary@example.org"


class MetricsInMemory(MetricExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.exported = []

    def export(self, metrics_data, *_, **__) -> MetricExportResult:
        self.exported.append(metrics_data)
        return MetricExportResult.SUCCESS

    def shutdown(self, *_, **__) -> None:
        pass

    def force_flush(self, *_, **__) -> bool:
        return True


def everything(span) -> str:
    """All text of an exported span."""
    return span.to_json() + repr(
        [span.context, span.context.trace_state, span.parent, span.status.description, span.events, span.links]
    )


@pytest.fixture
def exported():
    """Telemetry whose exporters keep what they are given."""
    spans, metrics = InMemorySpanExporter(), MetricsInMemory()
    telemetry = ExportingTelemetry(spans, metrics, version="1.0")
    telemetry.spans, telemetry.metrics = spans, metrics
    yield telemetry
    telemetry.close()


def test_a_request_is_traced_with_what_happened_inside(exported):
    with exported.span(SpanName.REQUEST) as request:
        request.set(Attribute.ROUTE, Route.GRAPHQL)
        request.set(Attribute.ERROR_CODE, ErrorCode.NOT_FOUND)
        with exported.span(SpanName.FETCH) as fetch:
            fetch.set(Attribute.PROFILES, 100)
    exported.flush()
    inner, outer = exported.spans.get_finished_spans()
    assert (inner.name, outer.name) == ("fetch", "request")
    assert inner.parent.span_id == outer.context.span_id
    assert dict(inner.attributes) == {"confide.profiles": 100}
    assert dict(outer.attributes) == {"http.route": "/graphql", "confide.error.code": "NOT_FOUND"}
    assert request.trace_id == f"{outer.context.trace_id:032x}"


def hostile(tracer) -> None:
    """Spans as careless or foreign code would make them."""
    context = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("k", "canary")]))
    with (
        contextlib.suppress(ValueError),
        tracer.start_as_current_span("request", links=[Link(context, {"who": CANARY})]) as span,
    ):
        span.set_attribute("enduser.id", CANARY)
        span.set_attribute(Attribute.ROUTE, f"/profiles/{CANARY}")
        span.set_attribute(Attribute.ERROR_TYPE, CANARY)
        span.set_attribute(Attribute.ERROR_CODE, "CANARY")
        span.set_attribute(Attribute.PROFILES, CANARY)
        span.add_event("found", {"email": CANARY})
        span.set_status(Status(StatusCode.ERROR, CANARY))
        raise ValueError(CANARY)
    with tracer.start_as_current_span(f"SELECT {CANARY}"):
        pass
    with tracer.start_as_current_span("fetch", set_span_in_context(NonRecordingSpan(context))):
        pass


def test_a_trace_state_does_not_leave():
    spans = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(FilteredSpans(spans)))
    hostile(provider.get_tracer("elsewhere"))
    for span in spans.get_finished_spans():
        assert not span.context.trace_state
        assert span.parent is None or not span.parent.trace_state


def test_no_personal_value_leaves_in_a_span_and_without_the_filter_it_would():
    for wrap, leaks in ((FilteredSpans, False), (lambda exporter: exporter, True)):
        spans = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(wrap(spans)))
        hostile(provider.get_tracer("elsewhere"))
        found = spans.get_finished_spans()
        assert found
        assert any("canary" in everything(span).lower() for span in found) is leaks


def test_an_exception_is_only_its_type(exported):
    with pytest.raises(ValueError, match="canary"), exported.span(SpanName.REVEAL):
        raise ValueError(CANARY)
    exported.flush()
    (span,) = exported.spans.get_finished_spans()
    assert dict(span.attributes) == {"error.type": "ValueError"}
    assert span.status.status_code is StatusCode.ERROR
    assert "canary" not in everything(span)


def test_a_callers_trace_is_continued_and_its_trace_state_is_not(exported):
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    with exported.span(SpanName.REQUEST, traceparent=parent) as span:
        assert span.trace_id == "ab" * 16
    for broken in ("", CANARY, f"00-{'0' * 32}-{'cd' * 8}-01", parent.upper(), f"{parent}-{CANARY}", "00-é"):
        with exported.span(SpanName.REQUEST, traceparent=broken) as span:
            assert span.trace_id != "ab" * 16
    exported.flush()
    assert all("canary" not in everything(span) for span in exported.spans.get_finished_spans())


def points(exporter) -> dict[str, list]:
    return {
        metric.name: metric.data.data_points
        for data in exporter.exported
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_requests_durations_batches_and_the_lease_are_measured(exported):
    exported.request(Route.GRAPHQL, Method.POST, 200, 0.012)
    exported.request(Route.GRAPHQL, Method.POST, 200, 0.002)
    exported.audit_batch(32)
    exported.lease(held=True)
    exported.flush()
    found = points(exported.metrics)
    (requests,), (duration,) = found["confide.requests"], found["confide.request.duration"]
    (batch,), (lease,) = found["confide.audit.batch"], found["confide.lease.held"]
    assert requests.value == 2
    assert dict(requests.attributes)["http.route"] == "/graphql"
    assert (duration.count, batch.sum, lease.value) == (2, 32, 1)


def test_no_personal_value_leaves_in_a_metric_and_without_the_filter_it_would():
    for wrap, leaks in ((FilteredMetrics, False), (lambda exporter: exporter, True)):
        kept = MetricsInMemory()
        provider = MeterProvider([PeriodicExportingMetricReader(wrap(kept))], shutdown_on_exit=False)
        meter = provider.get_meter("elsewhere")
        meter.create_counter("confide.requests").add(1, {"http.route": CANARY})
        meter.create_counter("confide.requests").add(1, {"who": CANARY})
        meter.create_counter("confide.requests").add(1, {"http.route": "/graphql"})
        meter.create_counter("canary.visits").add(1)
        provider.force_flush()
        provider.shutdown()
        assert ("canary" in repr(kept.exported)) is leaks
        assert len(points(kept)["confide.requests"]) == (3 if leaks else 1)


def test_every_attribute_has_a_form_that_no_personal_value_has():
    assert set(FORMS) == {attribute.value for attribute in Attribute}
    values = [CANARY, "Anna", "anna", "ANNA", "+49 30 1234567", "1990-01-01", 4_930_123_456_789, -1, True, 1.5, None]
    assert [(name, value) for name in FORMS for value in values if allowed({name: value})] == []


def test_a_path_that_is_not_ours_is_not_told():
    assert route_of(f"/graphql?query={CANARY}") is Route.GRAPHQL
    assert route_of(f"/{CANARY}") is Route.OTHER
    for path in ("/console", "/console/", f"/console/audit/{CANARY}", f"/console/audit?actor={CANARY}"):
        assert route_of(path) is Route.CONSOLE
    assert route_of(f"/exports/{CANARY}") is Route.EXPORTS
    assert route_of(f"/consoles/{CANARY}") is route_of(f"//console/{CANARY}") is Route.OTHER
    assert method_of("POST") is Method.POST
    assert method_of(CANARY) is Method.OTHER


async def test_the_collector_gets_the_spans_and_metrics_and_no_personal_value(web_server):
    telemetry = start(f"http://127.0.0.1:{web_server.port}/", headers="x-token=t", version="1.0")
    with contextlib.suppress(ValueError), telemetry.span(SpanName.REQUEST) as span:
        span.set(Attribute.ROUTE, f"/{CANARY}")
        span.set(Attribute.METHOD, Method.POST)
        raise ValueError(CANARY)
    telemetry.request(Route.GRAPHQL, Method.POST, 200, 0.1)
    await asyncio.to_thread(telemetry.close)
    sent = {body.split(b" ")[1]: body for body in web_server.received}
    assert set(sent) == {b"/v1/traces", b"/v1/metrics"}
    assert b"ValueError" in sent[b"/v1/traces"]
    assert b"confide.requests" in sent[b"/v1/metrics"]
    assert all(b"x-token: t" in body.lower() and b"canary" not in body for body in sent.values())


def test_without_an_endpoint_nothing_is_imported_and_nothing_happens():
    code = (
        "import sys; from server.telemetry import *\n"
        "telemetry = start(None, version='1')\n"
        "with telemetry.span(SpanName.REQUEST) as span: span.set(Attribute.PROFILES, 1); assert span.trace_id is None\n"
        "telemetry.request(Route.OTHER, Method.GET, 200, 0.1); telemetry.close()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


def test_a_span_that_records_nothing_costs_next_to_nothing():
    telemetry = Telemetry()
    best = float("inf")
    for _ in range(5):
        started = time.thread_time()
        for _ in range(10_000):
            with telemetry.span(SpanName.FETCH) as span:
                span.set(Attribute.PROFILES, 1)
        best = min(best, (time.thread_time() - started) / 10_000)
    assert best < 3e-6


def test_readers_kept_for_other_tests_do_not_see_these_spans(exported):
    reader = InMemoryMetricReader()
    MeterProvider([reader], shutdown_on_exit=False)
    with exported.span(SpanName.JOB):
        pass
    assert reader.get_metrics_data() is None
