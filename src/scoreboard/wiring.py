"""The parts of a running Scoreboard, made in order and ended in reverse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import anyio

from scoreboard import periods
from scoreboard.board import Board
from scoreboard.board.memory import MemoryBoard
from scoreboard.board.redis.board import RedisBoard
from scoreboard.board.redis.link import Link, open_link
from scoreboard.board.redis.subscription import Subscription
from scoreboard.board.standings import Rankings, SqlStandings
from scoreboard.board.sweep import Sweep
from scoreboard.errors import Unavailable
from scoreboard.identity.limits import Limits
from scoreboard.identity.provider import open_keys
from scoreboard.identity.scopes import Scopes
from scoreboard.identity.secret import signing_secrets
from scoreboard.identity.sessions import Sessions
from scoreboard.identity.starts import Starts
from scoreboard.identity.tokens import Tokens
from scoreboard.ledger import sqlite
from scoreboard.ledger.accounts import Accounts
from scoreboard.ledger.database import Database, open_database
from scoreboard.live.publisher import Publisher
from scoreboard.live.sse import Seats
from scoreboard.periods import Clock
from scoreboard.scoring.log import ActionLog
from scoreboard.scoring.postgres_log import PostgresLog
from scoreboard.scoring.recording import Recorder
from scoreboard.scoring.sqlite_log import SqliteLog
from scoreboard.scoring.submissions import Submissions
from scoreboard.settings import Settings
from scoreboard.startup import (
    alone_on,
    check_database,
    check_database_later,
    open_checked_database,
)
from scoreboard.telemetry import metrics

logger = logging.getLogger(__name__)

# Seconds at the start for the boards to be loaded: some 300,000 players. Beyond, requests are taken
# and the boards read from SQL until they are; platforms give up on a start after a minute.
LOAD_WAIT: Final = 3.0


@dataclass(frozen=True, kw_only=True)
class Scoreboard:
    """What the web asks: each part by the name of its subject."""

    settings: Settings
    clock: Clock
    database: Database
    accounts: Accounts
    tokens: Tokens
    sessions: Sessions
    submissions: Submissions
    log: ActionLog
    starts: Starts
    standings: Rankings
    publisher: Publisher
    link: Link | None
    seats: Seats
    limits: Limits
    leaving: anyio.Event
    """Set when the server means to stop: then every stream says bye."""


def open_log(database: Database, settings: Settings, clock: Clock) -> ActionLog:
    """The log of this database. PostgreSQL has its own clock, the same for all processes."""
    if database.dialect == sqlite.DIALECT:
        return SqliteLog(database, boards=settings.boards, clock=clock)
    return PostgresLog(database, boards=settings.boards)


@asynccontextmanager
async def open_shared_sweep(settings: Settings, database: Database) -> AsyncIterator[Sweep | None]:
    """What loads the boards in Redis from outside of a server; None when there is no Redis."""
    async with _open_link(settings) as link:
        if link is None:
            yield None
            return
        yield Sweep(
            RedisBoard(link, settings.boards, periods.now_ms),
            database,
            boards=settings.boards,
            clock=periods.now_ms,
            changed=lambda _: None,
        )


@asynccontextmanager
async def open_submissions(settings: Settings) -> AsyncIterator[tuple[Database, Submissions]]:
    """What a command writes to the log with, beside the servers of this database, if any run.

    With Redis its boards change at once, and every stream hears of it. Without, a server's own
    board follows the log within about a second, and no rank is known here. Raises `SettingsError`
    when the database cannot be reached or its schema is another one.
    """
    async with open_checked_database(settings) as database, _open_link(settings) as link:
        board: Board = (
            RedisBoard(link, settings.boards, periods.now_ms)
            if link
            else MemoryBoard(settings.boards, periods.now_ms)
        )
        recorder = Recorder(
            open_log(database, settings, periods.now_ms),
            board,
            changed=lambda _: None,
            missed=lambda: None,
        )
        submissions = Submissions(
            recorder.record, is_known=Accounts(database, periods.now_ms).is_known
        )
        recording = asyncio.create_task(submissions.run(), name="submissions")
        try:
            yield database, submissions
        finally:
            submissions.close()
            await recording


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
        database = await stack.enter_async_context(
            open_database(settings, alone=settings.redis is None)
        )
        link = await stack.enter_async_context(_open_link(settings))
        board: Board = (
            RedisBoard(link, settings.boards, clock)
            if link
            else MemoryBoard(settings.boards, clock)
        )
        standings = Rankings(board, SqlStandings(database))
        publisher = Publisher(
            standings,
            boards=settings.boards,
            clock=clock,
            interval=settings.broadcast_interval_ms / 1000,
            is_live=lambda: link is None or not link.is_away,
        )
        sweep = Sweep(
            board,
            database,
            boards=settings.boards,
            clock=clock,
            changed=publisher.changed,
        )
        accounts = Accounts(database, clock)
        log = open_log(database, settings, clock)
        recorder = Recorder(
            log,
            board,
            changed=publisher.changed,
            missed=sweep.wake,
        )
        tokens = Tokens(
            secrets := signing_secrets(settings),
            open_keys(settings.provider),
            scopes=Scopes(settings.scope_claim, settings.scope_map),
        )
        sessions = Sessions(
            database,
            accounts,
            tokens,
            access_minutes=settings.access_token_minutes,
            clock=clock,
        )
        submissions = Submissions(
            recorder.record, is_known=accounts.is_known, gauge=metrics.BATCH_WAITING
        )
        limits = Limits.of(settings, link)
        leaving = anyio.Event()

        try:
            await check_database(settings, database)
            is_checked = True
        except Unavailable:
            logger.warning("starting without the database, which is away")
            is_checked = False

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(publisher.close_at, leaving, name="farewell")
            tasks.start_soon(database.fail, name="database")
            tasks.start_soon(accounts.run, name="accounts")
            tasks.start_soon(sweep.run, name="sweep")
            tasks.start_soon(limits.run, name="limits")
            tasks.start_soon(tokens.refresh_keys, name="keys")
            if not is_checked:
                tasks.start_soon(check_database_later, settings, database, name="check")
            if link:
                subscription = _subscription(link, sweep, publisher)
                tasks.start_soon(subscription.run, name="subscription")
            await _show_boards(settings, sweep, publisher)
            publisher.start(tasks)
            try:
                async with anyio.create_task_group() as recording:
                    recording.start_soon(submissions.run, name="submissions")
                    try:
                        yield Scoreboard(
                            settings=settings,
                            clock=clock,
                            database=database,
                            accounts=accounts,
                            tokens=tokens,
                            sessions=sessions,
                            submissions=submissions,
                            log=log,
                            starts=Starts(secrets),
                            standings=standings,
                            publisher=publisher,
                            link=link,
                            seats=Seats(settings.max_streams, settings.max_streams_per_address),
                            limits=limits,
                            leaving=leaving,
                        )
                    finally:
                        submissions.close()
            finally:
                publisher.close()
                tasks.cancel_scope.cancel()


def _subscription(link: Link, sweep: Sweep, publisher: Publisher) -> Subscription:
    async def on_subscribed() -> None:
        sweep.start_over()
        publisher.changed(publisher.hubs)

    return Subscription(link, on_subscribed, lambda board: publisher.changed({board}))


async def _show_boards(settings: Settings, sweep: Sweep, publisher: Publisher) -> None:
    """Have something to show from the first request on, as far as that is possible now."""
    with anyio.move_on_after(LOAD_WAIT):
        await sweep.has_looked.wait()
    for board in settings.boards:
        with suppress(Unavailable):
            await publisher.refresh(board)


@asynccontextmanager
async def _open_link(settings: Settings) -> AsyncIterator[Link | None]:
    if settings.redis is None:
        yield None
        return
    async with open_link(
        settings.redis.url, tls_insecure=not settings.redis.checks_certificate
    ) as link:
        yield link
