"""Every test of this suite runs on every engine: another one is one more parameter here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.clock import FakeClock
from tests.support.engine import Engine, sqlite_engine

ENGINES = {"sqlite + memory": sqlite_engine}


@pytest.fixture(params=ENGINES)
async def engine(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[Engine]:
    """A migrated database with the three demo-like actions, and an empty board."""
    async with ENGINES[request.param](tmp_path, clock) as engine:
        yield engine
