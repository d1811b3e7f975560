"""What staff may do: actions, corrections, who is shown, and the trail of all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from scoreboard.errors import InvalidAction, ValidationFailed
from scoreboard.ledger import actions, audit
from scoreboard.ledger.accounts import Account
from scoreboard.periods import rfc3339
from scoreboard.scoring import refusals
from scoreboard.scoring.completion import Answer, Change
from scoreboard.scoring.fingerprints import fingerprint
from scoreboard.web import parse
from scoreboard.web.callers import account_of, player_of, scoreboard_of
from scoreboard.web.receipts import receipt

SCOPE: Final = "admin"
PAGE: Final = 50  # rows of the trail
MAX_ADJUSTMENT: Final = 1_000_000  # points either way
_LOG_ID: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_NO_STORE: Final = {"Cache-Control": "no-store"}


async def action(request: Request) -> Response:
    """`PUT /admin/actions/{actionId}`: create an action, or change it for the future. `DELETE`:
    nobody can complete it any more, and the past stays.
    """
    # One route for both: the router would name the methods of one alone in `Allow`.
    return await (_put_action if request.method == "PUT" else _retire_action)(request)


async def _put_action(request: Request) -> Response:
    scoreboard = scoreboard_of(request)
    actor = await account_of(request, SCOPE)
    body = await parse.json_object(request, actions.FIELDS - {"actionId"} | {"reason"})
    reason = parse.reason(body, required=False)
    fields = {field: value for field, value in body.items() if field != "reason"}
    try:
        wanted = actions.parse_one(
            {"actionId": request.path_params["actionId"], **fields}, scoreboard.settings.max_points
        )
    except actions.FieldError as error:
        raise ValidationFailed(error.field, error.why) from error
    await actions.put(
        scoreboard.database,
        wanted,
        actor_id=actor.account_id,
        reason=reason,
        now=scoreboard.clock(),
    )
    return JSONResponse(wanted.to_json(), headers=_NO_STORE)


async def _retire_action(request: Request) -> Response:
    scoreboard = scoreboard_of(request)
    actor = await account_of(request, SCOPE)
    body = await parse.json_object(request, {"reason"})
    reason = parse.reason(body, required=False)
    action_id = request.path_params["actionId"]
    retired = None
    if actions.is_action_id(action_id):
        retired = await actions.retire(
            scoreboard.database,
            action_id,
            actor_id=actor.account_id,
            reason=reason,
            now=scoreboard.clock(),
        )
    if retired is None:
        raise InvalidAction("There is no such action.")
    return JSONResponse(retired.to_json(), headers=_NO_STORE)


async def adjust(request: Request) -> ASGIApp:
    """`POST /admin/adjustments`: points given or taken, as a row of the log."""
    actor = await account_of(request, SCOPE)
    body = await parse.json_object(request, {"userId", "points", "reason"})
    points = parse.integer(body, "points", low=-MAX_ADJUSTMENT, high=MAX_ADJUSTMENT)
    if points == 0:
        raise ValidationFailed("points", "must not be 0")
    reason = parse.reason(body, required=True)
    player = await player_of(request, parse.account_id(body))
    return receipt(
        await _submit(request, "adjustment", player, actor, body, reason=reason, points=points)
    )


async def void(request: Request) -> ASGIApp:
    """`POST /admin/completions/{id}/void`: the row that reverses another, made once."""
    scoreboard = scoreboard_of(request)
    actor = await account_of(request, SCOPE)
    body = await parse.json_object(request, {"reason"})
    reason = parse.reason(body, required=True)
    log_id = request.path_params["id"]
    row = None
    if _LOG_ID.fullmatch(log_id):
        row = await scoreboard.database.fetch_one("log_row", log_id=int(log_id))
    if row is None:
        raise refusals.nothing_to_void()
    player = await player_of(request, row["account_id"])
    return receipt(
        await _submit(request, "void", player, actor, body, reason=reason, voids=int(log_id))
    )


async def hide(request: Request) -> Response:
    """`POST /admin/players/{userId}/hide`: off every board and stream; the score is kept."""
    return await _set_hidden(request, "hide")


async def unhide(request: Request) -> Response:
    """`POST /admin/players/{userId}/unhide`: back on every board and stream."""
    return await _set_hidden(request, "unhide")


async def trail(request: Request) -> Response:
    """`GET /admin/audit`: who changed what, when and why, newest first."""
    await account_of(request, SCOPE)
    found = await audit.page(
        scoreboard_of(request).database,
        before=parse.cursor(request, start=audit.NEWEST),
        size=PAGE + 1,
    )
    return JSONResponse(
        {
            "items": [one.to_json() for one in found[:PAGE]],
            "nextCursor": str(found[PAGE - 1].audit_id) if len(found) > PAGE else None,
        },
        headers=_NO_STORE,
    )


async def _set_hidden(request: Request, kind: Literal["hide", "unhide"]) -> Response:
    actor = await account_of(request, SCOPE)
    body = await parse.json_object(request, {"reason"})
    reason = parse.reason(body, required=True)
    player = await player_of(request, request.path_params["userId"])
    answer = await _submit(request, kind, player, actor, body, reason=reason)
    return JSONResponse(
        {
            "userId": player.account_id,
            "username": player.username,
            "hidden": kind == "hide",
            "score": answer.receipt.new_score,
            "changedAt": rfc3339(answer.receipt.completed_at),
        },
        headers=_NO_STORE,
    )


async def _submit(
    request: Request,
    kind: Literal["adjustment", "void", "hide", "unhide"],
    player: Account,
    actor: Account,
    body: Mapping[str, Any],
    *,
    reason: str | None,
    points: int = 0,
    voids: int | None = None,
) -> Answer:
    change = Change(
        kind,
        player,
        actor.account_id,
        fingerprint(request.method, request.scope["path"], body),
        parse.idempotency_key(request),
        reason,
        points=points,
        voids=voids,
    )
    return await scoreboard_of(request).submissions.submit(change)
