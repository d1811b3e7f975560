"""What is SQLite's own: its file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scoreboard.addresses import SqliteFile
from scoreboard.errors import Unavailable
from scoreboard.ledger.connection import Transaction
from scoreboard.settings import Settings
from tests.support.clock import FakeClock
from tests.support.engine import Engine, open_engine


@pytest.fixture
async def engine(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Engine]:
    """SQLite in a file, and the board in the process."""
    settings = Settings(database=SqliteFile(tmp_path / "board.db"))
    async with open_engine(settings, clock, is_filled=False) as engine:
        yield engine


async def test_a_commit_is_on_the_disk_before_it_is_acknowledged(engine: Engine) -> None:
    """FULL is 2 (sqlite.org/pragma.html); NORMAL would lose the last commits with the power."""

    async def asked(transaction: Transaction) -> dict[str, object]:
        connection = transaction._held
        return {
            name: await connection.fetch_val(f"PRAGMA {name}")
            for name in ("synchronous", "journal_mode", "foreign_keys")
        }

    assert await engine.database.write(asked) == {
        "synchronous": 2,
        "journal_mode": "wal",
        "foreign_keys": 1,
    }


async def test_a_file_that_was_removed_is_not_written_into(engine: Engine, tmp_path: Path) -> None:
    await engine.database.check()
    (tmp_path / "board.db").unlink()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await engine.database.write(lambda t: t.fetch("ping"))
        with pytest.raises(Unavailable):
            await engine.database.check()
        (tmp_path / "board.db").touch()
