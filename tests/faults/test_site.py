"""Each fault once, under load, on two servers: nothing is lost, doubled or left to a hand."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.faults.faults import FAULTS
from tests.support.site import Site

HEALED = 5.0  # seconds after the end of a fault


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two servers that share PostgreSQL and Redis and nothing else."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize("name", FAULTS)
def test_after_a_fault_everything_is_there_once_and_agrees(site: Site, name: str) -> None:
    site.crowd.play()
    site.acknowledged(50)
    FAULTS[name](site, 1.0)
    over = time.monotonic()
    site.until(site.is_ready)
    site.acknowledged(20)
    site.settled()
    assert time.monotonic() - over < HEALED, site.logs()
    site.audit()
