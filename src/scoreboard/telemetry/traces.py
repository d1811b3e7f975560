"""Traces by OpenTelemetry, over OTLP and HTTP: the only module that knows `opentelemetry`.

Everything about them is asked for by OpenTelemetry's own variables, which the SDK reads itself:
where they go, how many are sampled, how many may wait. Spans that find no room are dropped, so that
a collector that is away costs nobody an answer.
"""

from __future__ import annotations

import logging
import threading
from typing import Final

import anyio
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.middleware import Middleware
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

from scoreboard.telemetry import logs

# Streams last for hours, and the others are asked every few seconds by machines.
EXCLUDED: Final = r"^\w+://[^/?]*/(healthz|readyz|metrics|api/v1/leaderboard/stream)(\?|$)"
LAST_SPANS: Final = 1.0  # seconds in which the last spans must be gone; the server ends within five

_NAME: Final = "scoreboard"
_UNNAMED: Final = "unknown_service"  # what the SDK says when no variable names the service

logger = logging.getLogger(__name__)


class Traces:
    """The spans of one application's requests, until it is closed."""

    def __init__(self) -> None:
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(_Spans(OTLPSpanExporter()))
        logs.trace_id = _trace_id
        self.middleware = Middleware(
            OpenTelemetryMiddleware, excluded_urls=[EXCLUDED], tracer_provider=self._provider
        )

    async def close(self) -> None:
        """Send what is left, or give it up."""
        # A thread of its own, which Python does not wait for: the exporter is patient for longer.
        thread = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        thread.start()
        with anyio.move_on_after(LAST_SPANS):
            while thread.is_alive():  # noqa: ASYNC110 - a loop that closed could not be told
                await anyio.sleep(0.01)
            return
        logger.warning("the last spans could not be sent in time")


class _Spans(BatchSpanProcessor):
    """Sends spans in batches, without what people put into a query."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Keep from the span what the access log does not tell either."""
        if span.attributes and "url.query" in span.attributes:
            span.set_attribute("url.query", "REDACTED")
        super().on_start(span, parent_context)


def _resource() -> Resource:
    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, "")).startswith(_UNNAMED):
        return found.merge(Resource({SERVICE_NAME: _NAME}))
    return found


def _trace_id() -> str:
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else ""
