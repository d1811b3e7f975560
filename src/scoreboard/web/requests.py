"""Around every request: its id, its line in the log, what is counted of it, and a plain answer when
something breaks.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import re
import time
from collections.abc import Mapping
from typing import Final, cast

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scoreboard.errors import InternalServerError, RequestError, Unavailable
from scoreboard.telemetry import metrics
from scoreboard.telemetry.logs import request_id
from scoreboard.web.headers import Pair, secured
from scoreboard.web.problems import Problem, problem_of

_KEY: Final = "scoreboard.exchange"
_SANE: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}", re.ASCII)
_STREAM: Final = b"text/event-stream"
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))

# Looking a labelled metric up costs more than counting does. Routes, methods and statuses are few.
_counted = functools.cache(metrics.REQUESTS.labels)
_timed = functools.cache(metrics.REQUEST_SECONDS.labels)

logger = logging.getLogger(__name__)
access = logging.getLogger("scoreboard.access")


def tell(scope: Scope, headers: Mapping[str, str]) -> None:
    """Put these headers on the answer of this request, be it a success or an error."""
    _exchange_of(scope).told += [
        (name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()
    ]


def turned_away(error: RequestError) -> str:
    """Count and log a request that was refused before its route was known; gives the id that names
    it. Nothing that the client sent is in the line.
    """
    mine = _new_id()
    token = request_id.set(mine)
    _counted(metrics.OTHER, metrics.OTHER, error.status).inc()
    logger.info("a request was refused before it was served: %d %s", error.status, error.code)
    request_id.reset(token)
    return mine


class _Exchange:
    """A request and what has become of its answer."""

    __slots__ = ("_mine", "_scope", "_send", "began", "status", "streams", "told")

    def __init__(self, scope: Scope, send: Send, mine: str) -> None:
        self._scope = scope
        self._send = send
        self._mine = mine
        self.began = time.perf_counter()
        self.status = 0
        self.streams = False
        self.told: list[Pair] = []

    async def send(self, message: Message) -> None:
        """Pass it on; a head with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            raw = secured(message.get("headers", []))
            raw.append((b"x-request-id", self._mine.encode("ascii")))
            raw += self.told
            message["headers"] = raw
            for name, value in raw:
                if name == b"content-type":
                    self.streams = value.startswith(_STREAM)
            _counted(_route(self._scope), _method(self._scope), self.status).inc()
        await self._send(message)

    def end(self) -> None:
        """Count it and, if that is wanted, log it."""
        if not self.status:
            _counted(_route(self._scope), _method(self._scope), "none").inc()
        elif not self.streams:
            _timed(_route(self._scope)).observe(time.perf_counter() - self.began)
        if access.isEnabledFor(logging.INFO):
            # The raw path is percent-encoded: a line break in it cannot forge a log line. The query
            # stays out, since people put secrets there.
            path = self._scope.get("raw_path", b"").decode("ascii", "backslashreplace")
            took = (time.perf_counter() - self.began) * 1000
            access.info("%s %s %d %.1f ms", self._scope["method"], path, self.status, took)


class Requests:
    """ASGI middleware, outermost: nothing inside can answer without it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        mine = _given_id(scope) or _new_id()
        token = request_id.set(mine)
        exchange = scope[_KEY] = _Exchange(scope, send, mine)
        try:
            await self._app(scope, receive, exchange.send)
        finally:
            exchange.end()
            del scope[_KEY]  # they hold each other, and would wait for the collector of garbage
            request_id.reset(token)


def _exchange_of(scope: Scope) -> _Exchange:
    return cast("_Exchange", scope[_KEY])


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given: str = value.decode("latin-1")
            return given if _SANE.fullmatch(given) else None
    return None


def _new_id() -> str:
    return f"{random.getrandbits(64):016x}"


def _route(scope: Scope) -> str:
    """The template of the route that the router chose, never the path that a stranger made up."""
    template = getattr(scope.get("route"), "path_format", metrics.OTHER)
    return template if isinstance(template, str) else metrics.OTHER


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else metrics.OTHER


class Failures:
    """ASGI middleware, innermost: errors are answered here, and what breaks is logged and answered
    without a detail.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except (RequestError, HTTPException) as error:
            if _exchange_of(scope).status:  # cut it, so that it is not taken for a whole answer
                raise
            answer = problem_of(error, scope["path"])
        except ClientDisconnect:
            logger.info("a client went away in the middle of its request")
            return
        except asyncio.CancelledError:
            # The server's time for requests under way is up. Nothing more is awaited here than the
            # answer, so the cancellation ends with it.
            if _exchange_of(scope).status:
                raise
            answer = Problem(Unavailable("The service is shutting down."))
        except Exception:
            logger.exception("a request failed")
            if _exchange_of(scope).status:
                raise
            answer = Problem(InternalServerError("Please try again later."))
        else:
            return
        await answer(scope, receive, send)
