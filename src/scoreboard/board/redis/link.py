"""The process's way to Redis: one flag that says whether it is there, one bound on every wait."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, RedisError, ResponseError
from redis.typing import EncodableT

from scoreboard.addresses import RedisServer
from scoreboard.batcher import Batcher
from scoreboard.board import Away
from scoreboard.board.redis.keys import PROBE
from scoreboard.board.redis.scripts import Command, send
from scoreboard.telemetry import metrics

T = TypeVar("T")

# Seconds for one call, with its wait for a connection. It takes under a millisecond, and some tens
# while a big Redis forks; whoever waits longer is better served from SQL.
CALL_TIME: Final = 0.5
BULK_TIME: Final = 5.0  # seconds for a call that sends up to 50,000 rows: 0.1 s, or a slow line
# Connections for commands: Redis carries out one command at a time, so a few keep it busy. With the
# subscription they are 5 a process; two processes, beside the two that a release replaces, are the
# 20 that the smallest plans allow.
CONNECTIONS: Final = 4
RETRIES: Final = 1  # to connect; `scripts.send` asks again over a socket that turns out dead
PROBE_LIFE_MS: Final = 1000  # of the key that a probe writes: nobody reads it

# What Redis answers when it takes no command, or no write, from anyone. Before version 7 an error
# inside a script is an "ERR" that quotes these codes.
_REFUSALS: Final = re.compile(
    r"\b(LOADING|READONLY|OOM|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|BUSY|NOPERM|NOAUTH"
    r"|MOVED|ASK|CROSSSLOT)\b"
)

logger = logging.getLogger(__name__)


class _PacksInC(Connection):
    """redis-py's asynchronous connections pack commands in Python even where hiredis is installed:
    2.7 µs for a row that is loaded, against 0.4.
    """

    def pack_command(self, *args: EncodableT) -> list[bytes]:
        if isinstance(args[0], str) and " " not in args[0]:  # a name of two words is two arguments
            with suppress(TypeError):
                return [pack_command(args)]  # type: ignore[arg-type]  # its stub has one argument
        return super().pack_command(*args)


class _PlainConnection(_PacksInC):
    """Over TCP."""


class _TlsConnection(_PacksInC, SSLConnection):
    """Over TLS."""


class Link:
    """One Redis as this process sees it. Make one with `open_link`.

    While `is_away` is set no call waits for Redis: all raise `Away` at once. The first call that
    fails sets it; the subscription, which goes on trying, clears it.
    """

    def __init__(self, pool: ConnectionPool, listening: ConnectionPool) -> None:
        self._pool = pool
        self._listening = listening
        self._away = False
        self._asked: Batcher[Command, Any] = Batcher(self._send)
        self.redis = Redis(connection_pool=pool)

    @property
    def is_away(self) -> bool:
        """Whether Redis is taken for unreachable."""
        return self._away

    @property
    def pool(self) -> ConnectionPool:
        """The connections, for another library to share.

        Nothing that is done over them ends by itself when Redis hangs: do it within `call`.
        """
        return self._pool

    async def ask(self, command: Command) -> Any:  # noqa: ANN401 - each command has its own
        """What Redis answers to a command that may run twice. All that are asked while a round trip
        is under way share the next one.

        Raises as `call`, and `Unavailable` when too many are waiting.
        """
        if self._away:
            raise Away("Redis is away.")
        return await self._asked.submit(command)

    async def run(self) -> None:
        """Carry out what is asked, until cancelled: the owning task."""
        await self._asked.run()

    async def _send(self, commands: Sequence[Command]) -> Sequence[Any]:
        return await self.call(lambda: send(self.redis, commands))

    async def call(self, function: Callable[[], Awaitable[T]], *, within: float = CALL_TIME) -> T:
        """What `function` gives, which talks to Redis, and may have to do so twice.

        Raises `Away` at once while Redis is away, after `within` seconds when it does not answer,
        and when it refuses.
        """
        if self._away:
            raise Away("Redis is away.")
        try:
            async with asyncio.timeout(within):
                return await function()
        except DataError:  # a bug on this side: nothing was sent
            raise
        except (RedisError, OSError) as error:
            if _concerns_all(error):
                self.lose(error)
            else:
                logger.exception("Redis refused a command")
            raise Away("Redis is away.") from error

    def lose(self, error: Exception) -> None:
        """Take Redis for unreachable, because of this error."""
        if not self._away:
            self._away = True
            metrics.REDIS_UP.set(0)
            logger.warning("Redis is away: %s", str(error) or "it does not answer")

    def back(self) -> None:
        """Take Redis for reachable."""
        if self._away:
            self._away = False
            metrics.REDIS_UP.set(1)
            logger.info("Redis is back")

    async def probe(self) -> bool:
        """Whether Redis is reachable; while it is away, a write is tried, which takes it `back`.

        A write, since a full Redis or a replica still answers reads: the flag would go up and down.
        """
        if not self._away:
            return True
        try:
            if await self.is_cluster_node():  # which takes some writes, and not the others
                return False
            async with asyncio.timeout(CALL_TIME):
                await self.redis.set(PROBE, "", px=PROBE_LIFE_MS)
        except (RedisError, OSError):
            # Idle sockets may lead to a server that was replaced: the next look takes a new one.
            await _disconnect(self._pool, inuse_connections=False)
            return False
        self.back()
        return True

    async def is_cluster_node(self) -> bool:
        """Whether this is a node of a cluster, which holds a part of the keys.

        Raises `OSError` or the library's `RedisError` when it cannot be asked.
        """
        with suppress(ResponseError):  # a Redis that lets us ask for nothing of the kind
            async with asyncio.timeout(CALL_TIME):
                return bool((await self.redis.info("cluster")).get("cluster_enabled"))
        return False

    def pubsub(self) -> PubSub:
        """A subscriber with a connection of its own. Nothing that it does has a timeout."""
        return Redis(connection_pool=self._listening).pubsub()


async def leads_to_cluster_node(server: RedisServer) -> bool:
    """Whether this Redis is a node of a cluster; False as well when it cannot be reached now."""
    async with open_link(server.url, tls_insecure=not server.checks_certificate) as link:
        with suppress(RedisError, OSError):
            return await link.is_cluster_node()
    return False


def _concerns_all(error: Exception) -> bool:
    """Whether the next command would fail as well, whatever it is."""
    if not isinstance(error, ResponseError):
        return True
    return bool(_REFUSALS.search(f"{error.status_code} {error}"))


@asynccontextmanager
async def open_link(url: str, *, tls_insecure: bool = False) -> AsyncIterator[Link]:
    """The way to the Redis at `url`, until the block ends. Nothing is connected yet.

    `rediss://` is TLS, and the server's certificate is verified unless `tls_insecure` says that
    nobody can (some platforms sign their own). Raises `ValueError` when it is no Redis URL.
    """
    options = _options(url, tls_insecure=tls_insecure)
    pool = BlockingConnectionPool(
        **options,
        max_connections=CONNECTIONS,
        timeout=None,  # `call` bounds the wait for a connection along with all others
        # A timeout is not retried: the time for it is over.
        retry=Retry(NoBackoff(), RETRIES, supported_errors=(RedisConnectionError,)),
    )
    listening = ConnectionPool(**options, max_connections=1)
    link = Link(pool, listening)
    asked = asyncio.create_task(link.run(), name="redis")
    try:
        yield link
    finally:
        asked.cancel()
        with suppress(asyncio.CancelledError):
            await asked
        for one in (pool, listening):
            await _disconnect(one, inuse_connections=True)


async def _disconnect(pool: ConnectionPool, *, inuse_connections: bool) -> None:
    # The goodbye of TLS waits for an answer, and fails without one; the sockets are closed anyway.
    with suppress(RedisError, OSError):
        await pool.disconnect(inuse_connections=inuse_connections)


def _options(url: str, *, tls_insecure: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        **parse_url(url),
        # Fixed, since the shapes of answers differ by protocol. RESP 2 has all that is needed and
        # no HELLO; in RESP 3 redis-py takes a decoded "PONG" for a message of the type "P".
        "protocol": 2,
        "legacy_responses": True,
        "decode_responses": True,
        # Bytes that are no text were not written by us: a row to be found stale, not an error.
        "encoding_errors": "replace",
        # Whoever waits has a bound of its own over all that it does. A timeout here would start a
        # task for each send, which on Python 3.11 can swallow a cancellation (asyncio.wait_for).
        "socket_timeout": None,
        "socket_connect_timeout": CALL_TIME,
        "driver_info": None,
    }
    if options.pop("connection_class", Connection) is SSLConnection:
        options["connection_class"] = _TlsConnection
        options["ssl_cert_reqs"] = "none" if tls_insecure else "required"
        options["ssl_check_hostname"] = not tls_insecure
    else:
        options["connection_class"] = _PlainConnection
    return options
