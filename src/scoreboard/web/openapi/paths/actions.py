"""What can be completed, and completing it."""

from __future__ import annotations

from typing import Final

from scoreboard.web.openapi import examples
from scoreboard.web.openapi.answers import LIMIT_HEADERS, answer
from scoreboard.web.openapi.bodies import HOURS
from scoreboard.web.openapi.nodes import Node
from scoreboard.web.openapi.paths.operation import V1, body, example_of, operation
from scoreboard.web.openapi.security import USER

ACTIONS: Final[Node] = {
    f"{V1}/actions": {
        "get": operation(
            "listActions",
            "What can be completed",
            "Every action with its points, how often it counts, and how soon.",
            answers={
                "200": answer(
                    "The actions.", example_of("Actions", examples.ACTIONS), cache="No-Cache"
                )
            },
            refusals=("Unavailable",),
        )
    },
    f"{V1}/actions/{{actionId}}/start": {
        "post": operation(
            "startAction",
            "Begin an action that takes time",
            "For an action that has `minElapsedSeconds`: proof of when you began it, which the "
            "completion needs as its `startToken`. It is good for your account, this action and "
            f"{HOURS} hours. Only a start from after your last completion of the action counts: so "
            "a token counts once, and tokens that are kept in store do not add up. Beginning again "
            "takes nothing back.",
            security=USER,
            parameters=("ActionId",),
            sent=body("Nothing", {}, required=False),
            answers={
                "201": answer("The start.", example_of("Start", examples.START), cache="No-Store")
            },
            refusals=(
                "StartMalformed",
                "Unauthorized",
                "InvalidAction",
                "PayloadTooLarge",
                "Unavailable",
            ),
        )
    },
    f"{V1}/actions/{{actionId}}/complete": {
        "post": operation(
            "completeAction",
            "Complete an action",
            "Answers with a receipt once the completion is durably recorded. The server alone "
            "decides the points. After a 503, a timeout or a lost connection, send the same "
            "request with the same `Idempotency-Key` again: it counts once. The key is looked up "
            "before all else: a retry gets its receipt even when the action was retired since.\n\n"
            "An action that has `minElapsedSeconds` needs a `startToken`. Who comes before that "
            "time is over, or that of `cooldownSeconds` or `dailyLimit`, gets 422 `TOO_SOON`, "
            "which says when to come back; nothing was recorded then, and no key is bound.\n\n"
            "Calls are limited for each account, whatever they answer. `RateLimit` and "
            "`RateLimit-Policy` come with every answer to a call that was counted, also with the "
            "errors that do not list them.",
            security=USER,
            parameters=("ActionId", "IdempotencyKey"),
            sent=body("Completion", {"data": {"level": 3}}, required=False),
            answers={
                "200": answer(
                    "The receipt.",
                    example_of("Receipt", examples.ANSWER),
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
                "CompletionRefused",
                "RateLimited",
                "Unavailable",
            ),
        )
    },
}
