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
)
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
        """What a browser asks before a call. A refusal says nothing about who may."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        refusal = Problem(
            ValidationFailed("Origin", "this site may not make this call from a browser")
        )
        refusal.headers["Vary"] = answer.headers["Vary"]
        return refusal
