"""A database and a board, wired as the service wires them, without HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import anyio.lowlevel

from scoreboard import periods
from scoreboard.board import Board
from scoreboard.board.memory import MemoryBoard
from scoreboard.board.redis.board import RedisBoard
from scoreboard.board.redis.link import Link, open_link
from scoreboard.board.standings import Rankings, SqlStandings
from scoreboard.board.sweep import Sweep
from scoreboard.errors import Unavailable
from scoreboard.ledger import actions, migrations
from scoreboard.ledger.accounts import Account, Accounts
from scoreboard.ledger.actions import Action
from scoreboard.ledger.connection import Row, Transaction
from scoreboard.ledger.database import Database, Lane, open_database
from scoreboard.ledger.statements import numbered
from scoreboard.periods import BOARDS
from scoreboard.scoring.completion import Answer, Change, ChangeKind, Completion, Submission
from scoreboard.scoring.log import ActionLog
from scoreboard.scoring.postgres_log import TOGETHER, PostgresLog
from scoreboard.scoring.recording import Recorder
from scoreboard.scoring.sqlite_log import SqliteLog
from scoreboard.scoring.submissions import Submissions
from scoreboard.settings import Settings
from tests.support.clock import FakeClock

ONCE = Action("once", "Once", "", 7, "once")
DAILY = Action("daily", "Daily", "", 5, "daily")
OFTEN = Action("often", "Often", "", 3, "unlimited")


class Engine:
    """What a contract test works with: the parts of one service, wired as it wires them."""

    def __init__(
        self,
        clock: FakeClock,
        database: Database,
        link: Link | None = None,
        *,
        together: int = TOGETHER,
    ) -> None:
        self.clock = clock
        self.database = database
        self.link = link
        self.changes: list[frozenset[str]] = []
        self.missed = 0
        self.accounts = Accounts(database, clock)
        self.rows = SqlStandings(database)
        self.log: ActionLog = (
            SqliteLog(database, boards=BOARDS, clock=clock)
            if database.dialect == "sqlite"
            else PostgresLog(database, boards=BOARDS, clock=clock, together=together)
        )
        self.submissions = Submissions(self._record, is_known=self.accounts.is_known)
        self.use(RedisBoard(link, BOARDS, clock) if link else MemoryBoard(BOARDS, clock))

    def use(self, board: Board) -> None:
        """Work with this board from now on."""
        self.board = board
        self.standings = Rankings(board, self.rows)
        self.recorder = Recorder(self.log, board, changed=self.changed, missed=self.miss)
        self.sweep = Sweep(
            board,
            self.database,
            boards=BOARDS,
            clock=self.clock,
            changed=self.changed,
            sleep=no_sleep,
        )

    async def __aenter__(self) -> Self:
        self._running = [
            asyncio.create_task(self.accounts.run()),
            asyncio.create_task(self.submissions.run()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for running in self._running:
            running.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def lose_board(self) -> None:
        """Lose all that the board holds, as a restart or `FLUSHALL` does."""
        if self.link:
            await self.link.redis.flushall()
        else:
            self.use(MemoryBoard(BOARDS, self.clock))

    def miss(self) -> None:
        """Note that the board has missed something."""
        self.missed += 1

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

    async def submit(self, batch: Sequence[Submission]) -> Sequence[Answer | Exception]:
        """Submit these at once, so that they are one batch, and give each answer or error.

        An `Unavailable` that all of them get is raised.
        """
        answers = await asyncio.gather(*map(self._submit, batch))
        errors = [answer for answer in answers if isinstance(answer, Unavailable)]
        if errors and len(errors) == len(answers):
            raise errors[0]
        return answers

    async def _record(
        self, batch: Sequence[Submission], lane: Lane
    ) -> Sequence[Answer | Exception]:
        return await self.recorder.record(batch, lane)

    async def _submit(self, one: Submission) -> Answer | Exception:
        try:
            return await self.submissions.submit(one)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    async def record(
        self, batch: Sequence[tuple[str, str, str | None, str]]
    ) -> Sequence[Answer | Exception]:
        """Record a batch of (account, action, key, body)."""
        return await self.submit(
            [
                Completion(await self.account(name), action, f"{action} {body}", key)
                for name, action, key, body in batch
            ]
        )

    async def write(
        self, kind: ChangeKind, name: str, actor: str = "staff", **fields: Any
    ) -> Answer | Exception:
        """Write a change about somebody in a batch of its own."""
        account = await self.account(name)
        await self.account(actor)
        prints = f"{kind} {name} {fields.get('points')} {fields.get('voids')}"
        change = Change(kind, account, actor, fields.pop("fingerprint", prints), **fields)
        (answer,) = await self.submit([change])
        return answer

    async def top(self, board: str = "all-time") -> list[tuple[str, int]]:
        """Who is on a board now, and with how much."""
        period = periods.current(board, self.clock())
        page = await self.standings.page(period, offset=0, limit=10)
        return [(entry.account_id, entry.score) for entry in page]

    async def assert_sound(self) -> None:
        """The log adds up to the scores, and the board shows them in their order."""
        log = await self.query(
            "SELECT account_id, points, new_score, day, week FROM action_log ORDER BY log_id"
        )
        sums: Counter[tuple[str, str, str]] = Counter()
        touched: set[tuple[str, str, str]] = set()
        for row in log:
            if not row["points"]:  # a hiding
                assert sums["all-time", "", row["account_id"]] == row["new_score"]
                continue
            for board, period in (("all-time", ""), ("daily", row["day"]), ("weekly", row["week"])):
                sums[board, period, row["account_id"]] += row["points"]
                touched.add((board, period, row["account_id"]))
            assert sums["all-time", "", row["account_id"]] == row["new_score"]
        scores = await self.query("SELECT board, period, account_id, total FROM scores")
        assert {
            (row["board"], row["period"], row["account_id"]): row["total"] for row in scores
        } == {key: total for key, total in sums.items() if key in touched}
        current = [periods.current(board, self.clock()) for board in BOARDS]
        loaded = await self.board.marks(current)
        for period in current:
            assert self.board.holds(period)
            if period not in loaded:  # as the service does by itself, every second
                await self.sweep.load(period)
            on_board = await self.board.page(period, offset=0, limit=100)
            assert on_board == await self.rows.page(period, offset=0, limit=100)
            for entry in on_board:
                assert await self.rows.around(
                    period, entry.account_id, 1
                ) == await self.board.around(period, entry.account_id, 1)

    async def change(self, *statements: str) -> None:
        """Change the database behind the service's back."""

        async def job(transaction: Transaction) -> None:
            for statement in statements:
                await transaction.script(statement)

        await self.database.write(job)

    async def query(self, text: str) -> list[Row]:
        """What the database holds, by a statement of the test's own."""
        statements: Any = self.database._reader
        is_sqlite = self.database.dialect == "sqlite"
        statements._sql["query"] = text if is_sqlite else numbered(text)
        return await self.database.fetch("query")


async def no_sleep(seconds: float) -> None:
    """Stands in for `sleep` where nothing has to be waited for."""
    await anyio.lowlevel.checkpoint()


async def fill(database: Database, clock: FakeClock) -> None:
    """The schema, and the actions of the tests."""
    await migrations.migrate(database, clock)
    await actions.load(database, [ONCE, DAILY, OFTEN], actor_id="test", clock=clock)


@asynccontextmanager
async def open_engine(
    settings: Settings, clock: FakeClock, *, is_filled: bool, together: int = TOGETHER
) -> AsyncIterator[Engine]:
    """The engine of these settings, with boards that are empty and loaded."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings, alone=settings.redis is None)
        )
        if not is_filled:
            await fill(database, clock)
        link = None
        if settings.redis:
            link = await stack.enter_async_context(open_link(settings.redis.url))
        engine = await stack.enter_async_context(Engine(clock, database, link, together=together))
        await engine.sweep.look()
        engine.changes.clear()
        yield engine
