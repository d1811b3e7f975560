"""The schemas of what is sent: bodies, which take no other fields than these."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from scoreboard.identity.passwords import MAX_PASSWORD, MIN_PASSWORD
from scoreboard.identity.starts import LIFE_MS
from scoreboard.ledger.accounts import MAX_USERNAME
from scoreboard.ledger.actions import (
    MAX_COOLDOWN,
    MAX_DESCRIPTION,
    MAX_ELAPSED,
    MAX_NAME,
    MAX_TIMES,
    REPEATS,
)
from scoreboard.ledger.audit import MAX_REASON
from scoreboard.web.actions import MAX_DATA
from scoreboard.web.admin import MAX_ADJUSTMENT
from scoreboard.web.openapi.nodes import Node, nullable, record, schema, text, whole

LONGEST: Final = 1024  # characters of a field before its own rules are looked at
MAX_POINTS: Final = 1_000_000  # the highest that SCOREBOARD_MAX_POINTS can be set to
HOURS: Final = LIFE_MS // 3_600_000  # that a start token lives


def _body(properties: Node, *, optional: Collection[str] = ()) -> Node:
    # In a body, null is the same as nothing.
    forms = {
        name: nullable(form) if name in optional else form for name, form in properties.items()
    }
    return record(forms, optional=optional, additionalProperties=False)


_GIVEN_NAME: Final = text(1, LONGEST, examples=["Ada"])
_REASON: Final = text(
    1, MAX_REASON, description="Why, for the trail. At least one character can be seen."
)

ACTION: Final[Node] = {
    "name": text(1, MAX_NAME),
    "description": text(0, MAX_DESCRIPTION),
    "points": whole(1, MAX_POINTS),
    "repeat": {
        "type": "string",
        "enum": list(REPEATS),
        "description": "`once` counts once per account, `daily` once per UTC day, and "
        "`unlimited` once per Idempotency-Key, which it needs.",
    },
    "minElapsedSeconds": nullable(
        whole(
            1,
            MAX_ELAPSED,
            description="So long after a start it can be completed, with the token of that start. "
            "null: it needs no start.",
        )
    ),
    "cooldownSeconds": nullable(
        whole(
            1,
            MAX_COOLDOWN,
            description="So long after a completion the same account cannot complete it again. "
            "null: it need not wait.",
        )
    ),
    "dailyLimit": nullable(
        whole(
            1,
            MAX_TIMES,
            description="So many times a UTC day an account can complete it. null: any number.",
        )
    ),
}
"""What an action is, beside its id."""

BODIES: Final[Node] = {
    "NewAccount": _body(
        {
            "username": {
                **_GIVEN_NAME,
                "description": f"1-{MAX_USERNAME} characters once normalized (NFKC) and trimmed, "
                "without control or invisible formatting characters, with at least one that can "
                "be seen.",
            },
            "password": text(
                MIN_PASSWORD,
                MAX_PASSWORD,
                format="password",
                description="Counted and compared in NFC.",
            ),
        }
    ),
    "Credentials": _body(
        {
            "username": {**_GIVEN_NAME, "description": "In any case."},
            "password": text(1, LONGEST, format="password"),
        }
    ),
    "RefreshToken": _body({"refreshToken": text(1, LONGEST)}),
    "Nothing": _body({}),
    "Completion": _body(
        {
            "data": {
                "type": "object",
                "additionalProperties": True,
                "description": "Anything worth keeping with the completion; stored, not "
                f"interpreted. At most {MAX_DATA} bytes of JSON without spaces.",
            },
            "startToken": text(
                1,
                MAX_DATA,
                description="From `startAction`: for actions that have `minElapsedSeconds`. It "
                f"counts if it is yours, for this action, no older than {HOURS} hours, and from "
                "after your last completion of the action.",
            ),
        },
        optional=("data", "startToken"),
    ),
    "Increment": _body(
        {
            "userId": schema("UserId"),
            "points": whole(
                1, MAX_POINTS, description="At most SCOREBOARD_MAX_POINTS: 100 unless it is set."
            ),
            "reason": text(
                1,
                MAX_REASON,
                description="What for; kept in the log. At least one character can be seen.",
            ),
        },
        optional=("reason",),
    ),
    "ActionChange": _body(
        {
            **ACTION,
            "name": text(1, MAX_NAME, description="One line; trimmed."),
            "description": text(0, MAX_DESCRIPTION, description="One line."),
            "points": whole(
                1, MAX_POINTS, description="At most SCOREBOARD_MAX_POINTS: 100 unless it is set."
            ),
            "reason": _REASON,
        },
        optional=(
            "description",
            "minElapsedSeconds",
            "cooldownSeconds",
            "dailyLimit",
            "reason",
        ),
    ),
    "Retirement": _body({"reason": _REASON}, optional=("reason",)),
    "Adjustment": _body(
        {
            "userId": schema("UserId"),
            "points": whole(
                -MAX_ADJUSTMENT,
                MAX_ADJUSTMENT,
                description="Added to the score, or taken from it.",
                **{"not": {"const": 0}},
            ),
            "reason": _REASON,
        }
    ),
    "Correction": _body({"reason": _REASON}),
}
