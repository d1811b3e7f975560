"""The schemas: what answers hold, and with `BODIES` all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from scoreboard import periods
from scoreboard.errors import RequestError
from scoreboard.identity.claims import MAX_ACCOUNT_ID
from scoreboard.ledger.accounts import MAX_USERNAME
from scoreboard.ledger.audit import MAX_REASON
from scoreboard.periods import BOARDS
from scoreboard.scoring.completion import ChangeKind
from scoreboard.web import admin
from scoreboard.web.accounts import PAGE
from scoreboard.web.actions import MAX_DATA
from scoreboard.web.openapi.bodies import ACTION, BODIES, MAX_POINTS
from scoreboard.web.openapi.examples import ADA, AT, GRACE, NOTED, RECEIPT, TOP_TWO
from scoreboard.web.openapi.nodes import (
    Node,
    listing,
    nullable,
    pattern,
    record,
    schema,
    text,
    whole,
)

CHANGES: Final = (
    "action_created",
    "action_changed",
    "action_retired",
    *(kind for kind in get_args(ChangeKind) if kind != "increment"),
)
PERIOD: Final = "^[0-9]{4}-([0-9]{2}-[0-9]{2}|W[0-9]{2})$"
LIMIT: Final = 100  # users a page
REACH: Final = 10  # neighbours on either side


def _codes(error: type[RequestError] = RequestError) -> Iterator[str]:
    yield error.code
    for kind in error.__subclasses__():
        yield from _codes(kind)


_MOST: Final = max(MAX_POINTS, admin.MAX_ADJUSTMENT)
_LOGGED: Final[Node] = {
    "completionId": schema("CompletionId"),
    "actionId": nullable(
        {
            **schema("ActionId"),
            "description": "null for increments and adjustments, which no action stands behind.",
        }
    ),
    "pointsEarned": whole(
        -_MOST,
        _MOST,
        description="What the action was worth when it was completed. Below 0 when points were "
        "taken: by an adjustment or a void.",
    ),
    "newScore": whole(description="The `all-time` score right after this row of the log."),
    "completedAt": schema("Time"),
}
_PLAYER: Final[Node] = {
    "userId": schema("UserId"),
    "username": schema("Username"),
    "score": schema("Score"),
    "rank": schema("Rank"),
}
_NEXT: Final[Node] = {
    "type": ["string", "null"],
    "pattern": "^[0-9]{1,18}$",
    "description": "Send it as `cursor` for the next page; null on the last.",
}
_PLACE: Final[Node] = {"board": schema("Board"), "period": schema("Period")}

SCHEMAS: Final[Node] = {
    **BODIES,
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
        "description": "The position, 1 first, unique; null when the account is on no place, "
        "having no points or being hidden, and in a receipt when it cannot be told now.",
    },
    "Score": whole(description="Points in a period. Corrections can take it below 0."),
    "Version": pattern(
        "^[0-9a-f]{18}$",
        description="Names what is shown: equal on every server, for equal users in equal order.",
        examples=[TOP_TWO.version],
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
    "Action": record({"actionId": schema("ActionId"), **ACTION}),
    "Actions": record({"actions": listing("Action")}),
    "Logged": record(_LOGGED, description="A row of the log that counted."),
    "Receipt": record(
        {"success": {"const": True}, **_LOGGED, "rank": schema("Rank")},
        description="What counted, durably, with the `all-time` rank of this moment.",
    ),
    "History": record(
        {
            "items": listing("Logged", PAGE),
            "nextCursor": _NEXT,
        }
    ),
    "Start": record(
        {
            "startToken": text(
                1, MAX_DATA, description="Send it with the completion. Opaque; yours alone."
            ),
            "expiresAt": schema("Time"),
        }
    ),
    "Shown": record(
        {
            "userId": schema("UserId"),
            "username": schema("Username"),
            "hidden": {"type": "boolean"},
            "score": schema("Score"),
            "changedAt": schema("Time"),
        },
        description="Whether a player is on the boards. The score is kept and goes on.",
    ),
    "Noted": record(
        {
            "id": pattern("^[1-9][0-9]{0,18}$", examples=[str(NOTED.audit_id)]),
            "at": schema("Time"),
            "actor": text(
                1,
                MAX_ACCOUNT_ID,
                description="Who: an account's id, `cli:` and a login name for a command, or "
                "`serve --demo` for the demo actions.",
            ),
            "change": {"type": "string", "enum": list(CHANGES)},
            "subject": text(
                1, MAX_ACCOUNT_ID, description="What was changed: an account's id, or an action's."
            ),
            "reason": nullable(text(1, MAX_REASON)),
            "detail": record(
                {
                    "completionId": schema("CompletionId"),
                    "points": whole(-_MOST, _MOST),
                    "voids": schema("CompletionId"),
                    "before": schema("Action"),
                    "after": schema("Action"),
                },
                optional=("completionId", "points", "voids", "before", "after"),
                description="Of a correction the row of the log that it is, its points, and the "
                "row that it voids; of an action what it was and what it is.",
            ),
        },
        description="One change by staff. Rows are never changed.",
    ),
    "Trail": record({"items": listing("Noted", admin.PAGE), "nextCursor": _NEXT}),
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
    "Standing": record({**_PLACE, "score": schema("Score"), "rank": schema("Rank")}),
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
