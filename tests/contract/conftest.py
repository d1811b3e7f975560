"""Every test of this suite runs on every engine: another one is one more parameter here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from scoreboard.addresses import PostgresServer, RedisServer, SqliteFile
from scoreboard.ledger.database import open_database
from scoreboard.settings import Settings
from tests.support.backends import Postgres
from tests.support.clock import FakeClock
from tests.support.engine import Engine, fill, open_engine

ENGINES = ("sqlite + memory", "postgresql + memory", "postgresql + redis")
TEMPLATE = "contract_template"


@pytest.fixture(scope="session")
def template(postgres: Postgres) -> str:
    """A database with the schema and the actions, to be copied for each test."""
    settings = Settings(database=PostgresServer(postgres.create_database(TEMPLATE)))

    async def prepare() -> None:
        async with open_database(settings) as database:
            await fill(database, FakeClock())

    asyncio.run(prepare())
    return TEMPLATE


@pytest.fixture(params=ENGINES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """The settings of one engine, with a database of its own."""
    if request.param == "sqlite + memory":
        yield Settings(database=SqliteFile(tmp_path / "board.db"))
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    redis = RedisServer(request.getfixturevalue("redis_url")) if "redis" in request.param else None
    name = f"contract_{tmp_path.name}"[:60].lower()
    url = postgres.create_database(name, request.getfixturevalue("template"))
    yield Settings(database=PostgresServer(url), redis=redis)
    postgres.drop_database(name)


@pytest.fixture
async def engine(settings: Settings, clock: FakeClock) -> AsyncIterator[Engine]:
    """A migrated database with three actions, and boards that are empty and loaded."""
    is_filled = isinstance(settings.database, PostgresServer)
    async with open_engine(settings, clock, is_filled=is_filled) as engine:
        yield engine
