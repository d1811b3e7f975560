"""A server that the tests of this suite share, each with accounts of its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.support.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The shared server; its limit on registering is out of the tests' way."""
    folder = tmp_path_factory.mktemp("shared")
    with Server(folder, SCOREBOARD_AUTH_RATE_LIMIT="10000/minute") as server:
        yield server
    assert server.process
    assert "Traceback" not in server.logged()


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    """A client of the shared server."""
    with server.client() as client:
        yield client
