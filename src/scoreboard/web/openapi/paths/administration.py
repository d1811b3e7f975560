"""What staff may do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from scoreboard.web import admin
from scoreboard.web.openapi import examples
from scoreboard.web.openapi.answers import answer
from scoreboard.web.openapi.nodes import Node
from scoreboard.web.openapi.paths.operation import V1, body, example_of, operation
from scoreboard.web.openapi.security import with_scope

_STAFF: Final = with_scope(admin.SCOPE)
_NOTED: Final = f"Needs the scope `{admin.SCOPE}`. It leaves a row in the trail."
_ACTION: Final = answer(
    "The action.", example_of("Action", examples.QUIZ.to_json()), cache="No-Store"
)


def _correction(
    name: str,
    summary: str,
    description: str,
    *,
    answered: Node,
    refusal: str,
    parameters: Collection[str] = (),
    sent: Node,
) -> Node:
    """An operation that writes a row into the log."""
    return {
        "post": operation(
            name,
            summary,
            f"{description} {_NOTED}",
            security=_STAFF,
            parameters=(*parameters, "IdempotencyKey"),
            sent=sent,
            answers={"200": answered},
            refusals=(
                "BodyMalformed",
                "Unauthorized",
                "Forbidden",
                refusal,
                "PayloadTooLarge",
                "IdempotencyKeyReused",
                "Unavailable",
            ),
        )
    }


def _receipt(example: object) -> Node:
    return answer(
        "The receipt.",
        example_of("Receipt", example),
        cache="No-Store",
        headers=("Idempotent-Replayed",),
    )


def _shown(what: str, *, hidden: bool) -> Node:
    return answer(
        what, example_of("Shown", {**examples.HIDDEN, "hidden": hidden}), cache="No-Store"
    )


ADMINISTRATION: Final[Node] = {
    f"{V1}/admin/actions/{{actionId}}": {
        "put": operation(
            "putAction",
            "Create an action, change it, or bring it back",
            "It holds for the future: points that were earned stay. What is left out is as if it "
            f"was null, or empty. {_NOTED} When nothing changes, it leaves none.",
            security=_STAFF,
            parameters=("ActionId",),
            sent=body("ActionChange", examples.QUIZ_CHANGE),
            answers={"200": _ACTION},
            refusals=(
                "BodyMalformed",
                "Unauthorized",
                "Forbidden",
                "NoSuchPath",
                "PayloadTooLarge",
                "Unavailable",
            ),
        ),
        "delete": operation(
            "retireAction",
            "Retire an action",
            "Nobody can complete it any more. Completions of it stay, and retries of them are "
            f"answered with their receipts. Again, it changes nothing. {_NOTED}",
            security=_STAFF,
            parameters=("ActionId",),
            sent=body("Retirement", {"reason": "The season is over."}, required=False),
            answers={"200": _ACTION},
            refusals=(
                "BodyMalformed",
                "Unauthorized",
                "Forbidden",
                "InvalidAction",
                "PayloadTooLarge",
                "Unavailable",
            ),
        ),
    },
    f"{V1}/admin/adjustments": _correction(
        "adjustScore",
        "Give a player points, or take some",
        "Nothing in the log is edited: the adjustment is a row of its own. A score may go below 0, "
        "where it has no rank.",
        answered=_receipt(examples.ADJUSTED),
        refusal="NoSuchPlayer",
        sent=body("Adjustment", examples.ADJUSTMENT),
    ),
    f"{V1}/admin/completions/{{id}}/void": _correction(
        "voidCompletion",
        "Reverse a completion, an increment or an adjustment",
        "A row that takes its points back, on its day and in its week. Made once: again, whoever "
        "asks, the answer is the first receipt. What was completed once stays completed.",
        answered=_receipt(examples.VOIDED),
        refusal="NothingToVoid",
        parameters=("CompletionId",),
        sent=body("Correction", examples.CORRECTION),
    ),
    f"{V1}/admin/players/{{userId}}/hide": _correction(
        "hidePlayer",
        "Take a player off every board and stream",
        "Of every period, at once. The score is kept and goes on: completions still count.",
        answered=_shown("The player is hidden.", hidden=True),
        refusal="NoSuchPlayer",
        parameters=("UserId",),
        sent=body("Correction", examples.CORRECTION),
    ),
    f"{V1}/admin/players/{{userId}}/unhide": _correction(
        "unhidePlayer",
        "Put a player back on every board and stream",
        "With the score that was kept, and all that came since.",
        answered=_shown("The player is shown.", hidden=False),
        refusal="NoSuchPlayer",
        parameters=("UserId",),
        sent=body("Correction", {"reason": "A fast player, after all."}),
    ),
    f"{V1}/admin/audit": {
        "get": operation(
            "listAudit",
            "Who changed what, when and why",
            f"The trail of all changes by staff, newest first. Needs the scope `{admin.SCOPE}`.",
            security=_STAFF,
            parameters=("Cursor",),
            answers={
                "200": answer("A page.", example_of("Trail", examples.TRAIL), cache="No-Store")
            },
            refusals=("QueryMalformed", "Unauthorized", "Forbidden", "Unavailable"),
        )
    },
}
