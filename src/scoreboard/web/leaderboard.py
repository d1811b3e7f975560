"""Reading the boards: a page of one, a player's place, and the live stream."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from scoreboard import periods
from scoreboard.board import TOP
from scoreboard.errors import NotFound, ValidationFailed
from scoreboard.live.snapshot import Shown, Snapshot, show
from scoreboard.live.sse import Stream
from scoreboard.periods import ALL_TIME, Period
from scoreboard.web import conditional, parse
from scoreboard.web.callers import player_of, scoreboard_of
from scoreboard.web.clients import address_of
from scoreboard.web.headers import Pair
from scoreboard.web.responses import JSON

_HEADERS: Final[tuple[Pair, ...]] = (JSON, (b"cache-control", b"no-cache"))


def _board(request: Request) -> str:
    board = parse.query(request, "board")
    if board is None:
        return ALL_TIME
    if board not in scoreboard_of(request).settings.boards:
        raise NotFound("There is no such board.")
    return board


def _period(request: Request, board: str) -> Period:
    name = parse.query(request, "period")
    if name is None:
        return periods.current(board, scoreboard_of(request).clock())
    try:
        return periods.parse(board, name)
    except ValueError:
        forms = "daily: 2026-11-21, weekly: 2026-W47, all-time: none"
        raise ValidationFailed("period", f"is not a period of this board ({forms})") from None


async def page(request: Request) -> ASGIApp:
    """`GET /leaderboard`: a snapshot, or 304 for a client that has it."""
    scoreboard = scoreboard_of(request)
    if not request.scope["query_string"]:  # as nearly all ask
        return _answer(request, await scoreboard.publisher.tops[ALL_TIME].get())
    board = _board(request)
    period = _period(request, board)
    limit = parse.whole(request, "limit", default=TOP, low=1, high=100)
    offset = parse.whole(request, "offset", default=0, low=0, high=10_000)
    if (limit, offset, period) == (TOP, 0, periods.current(board, scoreboard.clock())):
        return _answer(request, await scoreboard.publisher.tops[board].get())
    entries = await scoreboard.standings.page(period, offset=offset, limit=limit)
    return _answer(request, show(Snapshot(period, entries, scoreboard.clock())))


def _answer(request: Request, shown: Shown) -> ASGIApp:
    headers = conditional.tagged(shown.version, _HEADERS)
    return conditional.answer(request, shown.body, shown.version, headers)


async def stream(request: Request) -> Stream:
    """`GET /leaderboard/stream`: the top 10 as Server-Sent Events."""
    scoreboard = scoreboard_of(request)
    seen = request.headers.get("last-event-id") or _last_event_id(request)
    board = _board(request)
    return Stream(
        scoreboard.publisher.hubs[board],
        scoreboard.publisher.followers[board],
        scoreboard.seats,
        address=address_of(request),
        seen=seen,
        leaving=scoreboard.leaving,
    )


def _last_event_id(request: Request) -> str | None:
    """What a client that cannot set a header on its first connection puts in the query."""
    return parse.query(request, "last_event_id") or parse.query(request, "lastEventId")


async def player(request: Request) -> Response:
    """`GET /players/{userId}`: a player's place and neighbours."""
    scoreboard = scoreboard_of(request)
    period = _period_now(request)
    reach = parse.whole(request, "around", default=2, low=0, high=10)
    account = await player_of(request, request.path_params["userId"])
    around = await scoreboard.standings.around(period, account.account_id, reach)
    own = next((entry for entry in around if entry.account_id == account.account_id), None)
    # On no place: without points, or hidden.
    kept = None if own else await scoreboard.standings.kept(period, account.account_id)
    if kept and kept.is_hidden:
        raise NotFound("There is no such player.")
    return JSONResponse(
        {
            "userId": account.account_id,
            "username": account.username,
            "score": own.score if own else kept.score if kept else 0,
            "rank": own.rank if own else None,
            "board": period.board,
            "period": period.name or None,
            "around": [entry.to_json() for entry in around],
        },
        headers={"Cache-Control": "no-cache"},
    )


def _period_now(request: Request) -> Period:
    return periods.current(_board(request), scoreboard_of(request).clock())
