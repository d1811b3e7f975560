"""Fixtures of every suite."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import settings as hypothesis_settings

from tests.support.backends import Postgres, Redis
from tests.support.clock import FakeClock

# Examples are drawn the same way in every run; a machine under load must not fail one for its time.
hypothesis_settings.register_profile("scoreboard", derandomize=True, deadline=None)
hypothesis_settings.load_profile("scoreboard")

# A shell has what it starts in the background ignore Ctrl-C, and the servers of tests inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The service runs on asyncio."""
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    """A Saturday morning in November, standing still."""
    return FakeClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that the tests share, each with databases of its own."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A Redis that the tests share, one after the other."""
    with Redis() as server:
        yield server


_numbers = count(1)


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The address of an empty database."""
    name = f"test_{next(_numbers)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The address of an empty Redis."""
    redis_server.flush()
    return redis_server.url
