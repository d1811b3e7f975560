"""The ASGI application: routes, and the parts that live as long as it does."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.convertors import register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from scoreboard import periods
from scoreboard.errors import RequestError
from scoreboard.periods import Clock
from scoreboard.settings import Settings
from scoreboard.telemetry import metrics, open_traces
from scoreboard.web import accounts, actions, admin, increments, leaderboard, ops, page, problems
from scoreboard.web.cors import cors
from scoreboard.web.paths import AccountId
from scoreboard.web.requests import Failures, Requests
from scoreboard.wiring import open_scoreboard

register_url_convertor("account", AccountId())

V1: Final = "/api/v1"
ROUTES: Final = (
    Route(f"{V1}/auth/register", accounts.register, methods=["POST"]),
    Route(f"{V1}/auth/login", accounts.login, methods=["POST"]),
    Route(f"{V1}/auth/refresh", accounts.refresh, methods=["POST"]),
    Route(f"{V1}/auth/logout", accounts.logout, methods=["POST"]),
    Route(f"{V1}/actions", actions.listed, methods=["GET"]),
    Route(f"{V1}/actions/{{actionId}}/complete", actions.complete, methods=["POST"]),
    Route(f"{V1}/actions/{{actionId}}/start", actions.start, methods=["POST"]),
    Route(f"{V1}/scores/increment", increments.increment, methods=["POST"]),
    Route(f"{V1}/leaderboard", leaderboard.page, methods=["GET"]),
    Route(f"{V1}/leaderboard/stream", leaderboard.stream, methods=["GET"]),
    Route(f"{V1}/players/{{userId:account}}", leaderboard.player, methods=["GET"]),
    Route(f"{V1}/me", accounts.me, methods=["GET"]),
    Route(f"{V1}/me/completions", accounts.completions, methods=["GET"]),
    Route(f"{V1}/admin/actions/{{actionId}}", admin.action, methods=["PUT", "DELETE"]),
    Route(f"{V1}/admin/adjustments", admin.adjust, methods=["POST"]),
    Route(f"{V1}/admin/completions/{{id}}/void", admin.void, methods=["POST"]),
    Route(f"{V1}/admin/players/{{userId:account}}/hide", admin.hide, methods=["POST"]),
    Route(f"{V1}/admin/players/{{userId:account}}/unhide", admin.unhide, methods=["POST"]),
    Route(f"{V1}/admin/audit", admin.trail, methods=["GET"]),
    Route("/healthz", ops.healthz, methods=["GET"]),
    Route("/readyz", ops.readyz, methods=["GET"]),
    Route("/metrics", ops.metrics, methods=["GET"]),
    Route("/openapi.json", ops.openapi, methods=["GET"]),
)


def create_app(settings: Settings | None = None, clock: Clock = periods.now_ms) -> Starlette:
    """The application. Without settings it reads them from the environment, so that any ASGI server
    can run it: `uvicorn --factory scoreboard.app:create_app`.

    Raises `SettingsError`, here or when the lifespan starts.
    """
    chosen = settings or Settings.from_env(os.environ)
    traces = open_traces(os.environ)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            async with open_scoreboard(chosen, clock) as scoreboard:
                app.state.scoreboard = scoreboard
                metrics.WORKERS.set(1)
                yield
        finally:
            if traces:
                await traces.close()

    app = Starlette(
        routes=[*ROUTES, *page.routes(demo=chosen.demo)],
        lifespan=lifespan,
        middleware=[
            *([traces.middleware] if traces else []),
            Middleware(Requests),
            *cors(chosen),
            Middleware(Failures),
        ],
        exception_handlers={
            RequestError: problems.on_request_error,
            HTTPException: problems.on_http_exception,
        },
    )
    app.router.redirect_slashes = False
    return app
