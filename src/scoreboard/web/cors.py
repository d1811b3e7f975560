"""Which other sites may read the answers: those that the operator listed, and no other (Fetch
standard, CORS protocol).
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from scoreboard.errors import ValidationFailed
from scoreboard.settings import Settings
from scoreboard.web.problems import Problem

MAX_AGE: Final = (
    600  # seconds that a browser keeps an answer: so soon a site taken off the list is out
)
_METHODS: Final = ("GET", "POST", "PUT", "DELETE")
# Signatures are not among them: increments come from backends, which know no origin.
_ALLOWED: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "X-Request-Id",
    # What libraries add to the calls of a page: EventSource polyfills and fetch wrappers, ...
    "Cache-Control",
    "Pragma",
    "X-Requested-With",
    # ... and tracing in the browser (W3C Trace Context and Baggage, Sentry, B3, Datadog, Jaeger,
    # New Relic, Elastic), where a refused header would refuse the call.
    "Baggage",
    "Traceparent",
    "Tracestate",
    "Sentry-Trace",
    "B3",
    "X-B3-Flags",
    "X-B3-ParentSpanId",
    "X-B3-Sampled",
    "X-B3-SpanId",
    "X-B3-TraceId",
    "X-Datadog-Origin",
    "X-Datadog-Parent-Id",
    "X-Datadog-Sampling-Priority",
    "X-Datadog-Tags",
    "X-Datadog-Trace-Id",
    "Uber-Trace-Id",
    "Newrelic",
    "Elastic-Apm-Traceparent",
)
MAX_NAMED: Final = 100  # characters of a refused header or method that the refusal repeats
_EXPOSED: Final = (
    "ETag",
    "Idempotent-Replayed",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-Id",
)


def cors(settings: Settings) -> list[Middleware]:
    """The middleware for the listed sites; nothing when none is listed.

    A site is compared as a whole, is told by its own name, never by `*`, and gets no credentials of
    the browser: tokens are sent by scripts that have them.
    """
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            ListedSites,
            allow_origins=settings.cors_origins,
            allow_methods=_METHODS,
            allow_headers=_ALLOWED,
            expose_headers=_EXPOSED,
            max_age=MAX_AGE,
        )
    ]


class ListedSites(CORSMiddleware):
    """Starlette's middleware, which refuses as everything else here does."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser asks before a call. A refusal says what was refused, and nothing about who
        may.
        """
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        refusal = Problem(self._refusal(request_headers))
        refusal.headers["Vary"] = answer.headers["Vary"]
        return refusal

    def _refusal(self, asked: Headers) -> ValidationFailed:
        if not self.is_allowed_origin(asked["origin"]):
            return ValidationFailed("Origin", "this site may not make this call from a browser")
        method = asked["access-control-request-method"]
        if method not in self.allow_methods:
            return ValidationFailed(
                "Access-Control-Request-Method", f"no call has the method {method[:MAX_NAMED]!r}"
            )
        for name in asked.get("access-control-request-headers", "Accept").split(","):
            if name.strip().lower() not in self.allow_headers:
                return ValidationFailed(
                    "Access-Control-Request-Headers",
                    f"no call may send the header {name.strip()[:MAX_NAMED]!r}",
                )
        return ValidationFailed("Access-Control-Request-Private-Network", "is not allowed")
