"""Points that a trusted backend gives: a token with the scope, and a signature over the request."""

from __future__ import annotations

import json
import time

from starlette.requests import Request
from starlette.types import ASGIApp

from scoreboard.errors import IdempotencyKeyRequired, IdempotencyKeyReused
from scoreboard.identity import signatures
from scoreboard.scoring.completion import Change
from scoreboard.scoring.fingerprints import fingerprint
from scoreboard.web import parse
from scoreboard.web.callers import account_of, player_of, scoreboard_of
from scoreboard.web.receipts import receipt

SCOPE = "scores:write"


async def increment(request: Request) -> ASGIApp:
    """`POST /scores/increment`: a receipt, once the points are durably in the log."""
    scoreboard = scoreboard_of(request)
    actor = await account_of(request, SCOPE)
    key = parse.idempotency_key(request)
    if key is None:
        raise IdempotencyKeyRequired("An increment needs an Idempotency-Key header.")
    sent = await parse.body(request)
    signature = signatures.verify(
        scoreboard.settings.signing_secrets,
        timestamps=request.headers.getlist(signatures.TIMESTAMP_HEADER),
        signatures=request.headers.getlist(signatures.SIGNATURE_HEADER),
        method=request.method,
        path=request.scope["raw_path"].decode("latin-1"),
        key=key,
        body=sent,
        now=time.time(),
    )
    body = parse.as_object(sent, {"userId", "points", "reason"})
    points = parse.integer(body, "points", low=1, high=scoreboard.settings.max_points)
    change = Change(
        "increment",
        await player_of(request, parse.account_id(body)),
        actor.account_id,
        fingerprint(request.method, request.scope["path"], body),
        key,
        parse.reason(body, required=False),
        points=points,
        signature=signature,
    )
    try:
        answer = await scoreboard.submissions.submit(change)
    except IdempotencyKeyReused:
        # A `reason` of null was once part of the fingerprint, and the log keeps rows of that time
        # for good. The key is bound, so this records nothing: it is a replay, or refused again.
        as_sent = fingerprint(request.method, request.scope["path"], json.loads(sent))
        if as_sent == change.fingerprint:
            raise
        answer = await scoreboard.submissions.submit(change._replace(fingerprint=as_sent))
    return receipt(answer)
