"""Responses that are made often: their headers are bytes already, and nothing is looked up."""

from __future__ import annotations

import json
from typing import Final

from starlette.types import Receive, Scope, Send

from scoreboard.web.headers import Pair

JSON: Final[Pair] = (b"content-type", b"application/json")

encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""JSON as it is answered, without spaces. `json.dumps` would make an encoder for each."""


class Ready:
    """An ASGI response whose body is at hand. Names of `headers` are in lower case."""

    def __init__(self, body: bytes, headers: list[Pair], status_code: int = 200) -> None:
        self.body = body
        self.headers = headers
        self.status_code = status_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer; without a length when there can be no body (RFC 9110, 15.4.5)."""
        headers = self.headers
        if self.status_code != 304:
            headers = [*headers, (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
