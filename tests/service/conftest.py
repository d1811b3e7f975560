"""The servers that the tests of this suite share, each test with accounts of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest

from tests.support.backends import Postgres, Redis
from tests.support.server import Server

ENGINES = ("sqlite + memory", "postgresql + redis")
PLAIN = "sqlite + memory, plain streams"  # not written to by one task: as on any ASGI server
SIGNING = ("a signing secret for tests of 32 bytes or more", "the one before it; also long enough")


@pytest.fixture(scope="session", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The shared server; its limit on registering is out of the tests' way."""
    yield from _serve("service", request, tmp_path_factory)


@pytest.fixture(scope="session", params=ENGINES)
def trusting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server for tests that change its actions, hide its players and sign their requests."""
    yield from _serve(
        "trusting", request, tmp_path_factory, SCOREBOARD_SIGNING_SECRETS=",".join(SIGNING)
    )


def _serve(
    name: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    **settings: str,
) -> Iterator[Server]:
    settings["SCOREBOARD_AUTH_RATE_LIMIT"] = "10000/minute"
    if request.param == PLAIN:
        settings["SCOREBOARD_DIRECT_STREAMS"] = "off"
    with ExitStack() as stack:
        if "redis" in request.param:
            postgres: Postgres = request.getfixturevalue("postgres")
            settings["DATABASE_URL"] = postgres.create_database(name)
            # One of its own: other tests flush theirs.
            settings["REDIS_URL"] = stack.enter_context(Redis()).url
        server = stack.enter_context(Server(tmp_path_factory.mktemp(name), **settings))
        yield server
        server.stop()
        assert "Traceback" not in server.logged()
        assert "differed" not in server.logged(), "the board and the score rows drifted apart"


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """A client of the shared server."""
    with server.client() as client:
        yield client
