"""Starlette's own hello: its first example, the least that an app can do."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request: Request) -> PlainTextResponse:  # noqa: ARG001 - Starlette's signature
    """Nothing but the answer."""
    return PlainTextResponse("Hello, world!")


app = Starlette(routes=[Route("/", hello)])
