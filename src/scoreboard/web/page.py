"""The live page at `/`: a few files without a build step, kept in memory."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from scoreboard.web import conditional
from scoreboard.web.headers import Pair
from scoreboard.web.routes import Answering, route

# Everything comes from this host, nothing inline runs, and no other site may frame the page.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final[tuple[Pair, ...]] = (
    (b"cache-control", b"no-cache"),
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_FILES: Final = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/board.js": ("board.js", "text/javascript"),
    "/calls.js": ("calls.js", "text/javascript"),
    "/dom.js": ("dom.js", "text/javascript"),
    "/own.js": ("own.js", "text/javascript"),
    "/play.js": ("play.js", "text/javascript"),
    "/scores.js": ("scores.js", "text/javascript"),
    "/session.js": ("session.js", "text/javascript"),
    "/stream.js": ("stream.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def routes(*, demo: bool) -> list[Route]:
    """The page's routes; with `demo` it offers to sign up and to complete the demo actions."""
    folder = files("scoreboard.web") / "static"
    found = []
    for path, (name, media_type) in _FILES.items():
        text = (folder / name).read_text("utf-8").replace('data-demo=""', _demo(demo=demo))
        found.append(route("GET", path, _serve(text.encode(), media_type)))
    return found


def _demo(*, demo: bool) -> str:
    return f'data-demo="{"yes" if demo else "no"}"'


def _serve(body: bytes, media_type: str) -> Answering:
    version = hashlib.blake2b(body, digest_size=9).hexdigest()
    shown = f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type
    headers = conditional.tagged(version, [(b"content-type", shown.encode()), *_HEADERS])

    async def serve(request: Request) -> ASGIApp:
        return conditional.answer(request, body, version, headers)

    return serve
