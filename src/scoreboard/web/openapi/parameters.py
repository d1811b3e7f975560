"""The parameters."""

from __future__ import annotations

from typing import Final

from scoreboard.board import TOP
from scoreboard.identity.signatures import SIGNATURE_HEADER, SKEW, TIMESTAMP_HEADER
from scoreboard.periods import ALL_TIME
from scoreboard.web.openapi.examples import KEY, SIGNATURE, TIMESTAMP
from scoreboard.web.openapi.nodes import Node, pattern, schema, whole
from scoreboard.web.openapi.schemas import LIMIT, PERIOD, REACH

MAX_OFFSET: Final = 10_000
_ANY: Final[Node] = {"type": "string"}


def _query(name: str, description: str, form: Node, **more: object) -> Node:
    return {"name": name, "in": "query", "description": description, "schema": form, **more}


def _header(name: str, description: str, form: Node, **more: object) -> Node:
    return {"name": name, "in": "header", "description": description, "schema": form, **more}


def _path(name: str, description: str, form: Node) -> Node:
    where = {"name": name, "in": "path", "required": True}
    return {**where, "description": description, "schema": form}


_KEY: Final = _header(
    "Idempotency-Key",
    "Names this attempt, so that a retry never counts twice. A key belongs to your account, over "
    "all calls, and is remembered for good: the same request with it is answered with the first "
    "receipt. `unlimited` actions and increments need one.",
    pattern(r"^[\x21-\x7e]{1,255}$", examples=[KEY, "6f1c1f0e-6f0b-4a44-9d6b-0d9f0a5f7a11"]),
)

PARAMETERS: Final[Node] = {
    "RequestId": _header(
        "X-Request-Id",
        "Your own name for this request. It is taken if it is 1-64 of `A-Za-z0-9._~-`; if not, the "
        "server makes one.",
        _ANY,
    ),
    "IdempotencyKey": _KEY,
    "IdempotencyKeyNeeded": {**_KEY, "required": True},
    "Timestamp": _header(
        TIMESTAMP_HEADER,
        f"When it was signed, in Unix seconds: at most {SKEW} from the server's clock.",
        pattern("^[0-9]{1,12}$", examples=[TIMESTAMP]),
        required=True,
    ),
    "Signature": _header(
        SIGNATURE_HEADER,
        "The HMAC-SHA256 of the request, in hexadecimal.",
        pattern("^v1=[0-9a-f]{64}$", examples=[SIGNATURE]),
        required=True,
    ),
    "IfNoneMatch": _header("If-None-Match", "The `ETag` of what you have.", _ANY),
    "LastEventId": _header("Last-Event-ID", "The id of the newest event that you have.", _ANY),
    "LastEventIdQuery": _query(
        "last_event_id", "The same where the header cannot be set; the header wins.", _ANY
    ),
    "Board": _query(
        "board",
        "Which board. One that is unknown or switched off is a 404.",
        {**schema("Board"), "default": ALL_TIME},
    ),
    "Period": _query(
        "period",
        "A day of `daily` or an ISO week of `weekly`; `all-time` takes none. Without it the "
        "current one.",
        pattern(PERIOD),
        examples={"day": {"value": "2026-11-21"}, "week": {"value": "2026-W47"}},
    ),
    "Limit": _query("limit", "How many users, at most.", whole(1, LIMIT, default=TOP)),
    "Offset": _query("offset", "How many users to skip.", whole(0, MAX_OFFSET, default=0)),
    "Around": _query("around", "How many neighbours on either side.", whole(0, REACH, default=2)),
    "Cursor": _query("cursor", "The `nextCursor` of the page before.", pattern("^[0-9]{1,18}$")),
    "ActionId": _path("actionId", "Which action.", schema("ActionId")),
    "CompletionId": _path("id", "Which row of the log: a `completionId`.", schema("CompletionId")),
    "UserId": _path("userId", "Which player. A `/` in it may stand as it is.", schema("UserId")),
}
