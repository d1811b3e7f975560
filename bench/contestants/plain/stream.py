"""Server-Sent Events the way that is copied most: sse-starlette, a queue each, events as dicts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

queues: set[asyncio.Queue[dict[str, str]]] = set()


async def stream(request: Request) -> EventSourceResponse:  # noqa: ARG001 - Starlette's signature
    """Whatever comes, until the client goes."""
    queue: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    queues.add(queue)

    async def events() -> AsyncIterator[dict[str, str]]:
        try:
            while True:
                yield await queue.get()
        finally:
            queues.discard(queue)

    return EventSourceResponse(events())


async def publish(request: Request) -> JSONResponse:
    """Hand the event to every queue."""
    body = await request.json()
    for queue in queues:
        queue.put_nowait(
            {"event": "leaderboard_update", "id": str(body["seq"]), "data": json.dumps(body)}
        )
    return JSONResponse({"published": True})


app = Starlette(
    routes=[Route("/stream", stream), Route("/publish", publish, methods=["POST"])],
)
