"""`scoreboard serve`: the service itself."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import errno
import functools
import logging
import os
import re
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from scoreboard import __version__
from scoreboard.app import create_app
from scoreboard.cli import demo, garbage, workers
from scoreboard.cli.terminal import show
from scoreboard.cli.words import Help
from scoreboard.errors import SettingsError
from scoreboard.identity.provider import open_keys
from scoreboard.identity.secret import signing_secrets
from scoreboard.settings import DESCRIPTORS_KEPT, MAX_STREAMS, Settings
from scoreboard.startup import check_start
from scoreboard.telemetry import logs
from scoreboard.web.connections import open_connections
from scoreboard.web.lines import protocol

BACKLOG: Final = (
    2048  # connections that may wait to be accepted when many clients come back at once
)
SEND_BUFFER: Final = 16_384  # bytes kept for a slow reader, twice that on Linux; else 2.7 MB
UNACKNOWLEDGED_MS: Final = 30_000  # then the kernel itself drops a reader that takes nothing
KEEP_ALIVE: Final = 95  # seconds: longer than a platform's router keeps an idle connection (90 s)
# Seconds for requests under way at shutdown; streams have said bye by then. With some more for a
# database that is locked the process is gone within five.
GRACE: Final = 2
# What Conda's compilers export as HOST: x86_64-conda-linux-gnu, arm64-apple-darwin20.0.0.
_COMPILER_TARGET: Final = re.compile(r"\w+-(?:conda|apple|\w+)-(?:linux-gnu|darwin[\d.]*)")
DESCRIPTORS: Final = MAX_STREAMS + DESCRIPTORS_KEPT  # open files that are asked for at start

logger = logging.getLogger(__name__)


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "serve",
        help="serve the board",
        description="Serve the board. Reads PORT, HOST, DATABASE_URL and the other settings from "
        "the environment; PORT=0 takes any free port and says which.",
        epilog="example:\n  PORT=8080 scoreboard serve --demo",
        formatter_class=Help,
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="migrate the database, load three demo actions, and let the page sign people up",
    )
    parser.add_argument(
        "--access-log", action="store_true", help="write one log line for each request"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    _raise_descriptor_limit()
    settings = dataclasses.replace(Settings.from_env(env), demo=options.demo)
    logs.configure(access=options.access_log)
    if _COMPILER_TARGET.fullmatch(settings.host):
        logger.warning(
            "HOST is %r, which Conda sets for compilers: listening on %s (unset HOST, or set it to "
            "an address)",
            settings.host,
            Settings.host,
        )
        settings = dataclasses.replace(settings, host=Settings.host)
    # Missing or unreadable ones stop the start here, in one line, and not a login later.
    signing_secrets(settings)
    open_keys(settings.provider)
    asyncio.run(_prepare(settings))
    with _listen(settings) as listener:
        announce = functools.partial(_announce, settings, listener)
        if settings.workers == 1:
            return _serve(settings, listener, announce)
        serve = functools.partial(_serve_as_worker, settings, access=options.access_log)
        return workers.supervise(settings.workers, serve, listener=listener, announce=announce)


def _serve_as_worker(
    settings: Settings, listener: socket.socket, on_ready: Callable[[], None], *, access: bool
) -> int:
    logs.configure(access=access)
    return _serve(settings, listener, on_ready)


def _serve(settings: Settings, listener: socket.socket, on_ready: Callable[[], None]) -> int:
    config = uvicorn.Config(
        create_app(settings),
        http=protocol(open_connections(settings), hands_over=settings.direct_streams),
        ws="none",  # a stream is all that is live here; an upgrade is declined
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # web/clients.py counts trusted hops from the right instead
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config, on_ready)
    status = 0
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:  # uvicorn raises the signal again once it has shut down
        status = 128 + signal.SIGINT
    if server.force_exit:
        # A second Ctrl-C skipped the end of the lifespan, and with it the end of the threads of the
        # connections, which Python waits for. What is committed is kept.
        os._exit(128 + signal.SIGINT)
    if status:
        return status
    return 0 if server.started and not server.has_died else 1


def _announce(settings: Settings, listener: socket.socket) -> None:
    """Say where it listens."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    show(f"Scoreboard {__version__} at http://{shown}:{port}")
    if settings.demo:
        show("  open it in a browser, or watch it here:")
        show(f"  curl -N http://{shown}:{port}/api/v1/leaderboard/stream")


class _Server(uvicorn.Server):
    """uvicorn, which tells when it serves and notices when the app has failed."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._collections = garbage.FullCollections()
        self.has_died = False

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second: collect garbage if it is time, and stop when a part of the app
        has failed, which uvicorn alone would not notice.
        """
        self._collections.tick()
        if isinstance(self.lifespan, LifespanOn) and self.lifespan.shutdown_event.is_set():
            logger.critical("a part of the service has failed: stopping")
            self.has_died = True
            return True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; then tell."""
        await super().startup(sockets)
        garbage.begin()
        if not self.should_exit:
            self._on_ready()


async def _prepare(settings: Settings) -> None:
    if settings.demo:
        await demo.prepare(settings)
    await check_start(settings)


def _raise_descriptor_limit() -> None:
    """Ask for as many open files as there may be streams: some systems start with 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # the kernel may have a lower one of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server(
            (settings.host, settings.port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=settings.host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingsError("PORT", f"{settings.port} is taken by another program") from error
        # A name that cannot be resolved comes with a negative number (getaddrinfo(3)).
        if error.errno == errno.EADDRNOTAVAIL or (error.errno or 0) < 0:
            raise SettingsError(
                "HOST", f"{settings.host!r} is no address of this machine"
            ) from error
        raise SettingsError("PORT", f"{settings.port}: {os.strerror(error.errno or 0)}") from error
    # Set once on the listening socket, inherited by every connection (tcp(7), socket(7)).
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
    return listener
