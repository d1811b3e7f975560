"""Players by the million, put into a database behind the service's back.

Each has an account, one row in the log and the score that it adds up to, as after a long life: a
rebuild makes the same scores of it.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.contestants import scoreboard
from bench.contestants.scoreboard import VALID
from scoreboard.identity.tokens import Tokens
from tests.support.backends import Postgres
from tests.support.server import SECRET

SLICE = 100_000  # players a statement: some seconds, of the twenty that one may take
SPREAD = 99_991  # scores are between 1 and this prime, in no order of the accounts
STEP = 7_919
AT_MS = 1_767_225_600_000  # 2026-01-01, when all of them did what they did

# The log's rows refer to accounts that are made beside them, so nobody has to look for each.
UNCHECKED = "SET session_replication_role = replica"


def id_of(number: int) -> str:
    """A player's account id; all are of one length."""
    return f"seeded-{number:08d}"


def score_of(number: int) -> int:
    """Its points."""
    return 1 + number * STEP % SPREAD


def bearers(players: int, count: int) -> list[str]:
    """A token for each of `count` players, or all if there are fewer, evenly spread over all."""
    issue = Tokens([SECRET.encode()]).issue
    chosen = range(0, players, max(1, players // count))[:count]
    return [issue(id_of(number), seconds=VALID) for number in chosen]


def fill_postgres(postgres: Postgres, database: str, players: int) -> None:
    """Make the schema in an empty database, and the players in it."""
    scoreboard.migrate(postgres.url_of(database))
    for first in range(0, players, SLICE):
        numbers = f"generate_series({first}::BIGINT, {min(first + SLICE, players) - 1}) AS n"
        account, points = "'seeded-' || lpad(n::TEXT, 8, '0')", f"1 + n * {STEP} % {SPREAD}"
        postgres.execute(
            f"""
            {UNCHECKED};
            INSERT INTO accounts (account_id, username, username_key, created_at_ms)
            SELECT {account}, 'Player ' || n, 'player ' || n, {AT_MS} FROM {numbers};
            INSERT INTO action_log (
                log_id, account_id, kind, actor_id, reason, fingerprint, points, new_score,
                completed_at_ms, day, week
            )
            SELECT
                1 + n, {account}, 'adjustment', 'bench', 'seeded', '', {points}, {points},
                {AT_MS}, '2026-01-01', '2026-W01'
            FROM {numbers};
            INSERT INTO scores (board, period, account_id, total, reached_log_id, version)
            SELECT 'all-time', '', {account}, {points}, 1 + n, 1 FROM {numbers};
            """,
            database,
        )
    postgres.execute(f"SELECT setval('action_log_ids', {players})", database)
    postgres.execute("VACUUM ANALYZE", database)
    postgres.execute("CHECKPOINT", database)


def sqlite_file(folder: Path, players: int) -> Path:
    """An SQLite database with the players, without their log, made in `folder`."""
    file = folder / f"{players}.db"
    shutil.copy(scoreboard.Seed(0).file(folder), file)
    with closing(sqlite3.connect(file)) as database, database:
        database.executemany(
            "INSERT INTO accounts (account_id, username, username_key, created_at_ms) "
            f"VALUES (?, ?, ?, {AT_MS})",
            ((id_of(n), f"Player {n}", f"player {n}") for n in range(players)),
        )
        database.executemany(
            "INSERT INTO scores VALUES ('all-time', '', ?, ?, ?, 1)", _scores(players)
        )
    return file


def _scores(players: int) -> Iterator[tuple[str, int, int]]:
    for number in range(players):
        yield id_of(number), score_of(number), 1 + number
