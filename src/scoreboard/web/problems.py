"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import http

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from scoreboard.errors import MethodNotAllowed, NotFound, RequestError, ValidationFailed
from scoreboard.web.headers import Pair, secured


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


def last_answer(error: RequestError, request_id: str, date: list[Pair]) -> bytes:
    """A problem as the bytes of an HTTP/1.1 response after which the connection ends: for what is
    refused before there is an application to answer it.
    """
    problem = Problem(error)
    headers = [
        *date,
        *secured(problem.raw_headers),
        (b"x-request-id", request_id.encode("ascii")),
        (b"connection", b"close"),
    ]
    phrase = http.HTTPStatus(error.status).phrase
    head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (
        error.status,
        phrase.encode(),
        head,
        bytes(problem.body),
    )


def problem_of(error: RequestError | HTTPException, path: str) -> Problem:
    """The answer to one of our own errors, or to one that Starlette's router raised at `path`."""
    if isinstance(error, RequestError):
        return Problem(error)
    if error.status_code == 405:
        return Problem(MethodNotAllowed((error.headers or {}).get("Allow", "")))
    if error.status_code == 404:
        return Problem(NotFound(f"There is nothing at {path!r}."))
    return Problem(ValidationFailed("request", http.HTTPStatus(error.status_code).phrase))
