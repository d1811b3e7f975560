"""How a session with PostgreSQL begins, and how it ends when the network has lost it.

By default a kernel takes two hours to notice that the other side has gone, and for as long the
backend keeps the session's locks. So both sides look for each other after seconds, and a process
ends its own former session when that still has the lock that it needs.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from scoreboard.ledger.postgres_server import LOST, TakenError
from scoreboard.ledger.statements import Numbered

# Seconds of silence before a kernel asks whether the other side is there, seconds between two such
# questions, and how many go unanswered before the connection is closed. A network that fails over
# to another path takes some seconds; a rival waits for these locks all the time.
PROBE_AFTER: Final = 10
PROBE_EVERY: Final = 5
PROBES: Final = 3
# Milliseconds after which a session ends whose client has gone: the same for data that nobody
# acknowledges, and for a transaction in which nothing is asked. Ours do nothing between two of
# their statements that takes longer than some milliseconds.
GONE_AFTER_MS: Final = (PROBE_AFTER + PROBE_EVERY * PROBES) * 1000
LOOK_EVERY_MS: Final = 2000  # between two looks at its socket of a backend at a long statement
PREPARE_WAIT: Final = 2.0  # seconds for each of two steps, of a few round trips
END_WAIT_MS: Final = 1000  # for a backend that is told to end; it takes a few milliseconds

# The lock that says: this process alone serves this database. Any number that is ours will do.
ALONE: Final = 0x5C0_2EB0A2D
NAME: Final = "scoreboard"  # of the sessions, in pg_stat_activity


class Kept(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection that goes back to its pool as it is.

    asyncpg would reset its session first, one more round trip; ours has no state but the lock,
    which has to stay.
    """

    def get_reset_query(self) -> str:
        """Nothing."""
        return ""

    def probe(self) -> None:
        """Have this side's kernel look for the server, which ends even a wait without a limit."""
        own = self._transport.get_extra_info("socket")
        if own.family == socket.AF_UNIX:
            return
        own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_KEEPIDLE", PROBE_AFTER),
            ("TCP_KEEPALIVE", PROBE_AFTER),  # what macOS calls it
            ("TCP_KEEPINTVL", PROBE_EVERY),
            ("TCP_KEEPCNT", PROBES),
            ("TCP_USER_TIMEOUT", GONE_AFTER_MS),  # Linux alone has it
        ):
            if option := getattr(socket, name, None):
                own.setsockopt(socket.IPPROTO_TCP, option, value)


class Sessions:
    """What the sessions of one opened database have in common.

    A pooler refuses most settings of a session, and would hand them on to others: then each
    transaction sets what bounds it, and the connections to the server are the pooler's to watch.
    """

    def __init__(
        self, sql: Mapping[str, Numbered], *, statement_timeout_ms: int, is_pooled: bool
    ) -> None:
        self._sql = sql
        self._is_pooled = is_pooled
        self._bounds = {
            "statement_timeout": str(statement_timeout_ms),
            "idle_in_transaction_session_timeout": str(GONE_AFTER_MS),
        }
        # In the name of the session that has the lock: it tells a former one of this process from
        # that of another, even when the answer that it had the lock was lost.
        self._lock_holder = f"{NAME} alone {secrets.token_hex(8)}"

    @property
    def begin(self) -> str:
        """What begins a transaction."""
        bounds = self._bounds if self._is_pooled else {}
        return "; ".join(["BEGIN", *(f"SET LOCAL {name} = {bounds[name]}" for name in bounds)])

    def settings(
        self, *, statement_timeout_ms: int, lock_timeout_ms: int, alone: bool = False
    ) -> dict[str, str]:
        """The settings that a new session asks for; the one that holds the lock with `alone`. A
        limit of 0 is none.
        """
        named = {"application_name": self._lock_holder if alone else NAME}
        if self._is_pooled:
            return named
        return {
            **named,
            **self._bounds,
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(lock_timeout_ms),
            "tcp_keepalives_idle": str(PROBE_AFTER),
            "tcp_keepalives_interval": str(PROBE_EVERY),
            "tcp_keepalives_count": str(PROBES),
        }

    async def prepare(self, connection: Kept) -> None:
        """Make a new session ready."""
        async with _bounded(connection):
            connection.probe()
            if not self._is_pooled:
                await self._fetch(
                    "session_prepare",
                    connection,
                    gone_after=str(GONE_AFTER_MS),
                    look_every=str(LOOK_EVERY_MS),
                )

    async def prepare_alone(self, connection: Kept) -> None:
        """Make a new session ready that holds the lock. Raises `TakenError` when another process
        has it; a former session of this one is ended.
        """
        await self.prepare(connection)
        async with _bounded(connection):
            if await self._fetch("alone_lock", connection, key=ALONE):
                return
            has_ended = await self._fetch(
                "alone_take_over", connection, key=ALONE, wait_ms=END_WAIT_MS
            )
            if not has_ended or not await self._fetch("alone_lock", connection, key=ALONE):
                raise TakenError

    async def _fetch(self, name: str, connection: Kept, **binds: object) -> bool:
        """Run a statement; whether its first column is true."""
        text, names = self._sql[name]
        return bool(await connection.fetchval(text, *[binds[bind] for bind in names]))


@asynccontextmanager
async def _bounded(connection: Kept) -> AsyncIterator[None]:
    """Bound a step of the preparation in time, and end the connection if the server is silent.

    Its pool would close it in turn, and wait for the server without a limit.
    """
    try:
        async with asyncio.timeout(PREPARE_WAIT):
            yield
    except (asyncio.CancelledError, *LOST):
        connection.terminate()
        raise
