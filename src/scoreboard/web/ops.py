"""What a platform and its operator ask."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scoreboard.errors import Unavailable
from scoreboard.telemetry import metrics as counted
from scoreboard.web.callers import scoreboard_of
from scoreboard.web.openapi import DOCUMENT

_FRESH = {"Cache-Control": "no-store"}


async def healthz(request: Request) -> Response:  # noqa: ARG001
    """`GET /healthz`: the process is up, whatever else is not."""
    return JSONResponse({"status": "ok"}, headers=_FRESH)


async def readyz(request: Request) -> Response:
    """`GET /readyz`: 200 when the database can be read; without Redis it is `degraded`, and still
    serves everything.
    """
    scoreboard = scoreboard_of(request)
    link = scoreboard.link
    redis = "off" if link is None else "away" if link.is_away else "ok"
    try:
        await scoreboard.database.check()
    except Unavailable:
        body = {"status": "unavailable", "database": "away", "redis": redis}
        return JSONResponse(body, 503, headers={**_FRESH, "Retry-After": "1"})
    status = "degraded" if redis == "away" else "ok"
    return JSONResponse({"status": status, "database": "ok", "redis": redis}, headers=_FRESH)


async def metrics(request: Request) -> Response:  # noqa: ARG001
    """`GET /metrics`: what was counted and measured, of all processes of this server."""
    headers = {**_FRESH, "Content-Type": counted.CONTENT_TYPE}
    return Response(counted.exposition(), headers=headers)


async def openapi(request: Request) -> Response:  # noqa: ARG001
    """`GET /openapi.json`: this API, described."""
    return JSONResponse(DOCUMENT, headers={"Cache-Control": "no-cache"})
