"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import http

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scoreboard.errors import MethodNotAllowed, NotFound, RequestError, ValidationFailed


class Problem(JSONResponse):
    """The answer to a request that was not carried out."""

    media_type = "application/problem+json"

    def __init__(self, error: RequestError) -> None:
        super().__init__(
            {
                "type": f"urn:scoreboard:problem:{error.code.lower().replace('_', '-')}",
                "title": error.title,
                "status": error.status,
                "detail": str(error),
                "code": error.code,
                **error.extra,
            },
            status_code=error.status,
            headers={"Cache-Control": "no-store", **error.headers},
        )


def on_request_error(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer one of our own errors."""
    assert isinstance(error, RequestError)  # noqa: S101 - registered for this class
    return Problem(error)


def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer an error that Starlette's router raised."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    if error.status_code == 405:
        return Problem(MethodNotAllowed((error.headers or {}).get("Allow", "")))
    if error.status_code == 404:
        return Problem(NotFound(f"There is nothing at {request.url.path!r}."))
    return Problem(ValidationFailed("request", http.HTTPStatus(error.status_code).phrase))
