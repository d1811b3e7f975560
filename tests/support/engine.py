"""A database and a board, wired as the service wires them, without HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scoreboard import periods
from scoreboard.board import Board
from scoreboard.board.memory import MemoryBoard
from scoreboard.board.refill import Refill
from scoreboard.board.standings import Rankings, SqlStandings
from scoreboard.ledger import actions, migrations
from scoreboard.ledger.accounts import Account, Accounts
from scoreboard.ledger.actions import Action
from scoreboard.ledger.connection import Row, Statements, Transaction
from scoreboard.ledger.database import Database, open_database
from scoreboard.periods import BOARDS
from scoreboard.scoring.completion import Answer, Completion
from scoreboard.scoring.recording import Recorder
from tests.support.clock import FakeClock

ONCE = Action("once", "Once", "", 7, "once")
DAILY = Action("daily", "Daily", "", 5, "daily")
OFTEN = Action("often", "Often", "", 3, "unlimited")


@dataclass
class Engine:
    """What a contract test works with."""

    clock: FakeClock
    database: Database
    board: Board
    changes: list[frozenset[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = SqlStandings(self.database)
        self.standings = Rankings(self.board, self.rows)
        self.accounts = Accounts(self.database, self.clock)
        self.recorder = Recorder(
            self.database, self.board, boards=BOARDS, clock=self.clock, changed=self.changed
        )
        self.refill = Refill(
            self.board, self.database, boards=BOARDS, clock=self.clock, changed=self.changed
        )

    def changed(self, boards: Collection[str]) -> None:
        """Note which boards' top 10 changed."""
        self.changes.append(frozenset(boards))

    async def account(self, name: str) -> Account:
        """An account of that id and name, made if it is new."""
        return await self.accounts.enter(name, name)

    async def complete(
        self, name: str, action: str, key: str | None = None, body: str = ""
    ) -> Answer | Exception:
        """Complete an action in a batch of its own."""
        (answer,) = await self.record([(name, action, key, body)])
        return answer

    async def record(
        self, batch: Sequence[tuple[str, str, str | None, str]]
    ) -> Sequence[Answer | Exception]:
        """Record a batch of (account, action, key, body)."""
        return await self.recorder.record(
            [
                Completion(await self.account(name), action, f"{action} {body}", key)
                for name, action, key, body in batch
            ]
        )

    async def assert_sound(self) -> None:
        """The log adds up to the scores, and the board shows them in their order."""
        log = await self.query(
            "SELECT account_id, points, new_score, day, week FROM action_log ORDER BY log_id"
        )
        sums: Counter[tuple[str, str, str]] = Counter()
        for row in log:
            sums["all-time", "", row["account_id"]] += row["points"]
            sums["daily", row["day"], row["account_id"]] += row["points"]
            sums["weekly", row["week"], row["account_id"]] += row["points"]
            assert sums["all-time", "", row["account_id"]] == row["new_score"]
        scores = await self.query("SELECT board, period, account_id, total FROM scores")
        assert {
            (row["board"], row["period"], row["account_id"]): row["total"] for row in scores
        } == dict(sums)
        for board in BOARDS:
            period = periods.current(board, self.clock())
            assert self.board.holds(period)
            on_board = await self.board.page(period, offset=0, limit=100)
            assert on_board == await self.rows.page(period, offset=0, limit=100)
            for entry in on_board:
                assert await self.rows.around(
                    period, entry.account_id, 1
                ) == await self.board.around(period, entry.account_id, 1)

    async def change(self, *statements: str) -> None:
        """Change the database behind the service's back."""

        async def job(transaction: Transaction) -> None:
            await transaction.script(statements)

        await self.database.write(job)

    async def query(self, text: str) -> list[Row]:
        """What the database holds, by a statement of the test's own."""
        return await Statements(self.database._reader._connection, {"query": text}).fetch("query")


@asynccontextmanager
async def sqlite_engine(folder: Path, clock: FakeClock) -> AsyncIterator[Engine]:
    """SQLite in a file, and the board in the process."""
    async with open_database(folder / "board.db") as database:
        await migrations.migrate(database, clock)
        await actions.load(database, [ONCE, DAILY, OFTEN])
        yield Engine(clock, database, MemoryBoard(BOARDS, clock))
