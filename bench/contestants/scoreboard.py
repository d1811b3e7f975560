"""The service itself, as it is deployed: `scoreboard serve` with settings and nothing else."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.contestants.event import id_of, name_of
from bench.contestants.running import Running, new_folder, shown
from scoreboard import __version__
from scoreboard.identity.tokens import Tokens
from tests.support.server import PATIENCE, SECRET, Server, environment

STREAM = "/api/v1/leaderboard/stream"
TOP = "/api/v1/leaderboard"
COMPLETE = "/api/v1/actions/solve-a-puzzle/complete"
POINTS = 5  # of that action
LEAD = 1_000_000  # points of the one who leads a seeded board
VALID = 7200  # seconds of a token: longer than the bench takes
PAGE = 100  # entries of a page, at most

# Every call is counted, and nobody comes so often. The load client's streams have few addresses.
SETTINGS = {
    "SCOREBOARD_RATE_LIMIT": "600/minute",
    "SCOREBOARD_MAX_STREAMS": "25000",
    "SCOREBOARD_MAX_STREAMS_PER_ADDRESS": "25000",
}
BOARDS_ONE = {"SCOREBOARD_BOARDS": "all-time"}

# `FULL` is what Scoreboard sets. With NORMAL a commit may be lost with the machine's power.
NORMAL = """
from scoreboard.ledger import sqlite

class Normal(sqlite._Durable):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA synchronous = NORMAL")

sqlite._Durable = Normal
"""


@contextmanager
def serving(
    settings: Mapping[str, str], *, file: Path | None = None, prelude: str = ""
) -> Iterator[Running]:
    """A server with these settings. `file` is an SQLite database that it works on a copy of.

    `prelude` is Python that runs before it.
    """
    with new_folder("scoreboard") as folder:
        if file:
            shutil.copy(file, folder / "board.db")
        server = Server(
            folder,
            clock="of the machine",
            prelude=prelude,
            # Its tests' server has a shorter interval; this is the service's own default.
            **{"SCOREBOARD_BROADCAST_INTERVAL_MS": "500", **SETTINGS, **settings},
        )
        with server:
            yield Running(server.address, server.pid, folder)


def command(settings: Mapping[str, str]) -> str:
    """How it is started."""
    secret = {"SCOREBOARD_JWT_SECRET": "…"}
    return shown(["scoreboard", "serve", "--demo"], {**SETTINGS, **settings, **secret})


def version() -> str:
    """Its own."""
    return f"Scoreboard {__version__}"


@dataclass(frozen=True)
class Seed:
    """Players that have an account from the start.

    All have `points` and up to 999 more, if it is not 0. The first `leaders` are far ahead of what
    others can reach in a run.
    """

    players: int
    points: int = 0
    leaders: int = 0

    def sql(self) -> str:
        """Statements that put them into a migrated PostgreSQL database."""
        number = "lpad(n::text, 5, '0')"
        return f"""
            INSERT INTO accounts
            SELECT 'player-' || {number}, 'Player ' || {number}, 'player ' || {number}, NULL, 0
            FROM generate_series(0, {self.players - 1}) AS n;
            INSERT INTO scores
            SELECT 'all-time', '', 'player-' || {number},
                CASE
                    WHEN n < {self.leaders} THEN {LEAD} - {POINTS} * n
                    ELSE {self.points} + n % 1000
                END,
                1 + n, 1
            FROM generate_series(0, {self.players - 1}) AS n
            WHERE n < {self.leaders} OR {self.points} > 0;
            """

    def file(self, folder: Path) -> Path:
        """An SQLite database with them, made in `folder`."""
        _migrate(folder)
        file = folder / "board.db"
        with closing(sqlite3.connect(file)) as database, database:
            database.executemany(
                "INSERT INTO accounts VALUES (?, ?, ?, NULL, 0)",
                ((id_of(n), name_of(n), name_of(n).lower()) for n in range(self.players)),
            )
            database.executemany(
                "INSERT INTO scores VALUES ('all-time', '', ?, ?, ?, 1)", self._scores()
            )
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA journal_mode = DELETE")  # one file, to be copied
        return file

    def _scores(self) -> Iterator[tuple[str, int, int]]:
        for n in range(self.players if self.points else self.leaders):
            total = LEAD - POINTS * n if n < self.leaders else self.points + n % 1000
            yield id_of(n), total, 1 + n


def migrate(url: str) -> None:
    """Make the schema in an empty PostgreSQL database."""
    with new_folder("scoreboard") as folder:
        _migrate(folder, DATABASE_URL=url)


def bearers(players: range) -> list[str]:
    """A token for each player."""
    issue = Tokens([SECRET.encode()]).issue
    return [issue(id_of(n), seconds=VALID) for n in players]


def completion(path: str, token: str, key: str) -> bytes:
    """The bytes of a request that completes an action, here or at a peer."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def sums(address: tuple[str, int], boards: tuple[str, ...], players: int) -> dict[str, int]:
    """What each board shows, all its pages added up."""
    found = {}
    connection = HTTPConnection(*address, timeout=PATIENCE)
    for board in boards:
        found[board] = 0
        for offset in range(0, players, PAGE):
            path = f"{TOP}?board={board}&limit={PAGE}&offset={offset}"
            connection.request("GET", path)
            page: dict[str, Any] = json.loads(connection.getresponse().read())
            found[board] += sum(user["score"] for user in page["users"])
            if len(page["users"]) < PAGE:
                break
    connection.close()
    return found


def _migrate(folder: Path, **settings: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scoreboard", "migrate"],
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise RuntimeError(f"the schema could not be made: {done.stderr}")
