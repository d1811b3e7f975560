"""The parts of a running Scoreboard, made in order and ended in reverse."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio

from scoreboard import periods
from scoreboard.board import Standings
from scoreboard.board.memory import MemoryBoard
from scoreboard.board.refill import Refill
from scoreboard.board.standings import Rankings, SqlStandings
from scoreboard.errors import SettingsError, Unavailable
from scoreboard.identity.limits import RateLimit, SlidingLog
from scoreboard.identity.secret import signing_secrets
from scoreboard.identity.sessions import Sessions
from scoreboard.identity.tokens import Tokens
from scoreboard.ledger import migrations
from scoreboard.ledger.accounts import Accounts
from scoreboard.ledger.database import Database, open_database, served_alone
from scoreboard.live.publisher import Publisher
from scoreboard.live.sse import Seats
from scoreboard.periods import Clock
from scoreboard.scoring.batcher import Batcher
from scoreboard.scoring.completion import Answer, Completion
from scoreboard.scoring.recording import Recorder
from scoreboard.settings import Rate, Settings

LOGINS_PER_NAME = Rate(10, 60)  # per address and name: guessing one password stays slow


@dataclass(frozen=True, kw_only=True)
class Scoreboard:
    """What the web asks: each part by the name of its subject."""

    settings: Settings
    clock: Clock
    database: Database
    accounts: Accounts
    tokens: Tokens
    sessions: Sessions
    completions: Batcher[Completion, Answer]
    standings: Standings
    publisher: Publisher
    seats: Seats
    completion_limit: RateLimit
    auth_limit: RateLimit
    login_limit: RateLimit
    leaving: anyio.Event
    """Set when the server means to stop: then every stream says bye."""


@asynccontextmanager
async def open_checked_database(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings, with the schema that this code expects.

    Raises `SettingsError` when it cannot be opened or its schema is another one.
    """
    async with AsyncExitStack() as stack:
        try:
            database = await stack.enter_async_context(open_database(settings.database))
            found, expected = await migrations.version(database), migrations.newest()
        except Unavailable as error:
            raise SettingsError("DATABASE_URL", str(error)) from error
        if found < expected:
            raise SettingsError(
                "DATABASE_URL",
                f"the schema of {settings.database} is at step {found} of {expected}; "
                "run `scoreboard migrate` first",
            )
        if found > expected:
            raise SettingsError(
                "DATABASE_URL",
                f"the schema of {settings.database} is at step {found}, newer than this "
                f"version knows ({expected}); run a newer Scoreboard",
            )
        yield database


@contextmanager
def alone_on(settings: Settings) -> Iterator[None]:
    """Be the one server of this database. Raises `SettingsError` when there is another."""
    with ExitStack() as stack:
        try:
            stack.enter_context(served_alone(settings.database))
        except BlockingIOError as error:
            why = f"another server runs on {settings.database}"
            raise SettingsError("DATABASE_URL", why) from error
        except OSError as error:
            raise SettingsError("DATABASE_URL", f"{settings.database}: {error.strerror}") from error
        yield


@asynccontextmanager
async def open_scoreboard(
    settings: Settings, clock: Clock = periods.now_ms
) -> AsyncIterator[Scoreboard]:
    """Everything that serves, running until the block ends.

    Ends in this order: waiting completions are recorded, streams say bye if they have not yet, the
    tasks are cancelled, the database is closed. When one of the tasks fails, all of it ends with
    its error: half a service is worse than one that is started again. Raises `SettingsError` when
    the start makes no sense.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(alone_on(settings))
        database = await stack.enter_async_context(open_checked_database(settings))
        board = MemoryBoard(settings.boards, clock)
        standings = Rankings(board, SqlStandings(database))
        publisher = Publisher(
            standings,
            boards=settings.boards,
            clock=clock,
            interval=settings.broadcast_interval_ms / 1000,
        )
        recorder = Recorder(
            database, board, boards=settings.boards, clock=clock, changed=publisher.changed
        )
        refill = Refill(
            board, database, boards=settings.boards, clock=clock, changed=publisher.changed
        )
        accounts = Accounts(database, clock)
        tokens = Tokens(signing_secrets(settings))
        sessions = Sessions(
            database,
            accounts,
            tokens,
            access_minutes=settings.access_token_minutes,
            clock=clock,
        )
        completions = Batcher(recorder.record)
        windows = SlidingLog()
        leaving = anyio.Event()

        await refill.fill()
        for name in settings.boards:
            await publisher.refresh(name)

        async def say_bye() -> None:
            await leaving.wait()
            publisher.close()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say_bye, name="farewell")
            tasks.start_soon(refill.run, name="refill")
            publisher.start(tasks)
            try:
                async with anyio.create_task_group() as recording:
                    recording.start_soon(completions.run, name="batcher")
                    try:
                        yield Scoreboard(
                            settings=settings,
                            clock=clock,
                            database=database,
                            accounts=accounts,
                            tokens=tokens,
                            sessions=sessions,
                            completions=completions,
                            standings=standings,
                            publisher=publisher,
                            seats=Seats(settings.max_streams, settings.max_streams_per_address),
                            completion_limit=RateLimit("complete", settings.rate_limit, windows),
                            auth_limit=RateLimit("auth", settings.auth_rate_limit, windows),
                            login_limit=RateLimit("login", LOGINS_PER_NAME, windows),
                            leaving=leaving,
                        )
                    finally:
                        completions.close()
            finally:
                publisher.close()
                tasks.cancel_scope.cancel()
