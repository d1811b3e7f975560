"""Each fault once, under load, on two servers: nothing is lost, doubled or left to a hand."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.faults import FAULTS
from tests.support.server import Server
from tests.support.site import Site

LOADED = {"redis killed, empty", "redis flushed"}
HEALED = 5.0  # seconds after the end of a fault


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two servers that share PostgreSQL and Redis and nothing else."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_everything_is_there_once_and_agrees(site: Site, name: str) -> None:
    before = sum(map(loads, site.servers))
    site.crowd.play()
    site.acknowledged(50)
    FAULTS[name](site, 1.0)
    over = time.monotonic()
    site.until(site.is_ready)
    site.acknowledged(20)
    site.settled()
    assert time.monotonic() - over < HEALED, site.logs()
    site.audit()
    if name in LOADED:
        assert sum(map(loads, site.servers)) > before, "nothing was counted"


def loads(server: Server) -> float:
    """How often a server loaded a board whole."""
    return server.metric("scoreboard_board_loads_total")
