"""Conditional requests (RFC 9110, 13): an answer that the client already has is a 304."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')


def answer(
    request: Request, body: bytes, *, version: str, media_type: str, headers: dict[str, str]
) -> Response:
    """The body with its version as a weak ETag, or 304 when the client has that version."""
    headers = {"ETag": f'W/"{version}"', **headers}
    if has_version(", ".join(request.headers.getlist("if-none-match")), version):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def has_version(if_none_match: str, version: str) -> bool:
    """Whether an `If-None-Match` header names this version, compared weakly."""
    return if_none_match.strip() == "*" or version in _TAG.findall(if_none_match)
