"""Around every request: its id, its line in the log, what is counted of it, and a plain answer when
something breaks.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import secrets
import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scoreboard.errors import InternalServerError, RequestError, Unavailable
from scoreboard.telemetry import metrics
from scoreboard.telemetry.logs import request_id
from scoreboard.web.headers import secured
from scoreboard.web.problems import Problem

HEADERS_KEY: Final = "scoreboard.headers"
"""Where a handler leaves headers that belong on its answer, whatever the answer turns out to be."""

_SANE: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}", re.ASCII)
_STREAM: Final = b"text/event-stream"
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))

# Looking a labelled metric up costs more than counting does. Routes, methods and statuses are few.
_counted = functools.cache(metrics.REQUESTS.labels)
_timed = functools.cache(metrics.REQUEST_SECONDS.labels)

logger = logging.getLogger(__name__)
access = logging.getLogger("scoreboard.access")


def tell(scope: Scope, headers: dict[str, str]) -> None:
    """Put these headers on the answer of this request, be it a success or an error."""
    scope.setdefault(HEADERS_KEY, {}).update(headers)


def turned_away(error: RequestError) -> str:
    """Count and log a request that was refused before its route was known; gives the id that names
    it. Nothing that the client sent is in the line.
    """
    mine = secrets.token_hex(8)
    token = request_id.set(mine)
    _counted(metrics.OTHER, metrics.OTHER, error.status).inc()
    logger.info("a request was refused before it was served: %d %s", error.status, error.code)
    request_id.reset(token)
    return mine


class Requests:
    """ASGI middleware, outermost: nothing inside can answer without it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        mine = given if _SANE.fullmatch(given) else secrets.token_hex(8)
        token = request_id.set(mine)
        began, status, streams = time.perf_counter(), 0, False

        async def send_marked(message: Message) -> None:
            nonlocal status, streams
            if message["type"] == "http.response.start":
                status = message["status"]
                raw = secured(message.get("headers", []))
                raw.append((b"x-request-id", mine.encode("ascii")))
                message["headers"] = raw
                streams = any(
                    pair[0] == b"content-type" and pair[1].startswith(_STREAM) for pair in raw
                )
                _counted(_route(scope), _method(scope), status).inc()
                if told := scope.get(HEADERS_KEY):
                    MutableHeaders(scope=message).update(told)
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        finally:
            if not status:
                _counted(_route(scope), _method(scope), "none").inc()
            elif not streams:
                _timed(_route(scope)).observe(time.perf_counter() - began)
            if access.isEnabledFor(logging.INFO):
                # The raw path is percent-encoded: a line break in it cannot forge a log line. The
                # query stays out, since people put secrets there.
                path = scope.get("raw_path", b"").decode("ascii", "backslashreplace")
                took = (time.perf_counter() - began) * 1000
                access.info("%s %s %d %.1f ms", scope["method"], path, status, took)
            request_id.reset(token)


def _route(scope: Scope) -> str:
    """The template of the route that the router chose, never the path that a stranger made up."""
    template = getattr(scope.get("route"), "path_format", metrics.OTHER)
    return template if isinstance(template, str) else metrics.OTHER


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else metrics.OTHER


class Failures:
    """ASGI middleware, innermost: what breaks is logged here and answered without a detail."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        answer: RequestError
        try:
            await self._app(scope, receive, send_noted)
        except ClientDisconnect:
            logger.info("a client went away in the middle of its request")
            return
        except asyncio.CancelledError:
            # The server's time for requests under way is up. Nothing more is awaited here than the
            # answer, so the cancellation ends with it.
            if has_begun:
                raise
            answer = Unavailable("The service is shutting down.")
        except Exception:
            logger.exception("a request failed")
            if has_begun:  # cut it, so that it is not taken for a whole answer
                raise
            answer = InternalServerError("Please try again later.")
        else:
            return
        await Problem(answer)(scope, receive, send)
