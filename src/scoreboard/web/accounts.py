"""Registering, logging in and out, and one's own account."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scoreboard import periods
from scoreboard.errors import ValidationFailed
from scoreboard.identity import passwords, usernames
from scoreboard.identity.sessions import Session
from scoreboard.ledger.accounts import username_key
from scoreboard.scoring.completion import Receipt
from scoreboard.web import parse
from scoreboard.web.callers import account_of, scoreboard_of
from scoreboard.web.clients import address_of

PAGE: Final = 50  # completions
_NEWEST: Final = 2**62  # above every log id
_LONGEST: Final = 1024  # characters of a field before its own rules are looked at


def _session(session: Session, status: int = 200) -> Response:
    return JSONResponse(session.to_json(), status, headers={"Cache-Control": "no-store"})


async def _count(request: Request) -> None:
    await scoreboard_of(request).limits.auth.check(
        address_of(request), "Too many attempts from this address."
    )


async def register(request: Request) -> Response:
    """`POST /auth/register`: a new account, logged in."""
    await _count(request)
    body = await parse.json_object(request, {"username", "password"})
    given = parse.text(body, "username", longest=_LONGEST)
    password = parse.text(body, "password", longest=_LONGEST)
    try:
        username = usernames.normalize(given)
    except ValueError as error:
        raise ValidationFailed("username", str(error)) from error
    passwords.check(password)
    return _session(await scoreboard_of(request).sessions.register(username, password), 201)


async def login(request: Request) -> Response:
    """`POST /auth/login`: a new pair of tokens for a name and its password."""
    await _count(request)
    body = await parse.json_object(request, {"username", "password"})
    given = parse.text(body, "username", longest=_LONGEST)
    password = parse.text(body, "password", longest=_LONGEST)
    scoreboard = scoreboard_of(request)
    try:
        username = usernames.normalize(given)
    except ValueError:
        username = given.strip()  # nobody's name: it fails as a wrong one does
    await scoreboard.limits.logins.check(
        f"{address_of(request)} {username_key(username)}", "Too many logins with this name."
    )
    return _session(await scoreboard.sessions.login(username, password))


async def refresh(request: Request) -> Response:
    """`POST /auth/refresh`: a new pair of tokens for an unused refresh token."""
    await _count(request)
    body = await parse.json_object(request, {"refreshToken"})
    token = parse.text(body, "refreshToken", longest=_LONGEST)
    return _session(await scoreboard_of(request).sessions.refresh(token))


async def logout(request: Request) -> Response:
    """`POST /auth/logout`: the refresh token's family ends; 204 whether it was valid or not."""
    body = await parse.json_object(request, {"refreshToken"})
    token = parse.text(body, "refreshToken", longest=_LONGEST)
    await scoreboard_of(request).sessions.logout(token)
    return Response(status_code=204)


async def me(request: Request) -> Response:
    """`GET /me`: one's own place on every board."""
    scoreboard = scoreboard_of(request)
    account = await account_of(request)
    boards = []
    for board in scoreboard.settings.boards:
        period = periods.current(board, scoreboard.clock())
        own = await scoreboard.standings.around(period, account.account_id, 0)
        kept = None if own else await scoreboard.standings.kept(period, account.account_id)
        boards.append(
            {
                "board": board,
                "period": period.name or None,
                "score": own[0].score if own else kept.score if kept else 0,
                "rank": own[0].rank if own else None,
            }
        )
    return JSONResponse(
        {
            "userId": account.account_id,
            "username": account.username,
            "score": boards[0]["score"],
            "rank": boards[0]["rank"],
            "boards": boards,
        },
        headers={"Cache-Control": "no-store"},
    )


async def completions(request: Request) -> Response:
    """`GET /me/completions`: one's own history, newest first."""
    scoreboard = scoreboard_of(request)
    account = await account_of(request)
    rows = await scoreboard.database.fetch(
        "log_history",
        account_id=account.account_id,
        before=parse.cursor(request, start=_NEWEST),
        size=PAGE + 1,
    )
    receipts = [Receipt.of(row) for row in rows]
    return JSONResponse(
        {
            "items": [receipt.to_json() for receipt in receipts[:PAGE]],
            "nextCursor": str(receipts[PAGE - 1].log_id) if len(receipts) > PAGE else None,
        },
        headers={"Cache-Control": "no-store"},
    )
