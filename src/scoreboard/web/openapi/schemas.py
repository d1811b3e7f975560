"""The schemas: what bodies and answers hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from scoreboard import periods
from scoreboard.errors import RequestError
from scoreboard.identity.passwords import MAX_PASSWORD, MIN_PASSWORD
from scoreboard.identity.tokens import MAX_ACCOUNT_ID
from scoreboard.ledger.accounts import MAX_USERNAME
from scoreboard.ledger.actions import MAX_DESCRIPTION, MAX_NAME, REPEATS
from scoreboard.periods import BOARDS
from scoreboard.web.accounts import PAGE
from scoreboard.web.actions import MAX_DATA
from scoreboard.web.openapi.examples import ADA, AT, GRACE, RECEIPT, TOP_TWO
from scoreboard.web.openapi.nodes import Node, listing, pattern, record, schema, text, whole

LONGEST: Final = 1024  # characters of a field before its own rules are looked at
PERIOD: Final = "^[0-9]{4}-([0-9]{2}-[0-9]{2}|W[0-9]{2})$"
LIMIT: Final = 100  # users a page
REACH: Final = 10  # neighbours on either side


def _body(properties: Node, *, optional: Collection[str] = ()) -> Node:
    return record(properties, optional=optional, additionalProperties=False)


def _codes(error: type[RequestError] = RequestError) -> Iterator[str]:
    yield error.code
    for kind in error.__subclasses__():
        yield from _codes(kind)


_LOGGED: Final[Node] = {
    "completionId": schema("CompletionId"),
    "actionId": schema("ActionId"),
    "pointsEarned": whole(1, description="What the action was worth when it was completed."),
    "newScore": whole(1, description="The `all-time` score right after this completion."),
    "completedAt": schema("Time"),
}
_PLAYER: Final[Node] = {
    "userId": schema("UserId"),
    "username": schema("Username"),
    "score": whole(0),
    "rank": schema("Rank"),
}
_PLACE: Final[Node] = {"board": schema("Board"), "period": schema("Period")}
_GIVEN_NAME: Final = text(1, LONGEST, examples=["Ada"])

SCHEMAS: Final[Node] = {
    "Time": pattern(
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        format="date-time",
        description="RFC 3339 in UTC with milliseconds.",
        examples=[periods.rfc3339(AT)],
    ),
    "UserId": text(
        1,
        MAX_ACCOUNT_ID,
        description="An account's id: opaque text, the `sub` of its tokens.",
        examples=[ADA.account_id, GRACE.account_id, "team/ada"],
    ),
    "Username": text(
        1,
        MAX_USERNAME,
        description="Normalized (NFKC) and trimmed; unique whatever the case; never changed.",
        examples=[ADA.username],
    ),
    "ActionId": pattern("^[a-z0-9][a-z0-9_-]{0,63}$", examples=[RECEIPT.action_id]),
    "CompletionId": pattern("^[1-9][0-9]{0,18}$", examples=[str(RECEIPT.log_id)]),
    "Board": {"type": "string", "enum": list(BOARDS)},
    "Period": {
        "type": ["string", "null"],
        "pattern": PERIOD,
        "description": "The day (`daily`) or ISO week (`weekly`), in UTC; null for `all-time`.",
        "examples": ["2026-11-21", "2026-W47", None],
    },
    "Rank": {
        "type": ["integer", "null"],
        "minimum": 1,
        "description": "The position, 1 first, unique; null when the account is on no place.",
    },
    "Version": pattern(
        "^[0-9a-f]{18}$",
        description="Names what is shown: equal on every server, for equal users in equal order.",
        examples=[TOP_TWO.version],
    ),
    "NewAccount": _body(
        {
            "username": {
                **_GIVEN_NAME,
                "description": f"1-{MAX_USERNAME} characters once normalized (NFKC) and trimmed, "
                "without control or invisible formatting characters, with at least one that can "
                "be seen.",
            },
            "password": text(MIN_PASSWORD, MAX_PASSWORD, format="password"),
        }
    ),
    "Credentials": _body(
        {
            "username": {**_GIVEN_NAME, "description": "In any case."},
            "password": text(1, LONGEST, format="password"),
        }
    ),
    "RefreshToken": _body({"refreshToken": text(1, LONGEST)}),
    "Completion": _body(
        {
            "data": {
                "type": "object",
                "description": "Anything worth keeping with the completion; stored, not "
                f"interpreted. At most {MAX_DATA} bytes of JSON without spaces.",
            },
            "startToken": text(1, MAX_DATA, description="Only for actions that are started first."),
        },
        optional=("data", "startToken"),
    ),
    "Session": record(
        {
            "account": record({"userId": schema("UserId"), "username": schema("Username")}),
            "accessToken": pattern(
                r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}$",
                description="A JSON Web Token: send it as a bearer.",
            ),
            "refreshToken": pattern("^[A-Za-z0-9_-]{43}$", description="Works once."),
            "tokenType": {"const": "Bearer"},
            "expiresIn": whole(60, 86_400, description="Seconds that the access token lives."),
        }
    ),
    "Action": record(
        {
            "actionId": schema("ActionId"),
            "name": text(1, MAX_NAME),
            "description": text(0, MAX_DESCRIPTION),
            "points": whole(1, 1_000_000),
            "repeat": {
                "type": "string",
                "enum": list(REPEATS),
                "description": "`once` counts once per account, `daily` once per UTC day, and "
                "`unlimited` once per Idempotency-Key, which it needs.",
            },
        }
    ),
    "Actions": record({"actions": listing("Action")}),
    "Logged": record(_LOGGED, description="A completion that counted."),
    "Receipt": record(
        {"success": {"const": True}, **_LOGGED, "rank": schema("Rank")},
        description="A completion that counted, durably, with the `all-time` rank of this moment.",
    ),
    "History": record(
        {
            "items": listing("Logged", PAGE),
            "nextCursor": {
                "type": ["string", "null"],
                "pattern": "^[0-9]{1,18}$",
                "description": "Send it as `cursor` for the next page; null on the last.",
            },
        }
    ),
    "Entry": record({**_PLAYER, "rank": whole(1), "score": whole(1)}),
    "Snapshot": record(
        {
            **_PLACE,
            "version": schema("Version"),
            "updatedAt": schema("Time"),
            "users": listing("Entry", LIMIT),
        }
    ),
    "Player": record({**_PLAYER, **_PLACE, "around": listing("Entry", 2 * REACH + 1)}),
    "Standing": record({**_PLACE, "score": whole(0), "rank": schema("Rank")}),
    "Me": record({**_PLAYER, "boards": listing("Standing", len(BOARDS))}),
    "Health": record({"status": {"const": "ok"}}),
    "Readiness": record(
        {
            "status": {"type": "string", "enum": ["ok", "degraded", "unavailable"]},
            "database": schema("Dependency"),
            "redis": schema("Dependency"),
        }
    ),
    "Dependency": {"type": "string", "enum": ["ok", "away", "off"]},
    "Problem": record(
        {
            "type": pattern("^urn:scoreboard:problem:[a-z-]+$", format="uri"),
            "title": {"type": "string", "description": "The same for every problem of a code."},
            "status": whole(400, 599),
            "detail": {"type": "string", "description": "What happened, for people."},
            "code": {
                "type": "string",
                "enum": sorted(set(_codes())),
                "description": "What happened, for programs: branch on this.",
            },
            "field": {"type": "string", "description": "Which field or parameter was wrong."},
            "retryAfter": whole(1, description="Seconds to wait, as in `Retry-After`."),
            "completion": schema("Receipt"),
        },
        optional=("field", "retryAfter", "completion"),
        description="RFC 9457.",
    ),
}
