"""A completion in plain Starlette: three statements through `databases`, redis-py, joserfc."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from databases import Database
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

POINTS = {"solve-a-puzzle": 5}
CALLS = 600  # a minute and account
MINUTE = 60

INSERT = """
INSERT INTO log (account_id, action_id, idempotency_key, points)
VALUES (:account, :action, :key, :points)
ON CONFLICT (account_id, idempotency_key) DO NOTHING RETURNING log_id, completed_at
"""
ADD = """
INSERT INTO scores AS score (account_id, total) VALUES (:account, :points)
ON CONFLICT (account_id) DO UPDATE SET total = score.total + excluded.total RETURNING total
"""
KNOWN = """
SELECT entry.log_id, entry.completed_at, score.total
FROM log AS entry JOIN scores AS score USING (account_id)
WHERE entry.account_id = :account AND entry.idempotency_key = :key
"""

database = Database(os.environ["DATABASE_URL"], min_size=16, max_size=16)
# By default redis-py fails a call that finds 100 others under way.
redis = Redis.from_url(os.environ["REDIS_URL"], max_connections=1000)
secret = OctKey.import_key(os.environ["JWT_SECRET"])
claims = jwt.JWTClaimsRegistry(exp={"essential": True}, sub={"essential": True})


def account_of(request: Request) -> str:
    """Whom the token speaks for. Raises `JoseError` for one that is not valid."""
    text = request.headers.get("authorization", "").removeprefix("Bearer ")
    token = jwt.decode(text, secret, algorithms=["HS256"])
    claims.validate(token.claims)
    return str(token.claims["sub"])


async def record(account: str, action: str, key: str) -> dict[str, Any]:
    """The log row and the total, in one transaction."""
    async with database.transaction():
        row = await database.fetch_one(
            INSERT, {"account": account, "action": action, "key": key, "points": POINTS[action]}
        )
        if row is None:
            known = await database.fetch_one(KNOWN, {"account": account, "key": key})
            assert known
            return dict(known)
        added = await database.fetch_one(ADD, {"account": account, "points": POINTS[action]})
        assert added
        return {**dict(row), **dict(added)}


async def complete(request: Request) -> JSONResponse:
    """The receipt, once the transaction is committed."""
    try:
        account = account_of(request)
    except (JoseError, ValueError):
        return JSONResponse({"error": "not authorised"}, 401)
    action = request.path_params["action"]
    key = request.headers.get("idempotency-key")
    if action not in POINTS or not key:
        return JSONResponse({"error": "bad request"}, 400)
    window = f"limit:{account}:{int(time.time()) // MINUTE}"
    calls = await redis.incr(window)
    if calls == 1:
        await redis.expire(window, MINUTE)
    if calls > CALLS:
        return JSONResponse({"error": "too many calls"}, 429)
    found = await record(account, action, key)
    await redis.zadd("board", {account: found["total"]})
    rank = await redis.zrevrank("board", account)
    assert isinstance(rank, int)  # the member is there
    return JSONResponse(
        {
            "success": True,
            "completionId": str(found["log_id"]),
            "actionId": action,
            "pointsEarned": POINTS[action],
            "newScore": found["total"],
            "completedAt": found["completed_at"].isoformat(),
            "rank": rank + 1,
        }
    )


@asynccontextmanager
async def connected(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001 - Starlette's signature
    """The pool, open while the app serves."""
    await database.connect()
    yield
    await database.disconnect()
    await redis.aclose()


app = Starlette(
    routes=[Route("/actions/{action}/complete", complete, methods=["POST"])], lifespan=connected
)
