"""What can be completed, and completing it."""

from __future__ import annotations

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from scoreboard.errors import InvalidAction, Unavailable, ValidationFailed
from scoreboard.ledger import actions
from scoreboard.ledger.accounts import Account
from scoreboard.periods import rfc3339
from scoreboard.scoring.completion import Completion
from scoreboard.scoring.fingerprints import fingerprint, former_fingerprint
from scoreboard.telemetry import metrics
from scoreboard.web import parse
from scoreboard.web.callers import account_of, scoreboard_of
from scoreboard.web.receipts import receipt
from scoreboard.web.requests import tell
from scoreboard.wiring import Scoreboard

MAX_DATA: Final = 4096  # bytes of a completion's `data`, written without spaces


async def listed(request: Request) -> Response:
    """`GET /actions`: what can be completed, for how many points, how often."""
    found = await actions.listed(scoreboard_of(request).database)
    return JSONResponse(
        {"actions": [action.to_json() for action in found]}, headers={"Cache-Control": "no-cache"}
    )


async def complete(request: Request) -> ASGIApp:
    """`POST /actions/{actionId}/complete`: a receipt, once the completion is durably in the log."""
    scoreboard = scoreboard_of(request)
    account = await account_of(request)
    allowance = await scoreboard.limits.completions.check(
        account.account_id, "Too many completions; try again with the same Idempotency-Key."
    )
    tell(request.scope, allowance.headers)
    key = parse.idempotency_key(request)
    body = await parse.json_object(request, {"data", "startToken"})
    action_id = request.path_params["actionId"]
    if not actions.is_action_id(action_id):
        raise InvalidAction("There is no such action.")
    completion = Completion(
        account,
        action_id,
        fingerprint(request.method, request.scope["path"], body),
        key,
        _data(body),
        _started(scoreboard, account, action_id, body),
        former_fingerprint(request.method, request.scope["path"], body) if key else None,
    )
    try:
        answer = await scoreboard.submissions.submit(completion)
    except Unavailable:
        metrics.COMPLETIONS.labels("unavailable").inc()
        raise
    return receipt(answer)


async def start(request: Request) -> Response:
    """`POST /actions/{actionId}/start`: proof of when it began, for an action that takes time."""
    scoreboard = scoreboard_of(request)
    account = await account_of(request)
    await parse.json_object(request, ())
    action_id = request.path_params["actionId"]
    action = None
    if actions.is_action_id(action_id):
        action = await actions.get(scoreboard.database, action_id)
    if action is None:
        raise InvalidAction("There is no such action.")
    if action.min_elapsed_seconds is None:
        raise ValidationFailed("actionId", "has no minElapsedSeconds: complete it right away")
    started = scoreboard.starts.issue(account.account_id, action_id, await scoreboard.log.now())
    return JSONResponse(
        {"startToken": started.token, "expiresAt": rfc3339(started.expires_ms)},
        201,
        headers={"Cache-Control": "no-store"},
    )


def _started(
    scoreboard: Scoreboard, account: Account, action_id: str, body: dict[str, object]
) -> int | None:
    if "startToken" not in body:
        return None
    token = parse.text(body, "startToken", longest=MAX_DATA)
    return scoreboard.starts.verify(token, account.account_id, action_id, scoreboard.clock())


def _data(body: dict[str, object]) -> str | None:
    if "data" not in body:
        return None
    if not isinstance(body["data"], dict):
        raise ValidationFailed("data", "must be an object")
    data = json.dumps(body["data"], ensure_ascii=False, separators=(",", ":"))
    if len(data.encode()) > MAX_DATA:
        raise ValidationFailed("data", f"must have at most {MAX_DATA} bytes")
    return data
