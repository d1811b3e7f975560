"""From a request to the function that answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

Answering = Callable[[Request], Awaitable[ASGIApp]]
"""Answers a request with a response, which is an ASGI application."""


class _Endpoint:
    """What Starlette makes of a function, without its own handling of exceptions: `Failures` has
    that.
    """

    def __init__(self, function: Answering) -> None:
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._function(Request(scope, receive))
        await response(scope, receive, send)


def route(methods: str, path: str, function: Answering) -> Route:
    """The route of these methods, with spaces between them, at this path."""
    return Route(path, _Endpoint(function), methods=methods.split(), name=function.__name__)
