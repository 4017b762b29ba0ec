"""The last gate before an exporter: whatever any code put on a span or a metric, only the vocabulary passes.

Names outside it are dropped whole; so are events (exception messages and stack traces travel in them), links,
trace state, and the text of a status.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, Status

from server.telemetry.vocabulary import FORMS, METRIC_NAMES, SPAN_NAMES


def allowed(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The attributes of the vocabulary whose values have the form it asks for."""
    return {name: value for name, value in (attributes or {}).items() if name in FORMS and FORMS[name](value)}


class FilteredSpans(SpanExporter):
    """Hands clean copies of the spans it knows to another exporter."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what may leave."""
        return self._exporter.export([_clean(span) for span in spans if span.name in SPAN_NAMES])

    def shutdown(self) -> None:
        """Close the other exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter."""
        return self._exporter.force_flush(timeout_millis)


class FilteredMetrics(MetricExporter):
    """Hands clean copies of the metrics it knows to another exporter."""

    def __init__(self, exporter: MetricExporter) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001 - as the SDK's own
        self._exporter = exporter

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export what may leave."""
        clean = [
            replace(
                resource,
                scope_metrics=[
                    replace(
                        scope, metrics=[_points(metric) for metric in scope.metrics if metric.name in METRIC_NAMES]
                    )
                    for scope in resource.scope_metrics
                ],
            )
            for resource in metrics_data.resource_metrics
        ]
        return self._exporter.export(replace(metrics_data, resource_metrics=clean), timeout_millis, **kwargs)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close the other exporter."""
        self._exporter.shutdown(timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the other exporter."""
        return self._exporter.force_flush(timeout_millis)


def _clean(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=_bare(span.context),
        parent=_bare(span.parent),
        resource=span.resource,
        attributes=allowed(span.attributes),
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _bare(context: SpanContext | None) -> SpanContext | None:
    """The context without its trace state."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)


def _points(metric: Any) -> Any:
    """The metric with the points that say only what they may; exemplars repeat attributes that views dropped."""
    points = [
        replace(point, exemplars=())
        for point in metric.data.data_points
        if allowed(point.attributes) == dict(point.attributes or {})
    ]
    return replace(metric, data=replace(metric.data, data_points=points))
