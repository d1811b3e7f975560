"""The boards, as they are and live."""

from __future__ import annotations

from typing import Final

from scoreboard.live.snapshot import frame, show
from scoreboard.web.openapi import examples
from scoreboard.web.openapi.answers import answer
from scoreboard.web.openapi.nodes import Node
from scoreboard.web.openapi.paths.operation import V1, example_of, operation

_EVENTS: Final = {
    "update": {
        "summary": "The top 10, at once and after each change",
        "value": "retry: 3127\n" + frame(show(examples.TOP_TWO)).data.decode(),
    },
    "newest": {
        "summary": "The client has the newest state already",
        "value": ": you have the newest\n\n",
    },
    "busy": {"summary": "Full house", "value": "retry: 15000\nevent: busy\ndata: {}\n\n"},
    "bye": {
        "summary": "The server is shutting down",
        "value": "retry: 4410\nevent: bye\ndata: {}\n\n",
    },
}

LEADERBOARD: Final[Node] = {
    f"{V1}/leaderboard": {
        "get": operation(
            "getLeaderboard",
            "A page of a board",
            "Without parameters the top 10 of `all-time`. A period in which nobody earned points "
            "has no users.",
            parameters=("Board", "Period", "Limit", "Offset", "IfNoneMatch"),
            answers={
                "200": answer(
                    "A snapshot.",
                    example_of("Snapshot", examples.TOP_TWO.to_json()),
                    cache="No-Cache",
                    headers=("ETag",),
                ),
                "304": answer("You have this version.", cache="No-Cache", headers=("ETag",)),
            },
            refusals=("QueryMalformed", "NotFound", "Unavailable"),
        )
    },
    f"{V1}/leaderboard/stream": {
        "get": operation(
            "streamLeaderboard",
            "The top 10 of a board, live",
            "Server-Sent Events: `new EventSource(url)` or `curl -N url`.\n\n"
            "- `leaderboard_update`: `data` is a `Snapshot` on one line, `id` its `version`. Sent "
            "at once, unless you already have that version, and after each change of the top 10, "
            "throttled, always ending with the newest state.\n"
            "- `busy` with `data: {}`: too many streams are open; the stream ends, and a browser "
            "comes back by itself.\n"
            "- `bye` with `data: {}`: the server is shutting down; the stream ends.\n"
            "- `retry` sets the milliseconds until a browser reconnects; a comment every 15 "
            "seconds keeps the connection open.\n\n"
            "A reader that is too slow skips states and never delays others.",
            parameters=("Board", "LastEventId", "LastEventIdQuery"),
            answers={
                "200": answer(
                    "The stream.",
                    {"text/event-stream": {"schema": {"type": "string"}, "examples": _EVENTS}},
                    cache="No-Store",
                    headers=("X-Accel-Buffering",),
                )
            },
            refusals=("QueryMalformed", "NotFound"),
        )
    },
    f"{V1}/players/{{userId}}": {
        "get": operation(
            "getPlayer",
            "A player's place and neighbours",
            "A player without points has score 0, rank null and no neighbours.",
            parameters=("UserId", "Board", "Around"),
            answers={
                "200": answer(
                    "The player.", example_of("Player", examples.PLAYER), cache="No-Cache"
                )
            },
            refusals=("QueryMalformed", "NotFound", "Unavailable"),
        )
    },
}
