"""What is SQLite's own: its file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scoreboard.addresses import SqliteFile
from scoreboard.errors import AlreadyServed, Unavailable
from scoreboard.identity.secret import secret_file, signing_secrets
from scoreboard.ledger import sqlite
from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import open_database, served_alone
from scoreboard.settings import Settings
from scoreboard.startup import alone_on
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


@pytest.fixture
def careless() -> Iterator[None]:
    """A process whose new files are open to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_every_file_is_for_its_owner_alone_from_the_moment_it_is_there(
    careless: None, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are password hashes in the database and in what SQLite keeps beside it."""
    settings = Settings(database=SqliteFile(tmp_path / "board.db"))
    seen: list[dict[str, int]] = []
    connect = sqlite._Durable.__init__

    def looked_at(*args: object, **options: object) -> None:
        seen.append(modes(tmp_path))  # before SQLite is at it, which would make the file 0644
        connect(*args, **options)  # type: ignore[arg-type]
        seen.append(modes(tmp_path))

    monkeypatch.setattr(sqlite._Durable, "__init__", looked_at)
    signing_secrets(settings)
    with served_alone(tmp_path / "board.db"):
        async with open_engine(settings, clock, is_filled=False) as engine:
            await engine.complete("ada", "once")
            seen.append(modes(tmp_path))
    names = {name for one in seen for name in one}
    assert names == {f"board.db{end}" for end in ("", "-wal", "-shm", ".lock", ".secret")}
    assert {mode for one in seen for mode in one.values()} == {0o600}


async def test_what_an_earlier_release_left_open_to_everybody_is_closed(
    careless: None, tmp_path: Path
) -> None:
    path = tmp_path / "board.db"
    settings = Settings(database=SqliteFile(path))
    with closing(sqlite3.connect(path)) as before:
        before.execute("PRAGMA journal_mode = WAL")
        before.execute("CREATE TABLE kept (it)")
        before.commit()
        signing_secrets(settings)
        secret_file(path).chmod(0o644)
        assert modes(tmp_path) == {
            "board.db": 0o644,
            "board.db-wal": 0o644,
            "board.db-shm": 0o644,
            "board.db.secret": 0o644,
        }
        async with open_database(settings):
            signing_secrets(settings)
            assert set(modes(tmp_path).values()) == {0o600}


async def test_what_is_open_to_a_group_on_purpose_stays_so(tmp_path: Path) -> None:
    """A backup may run as another user."""
    path = tmp_path / "board.db"
    path.touch()
    path.chmod(0o640)
    async with open_database(Settings(database=SqliteFile(path))):
        assert set(modes(tmp_path).values()) == {0o640}


async def test_a_link_to_a_file_that_is_to_be_made_is_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "board.db").symlink_to("data/board.db")
    async with open_database(Settings(database=SqliteFile(tmp_path / "board.db"))):
        assert set(modes(tmp_path / "data").values()) == {0o600}


@pytest.mark.parametrize("name", ["link.db", "again.db", "folder/board.db", "board.db"])
def test_a_file_is_served_once_whichever_links_lead_to_it(tmp_path: Path, name: str) -> None:
    """A second server would have a board that never sees the first one's completions."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "board.db").symlink_to("home/board.db")
    (tmp_path / "link.db").symlink_to(home / "board.db")
    (tmp_path / "again.db").symlink_to("link.db")
    (tmp_path / "folder").symlink_to("home")
    settings = [
        Settings(database=SqliteFile(path)) for path in (home / "board.db", tmp_path / name)
    ]
    for one, other in (settings, settings[::-1]):
        with alone_on(one), pytest.raises(AlreadyServed), alone_on(other):
            pass
        assert signing_secrets(one) == signing_secrets(other)
    assert modes(home) == {"board.db.lock": 0o600, "board.db.secret": 0o600}


async def test_a_file_with_a_hard_link_is_not_opened(engine: Engine, tmp_path: Path) -> None:
    """Two processes under two names would each overwrite what the other has written."""
    (tmp_path / "hard.db").hardlink_to(tmp_path / "board.db")
    for name in ("board.db", "hard.db"):
        with pytest.raises(Unavailable, match="hard link"):
            async with open_database(Settings(database=SqliteFile(tmp_path / name))):
                pass
    await engine.complete("ada", "once")  # who has it open goes on
    (tmp_path / "hard.db").unlink()
    async with open_database(Settings(database=SqliteFile(tmp_path / "board.db"))):
        pass


def test_a_secret_that_was_made_beside_a_link_is_still_used(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("home/board.db")
    (tmp_path / "home").mkdir()
    secret = b"made by an earlier release, beside the link"
    (tmp_path / "link.db.secret").write_bytes(secret)
    assert signing_secrets(Settings(database=SqliteFile(tmp_path / "link.db"))) == [secret]
