"""The paths: every operation with every answer that it gives."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from scoreboard.live.snapshot import frame
from scoreboard.web.openapi import examples
from scoreboard.web.openapi.answers import LIMIT_HEADERS, answer, refused
from scoreboard.web.openapi.nodes import Node, ref, schema
from scoreboard.web.parse import MAX_BODY

_V1: Final = "/api/v1"
_JSON: Final = "application/json"
_ANYONE: Final[list[Node]] = []
_USER: Final[list[Node]] = [{"bearer": []}]


def _json(name: str, example: object) -> Node:
    return {_JSON: {"schema": schema(name), "example": example}}


def _body(name: str, example: object, *, required: bool = True) -> Node:
    description = (
        f"At most {MAX_BODY} bytes of UTF-8; no other fields, none twice, no U+0000 in any text. "
        "The `Content-Type` is not looked at."
    )
    return {"description": description, "required": required, "content": _json(name, example)}


def _operation(
    name: str,
    summary: str,
    description: str,
    *,
    answers: Node,
    refusals: Collection[str] = (),
    parameters: Collection[str] = (),
    body: Node | None = None,
    security: list[Node] = _ANYONE,
) -> Node:
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": security,
        "parameters": [ref("parameters", each) for each in ("RequestId", *parameters)],
        **({"requestBody": body} if body else {}),
        "responses": {**answers, **refused([*refusals, "InternalServerError"])},
    }


def _tagged(tag: str, paths: Node) -> Node:
    return {
        path: {method: {"tags": [tag], **operation} for method, operation in item.items()}
        for path, item in paths.items()
    }


_NAME_AND_PASSWORD: Final = {"username": "Ada", "password": "correct horse battery"}
_SESSION: Final = _json("Session", examples.SESSION.to_json())
_REFRESH: Final = _body("RefreshToken", {"refreshToken": examples.REFRESH_TOKEN})

_ACCOUNTS: Final = {
    f"{_V1}/auth/register": {
        "post": _operation(
            "register",
            "Make an account",
            "Makes an account with a password and logs it in.",
            body=_body("NewAccount", _NAME_AND_PASSWORD),
            answers={"201": answer("The account, logged in.", _SESSION, cache="No-Store")},
            refusals=(
                "BodyMalformed",
                "UsernameTaken",
                "PayloadTooLarge",
                "RateLimited",
                "Unavailable",
            ),
        )
    },
    f"{_V1}/auth/login": {
        "post": _operation(
            "logIn",
            "Log in",
            "A new pair of tokens for a username, in any case, and its password.",
            body=_body("Credentials", _NAME_AND_PASSWORD),
            answers={"200": answer("Logged in.", _SESSION, cache="No-Store")},
            refusals=(
                "BodyMalformed",
                "CredentialsWrong",
                "PayloadTooLarge",
                "RateLimited",
                "Unavailable",
            ),
        )
    },
    f"{_V1}/auth/refresh": {
        "post": _operation(
            "refreshSession",
            "Trade a refresh token for a new pair",
            "A refresh token works once. One that comes back was copied by somebody: then all that "
            "came from the same login stop working.",
            body=_REFRESH,
            answers={"200": answer("A new pair of tokens.", _SESSION, cache="No-Store")},
            refusals=(
                "BodyMalformed",
                "RefreshTokenInvalid",
                "PayloadTooLarge",
                "RateLimited",
                "Unavailable",
            ),
        )
    },
    f"{_V1}/auth/logout": {
        "post": _operation(
            "logOut",
            "Log out",
            "Ends the login that the refresh token came from. An access token lives on until it "
            "expires.",
            body=_REFRESH,
            answers={"204": answer("Logged out; also if the token was not valid any more.")},
            refusals=("BodyMalformed", "PayloadTooLarge", "Unavailable"),
        )
    },
    f"{_V1}/me": {
        "get": _operation(
            "getMe",
            "Your own place on every board",
            "`score` and `rank` are those of the first board, `all-time`.",
            security=_USER,
            answers={"200": answer("You.", _json("Me", examples.ME), cache="No-Store")},
            refusals=("Unauthorized", "Unavailable"),
        )
    },
    f"{_V1}/me/completions": {
        "get": _operation(
            "listMyCompletions",
            "Your own history",
            "What you completed, newest first.",
            security=_USER,
            parameters=("Cursor",),
            answers={
                "200": answer("A page.", _json("History", examples.HISTORY), cache="No-Store")
            },
            refusals=("QueryMalformed", "Unauthorized", "Unavailable"),
        )
    },
}

_ACTIONS: Final = {
    f"{_V1}/actions": {
        "get": _operation(
            "listActions",
            "What can be completed",
            "Every action with its points and how often it counts.",
            answers={
                "200": answer("The actions.", _json("Actions", examples.ACTIONS), cache="No-Cache")
            },
            refusals=("Unavailable",),
        )
    },
    f"{_V1}/actions/{{actionId}}/complete": {
        "post": _operation(
            "completeAction",
            "Complete an action",
            "Answers with a receipt once the completion is durably recorded. The server alone "
            "decides the points. After a 503, a timeout or a lost connection, send the same "
            "request with the same `Idempotency-Key` again: it counts once.\n\n"
            "Calls are limited for each account, whatever they answer. `RateLimit` and "
            "`RateLimit-Policy` come with every answer to a call that was counted, also with the "
            "errors that do not list them.",
            security=_USER,
            parameters=("ActionId", "IdempotencyKey"),
            body=_body("Completion", {"data": {"level": 3}}, required=False),
            answers={
                "200": answer(
                    "The receipt.",
                    _json("Receipt", examples.ANSWER),
                    cache="No-Store",
                    headers=(*LIMIT_HEADERS, "Idempotent-Replayed"),
                )
            },
            refusals=(
                "CompletionMalformed",
                "Unauthorized",
                "InvalidAction",
                "AlreadyCompleted",
                "PayloadTooLarge",
                "IdempotencyKeyReused",
                "RateLimited",
                "Unavailable",
            ),
        )
    },
}

_EVENTS: Final = {
    "update": {
        "summary": "The top 10, at once and after each change",
        "value": "retry: 3127\n\n" + frame(examples.TOP_TWO).data.decode(),
    },
    "newest": {
        "summary": "The client has the newest state already",
        "value": "retry: 3127\n: you have the newest\n\n",
    },
    "busy": {"summary": "Full house", "value": "retry: 15000\nevent: busy\ndata: {}\n\n"},
    "bye": {
        "summary": "The server is shutting down",
        "value": "retry: 4410\nevent: bye\ndata: {}\n\n",
    },
}

_LEADERBOARD: Final = {
    f"{_V1}/leaderboard": {
        "get": _operation(
            "getLeaderboard",
            "A page of a board",
            "Without parameters the top 10 of `all-time`. A period in which nobody earned points "
            "has no users.",
            parameters=("Board", "Period", "Limit", "Offset", "IfNoneMatch"),
            answers={
                "200": answer(
                    "A snapshot.",
                    _json("Snapshot", examples.TOP_TWO.to_json()),
                    cache="No-Cache",
                    headers=("ETag",),
                ),
                "304": answer("You have this version.", cache="No-Cache", headers=("ETag",)),
            },
            refusals=("QueryMalformed", "NotFound", "Unavailable"),
        )
    },
    f"{_V1}/leaderboard/stream": {
        "get": _operation(
            "streamLeaderboard",
            "The top 10 of a board, live",
            "Server-Sent Events: `new EventSource(url)` or `curl -N url`.\n\n"
            "- `leaderboard_update`: `data` is a `Snapshot` on one line, `id` its `version`. Sent "
            "at once, unless you already have that version, and after each change of the top 10, "
            "throttled, always ending with the newest state.\n"
            "- `busy` with `data: {}`: too many streams are open; the stream ends, and a browser "
            "comes back by itself.\n"
            "- `bye` with `data: {}`: the server is shutting down; the stream ends.\n"
            "- `retry` sets the milliseconds until a browser reconnects; a comment every 15 "
            "seconds keeps the connection open.\n\n"
            "A reader that is too slow skips states and never delays others.",
            parameters=("Board", "LastEventId", "LastEventIdQuery"),
            answers={
                "200": answer(
                    "The stream.",
                    {"text/event-stream": {"schema": {"type": "string"}, "examples": _EVENTS}},
                    cache="No-Store",
                    headers=("X-Accel-Buffering",),
                )
            },
            refusals=("QueryMalformed", "NotFound"),
        )
    },
    f"{_V1}/players/{{userId}}": {
        "get": _operation(
            "getPlayer",
            "A player's place and neighbours",
            "A player without points has score 0, rank null and no neighbours.",
            parameters=("UserId", "Board", "Around"),
            answers={
                "200": answer("The player.", _json("Player", examples.PLAYER), cache="No-Cache")
            },
            refusals=("QueryMalformed", "NotFound", "Unavailable"),
        )
    },
}

_METRICS: Final = """\
# HELP scoreboard_streams_open Streams that are open now
# TYPE scoreboard_streams_open gauge
scoreboard_streams_open{board="all-time"} 3.0
"""

_OPERATIONS: Final = {
    "/healthz": {
        "get": _operation(
            "getHealth",
            "Is the process up?",
            "Says nothing about the database.",
            answers={"200": answer("It is.", _json("Health", {"status": "ok"}), cache="No-Store")},
        )
    },
    "/readyz": {
        "get": _operation(
            "getReadiness",
            "Can completions be recorded?",
            "Also 200 when `degraded`: everything works, but something is missing.",
            answers={
                "200": answer(
                    "Yes.",
                    _json("Readiness", {"status": "ok", "database": "ok", "redis": "off"}),
                    cache="No-Store",
                ),
                "503": answer(
                    "No: the database is away.",
                    _json(
                        "Readiness", {"status": "unavailable", "database": "away", "redis": "off"}
                    ),
                    cache="No-Store",
                    headers=("Retry-After",),
                ),
            },
        )
    },
    "/metrics": {
        "get": _operation(
            "getMetrics",
            "What was counted and measured",
            "For Prometheus. Each metric is described beside its values.",
            answers={
                "200": answer(
                    "The metrics of all processes of this server.",
                    {"text/plain": {"schema": {"type": "string"}, "example": _METRICS}},
                    cache="No-Store",
                )
            },
        )
    },
    "/openapi.json": {
        "get": _operation(
            "getOpenapi",
            "This document",
            "The API, described for programs.",
            answers={
                "200": answer(
                    "An OpenAPI 3.1 document.",
                    {_JSON: {"schema": {"type": "object", "required": ["openapi", "info"]}}},
                    cache="No-Cache",
                )
            },
        )
    },
}

PATHS: Final[Node] = {
    **_tagged("accounts", _ACCOUNTS),
    **_tagged("actions", _ACTIONS),
    **_tagged("leaderboard", _LEADERBOARD),
    **_tagged("operations", _OPERATIONS),
}
