"""What a platform and its operator ask."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scoreboard.errors import Unavailable
from scoreboard.web.callers import scoreboard_of
from scoreboard.web.openapi import DOCUMENT

_FRESH = {"Cache-Control": "no-store"}


async def healthz(request: Request) -> Response:  # noqa: ARG001
    """`GET /healthz`: the process is up, whatever else is not."""
    return JSONResponse({"status": "ok"}, headers=_FRESH)


async def readyz(request: Request) -> Response:
    """`GET /readyz`: 200 when the database can be read and its file is the one that was opened."""
    try:
        await scoreboard_of(request).database.check()
    except Unavailable:
        body = {"status": "unavailable", "database": "away", "redis": "off"}
        return JSONResponse(body, 503, headers={**_FRESH, "Retry-After": "1"})
    return JSONResponse({"status": "ok", "database": "ok", "redis": "off"}, headers=_FRESH)


async def openapi(request: Request) -> Response:  # noqa: ARG001
    """`GET /openapi.json`: this API, described."""
    return JSONResponse(DOCUMENT, headers={"Cache-Control": "no-cache"})
