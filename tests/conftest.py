"""Fixtures of every suite."""

from __future__ import annotations

import pytest
from hypothesis import settings as hypothesis_settings

from tests.support.clock import FakeClock

# Examples are drawn the same way in every run; a machine under load must not fail one for its time.
hypothesis_settings.register_profile("scoreboard", derandomize=True, deadline=None)
hypothesis_settings.load_profile("scoreboard")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The service runs on asyncio."""
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    """A Saturday morning in November, standing still."""
    return FakeClock()
