"""Conditional requests (RFC 9110, 13): an answer that the client already has is a 304."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from starlette.requests import HTTPConnection

from scoreboard.web.headers import Pair
from scoreboard.web.responses import Ready

_TAG: Final = re.compile(rb'(?:W/)?"([^"]*)"')


def tagged(version: str, headers: Iterable[Pair]) -> list[Pair]:
    """These headers with the version as a weak ETag."""
    return [*headers, (b"etag", b'W/"%b"' % version.encode())]


def answer(request: HTTPConnection, body: bytes, version: str, headers: list[Pair]) -> Ready:
    """The body, or 304 when the client has that version. `headers` are those of the body."""
    for name, value in request.scope["headers"]:
        if name == b"if-none-match" and has_version(value, version.encode()):
            return Ready(b"", [pair for pair in headers if pair[0] != b"content-type"], 304)
    return Ready(body, headers)


def has_version(if_none_match: bytes, version: bytes) -> bool:
    """Whether an `If-None-Match` header names this version, compared weakly."""
    return if_none_match.strip() == b"*" or version in _TAG.findall(if_none_match)
