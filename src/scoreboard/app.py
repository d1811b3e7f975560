"""The ASGI application: routes, and the parts that live as long as it does."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.convertors import register_url_convertor
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from scoreboard import periods
from scoreboard.periods import Clock
from scoreboard.settings import Settings
from scoreboard.telemetry import metrics, open_traces
from scoreboard.web import accounts, actions, admin, increments, leaderboard, ops, page
from scoreboard.web.cors import cors
from scoreboard.web.paths import AccountId
from scoreboard.web.requests import Failures, Requests
from scoreboard.web.routes import route
from scoreboard.wiring import open_scoreboard

register_url_convertor("account", AccountId())

V1: Final = "/api/v1"
# In the order of how often they are called: the router tries one after the other.
ROUTES: Final = (
    route("POST", f"{V1}/actions/{{actionId}}/complete", actions.complete),
    route("GET", f"{V1}/leaderboard", leaderboard.page),
    route("GET", f"{V1}/leaderboard/stream", leaderboard.stream),
    route("GET", f"{V1}/players/{{userId:account}}", leaderboard.player),
    route("POST", f"{V1}/scores/increment", increments.increment),
    route("GET", f"{V1}/me", accounts.me),
    route("GET", f"{V1}/me/completions", accounts.completions),
    route("GET", f"{V1}/actions", actions.listed),
    route("POST", f"{V1}/actions/{{actionId}}/start", actions.start),
    route("POST", f"{V1}/auth/register", accounts.register),
    route("POST", f"{V1}/auth/login", accounts.login),
    route("POST", f"{V1}/auth/refresh", accounts.refresh),
    route("POST", f"{V1}/auth/logout", accounts.logout),
    route("PUT DELETE", f"{V1}/admin/actions/{{actionId}}", admin.action),
    route("POST", f"{V1}/admin/adjustments", admin.adjust),
    route("POST", f"{V1}/admin/completions/{{id}}/void", admin.void),
    route("POST", f"{V1}/admin/players/{{userId:account}}/hide", admin.hide),
    route("POST", f"{V1}/admin/players/{{userId:account}}/unhide", admin.unhide),
    route("GET", f"{V1}/admin/audit", admin.trail),
    route("GET", "/healthz", ops.healthz),
    route("GET", "/readyz", ops.readyz),
    route("GET", "/metrics", ops.metrics),
    route("GET", "/openapi.json", ops.openapi),
)


class _Application(Starlette):
    """Starlette without its own two layers around everything, whose work `Failures` does."""

    def build_middleware_stack(self) -> ASGIApp:
        """The layers that are listed, and the router."""
        app: ASGIApp = self.router
        for layer, arguments, options in reversed(self.user_middleware):
            app = layer(app, *arguments, **options)
        return app


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

    app = _Application(
        routes=[*ROUTES, *page.routes(demo=chosen.demo)],
        lifespan=lifespan,
        middleware=[
            *([traces.middleware] if traces else []),
            Middleware(Requests),
            *cors(chosen),
            Middleware(Failures),
        ],
    )
    app.router.redirect_slashes = False
    return app
