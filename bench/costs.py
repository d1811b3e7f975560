"""`make costs`: what a completion, a stream and a player cost, in CPU, bytes and memory.

Starts PostgreSQL, Redis and one server on loopback, measures each process by itself, and ends them.
Shares of a core are what a plan is made of: they hold on other machines, rates on two cores do not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import httpx2

from scoreboard.identity.tokens import Tokens
from tests.support.backends import Postgres, Redis
from tests.support.server import SECRET, Server

PLAYERS = 5_000
CONNECTIONS = 64
SECONDS = 15
STREAMS = 1_000
FRAMES = 50
INTERVAL = 0.1  # seconds between two completions that each move the top 10
LOADED = 200_000  # players of a board when its memory is measured
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """CPU seconds of the three parts."""

    app: float
    postgres: float
    redis: float

    def since(self, before: Usage) -> Usage:
        """What was used from then on."""
        return Usage(*(now - then for now, then in zip(self, before, strict=True)))


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, with those of its children that have ended."""
    with contextlib.suppress(FileNotFoundError):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2].split()
        return sum(map(int, fields[11:15])) / TICK
    return 0.0


def children_of(pid: int) -> list[int]:
    """The processes that it started and that still run."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory_of(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * PAGE


class Parts:
    """Everything that runs."""

    def __init__(self, postgres: Postgres, redis: Redis, server: Server) -> None:
        self.postgres = postgres
        self.redis = redis
        self.server = server

    def usage(self) -> Usage:
        """CPU so far."""
        cluster = [self.postgres.pid, *children_of(self.postgres.pid)]
        return Usage(cpu_of(self.server.pid), sum(map(cpu_of, cluster)), cpu_of(self.redis.pid))

    def number(self, query: str) -> int:
        """One number out of PostgreSQL."""
        (row,) = self.postgres.fetch(query, database="costs")
        return int(row["it"])


def request(token: str, action: str = "solve-a-puzzle") -> bytes:
    """A completion with a key of its own, as bytes."""
    return (
        f"POST /api/v1/actions/{action}/complete HTTP/1.1\r\nHost: bench\r\n"
        f"Authorization: Bearer {token}\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


async def complete_for(parts: Parts, tokens: list[str], seconds: float) -> int:
    """Keep `CONNECTIONS` busy; gives how many were answered with a receipt."""
    end = time.monotonic() + seconds
    done = 0

    async def player(number: int) -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(*parts.server.address)
        turn = number
        while time.monotonic() < end:
            writer.write(request(tokens[turn % len(tokens)]))
            turn += CONNECTIONS
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
        writer.close()

    await asyncio.gather(*map(player, range(CONNECTIONS)))
    return done


async def completions(parts: Parts, tokens: list[str]) -> None:
    """What one completion costs each part, and what it leaves behind."""
    parts.postgres.execute(
        f"""
        INSERT INTO accounts
        SELECT 'player-' || lpad(n::text, 5, '0'), 'Player ' || n, 'player ' || n, NULL, 0
        FROM generate_series(0, {PLAYERS - 1}) AS n
        """,
        "costs",
    )
    await complete_for(parts, tokens, 5)  # so that everything is warm
    rows = parts.number("SELECT COUNT(*) AS it FROM action_log")
    wal = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS it"
    before, wal_before, began = parts.usage(), parts.number(wal), time.monotonic()
    done = await complete_for(parts, tokens, SECONDS)
    took, used = time.monotonic() - began, parts.usage().since(before)
    wal_bytes = parts.number(wal) - wal_before
    kept = parts.number("SELECT COUNT(*) AS it FROM action_log") - rows
    assert kept == done, f"{done} receipts and {kept} rows"
    print(f"completions: {done:,} in {took:.1f} s over {CONNECTIONS} connections, three boards")
    for part, seconds in used._asdict().items():
        print(f"  {part:9} {seconds / done * 1e6:6.0f} µs of a core each")
    print(f"  {wal_bytes / done:,.0f} bytes of PostgreSQL's write-ahead log each")
    for table in ("action_log", "scores"):
        size = parts.number(
            f"SELECT pg_total_relation_size('{table}') / COUNT(*) AS it FROM {table}"
        )
        print(f"  {size:,} bytes a row of {table}, with its indexes")


async def streams(parts: Parts, tokens: list[str]) -> None:
    """What a stream that is open costs, and a frame to each."""
    resting = memory_of(parts.server.pid)
    head = "GET /api/v1/leaderboard/stream HTTP/1.1\r\nHost: bench\r\n\r\n"
    received = 0
    open_streams = []

    async def follow() -> None:
        nonlocal received
        reader, writer = await asyncio.open_connection(*parts.server.address)
        open_streams.append(writer)
        writer.write(head.encode())
        while chunk := await reader.read(65_536):
            received += chunk.count(b"event: leaderboard_update")

    following = [asyncio.create_task(follow()) for _ in range(STREAMS)]
    while received < STREAMS:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.05)
    memory = (memory_of(parts.server.pid) - resting) / STREAMS
    before, first, published = parts.usage(), received, 0
    _, writer = await asyncio.open_connection(*parts.server.address)
    for turn in range(FRAMES):
        writer.write(request(tokens[turn % 10]))
        await asyncio.sleep(INTERVAL)
        published += 1
    await asyncio.sleep(1)
    used = parts.usage().since(before)
    frames = received - first
    print(f"streams: {STREAMS:,} open, {published} completions that moved the top 10")
    print(f"  {memory / 1024:.0f} KiB of the server's memory each")
    print(f"  {frames:,} frames, {used.app / frames * 1e6:.0f} µs of the server's core each")
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    for one in [*open_streams, writer]:
        one.close()


def players(parts: Parts) -> None:
    """What a player of one board costs Redis and PostgreSQL."""
    parts.postgres.execute(
        f"""
        INSERT INTO accounts
        SELECT md5(n::text), 'Player ' || n, 'seeded ' || n, NULL, 0
        FROM generate_series(1, {LOADED}) AS n;
        INSERT INTO scores
        SELECT 'all-time', '', md5(n::text), 1 + n % 1000, 1000000000 + n, 1
        FROM generate_series(1, {LOADED}) AS n;
        """,
        "costs",
    )
    before = int(dict(_info(parts.redis))["used_memory"])
    parts.redis.command("DEL", "scoreboard:{all-time}:mark")
    began = time.monotonic()
    while not parts.redis.command("EXISTS", "scoreboard:{all-time}:mark"):
        time.sleep(0.02)
    took = time.monotonic() - began
    memory = (int(dict(_info(parts.redis))["used_memory"]) - before) / LOADED
    print(f"players: {LOADED:,} loaded into Redis in {took:.1f} s, completions going on")
    print(f"  {memory:.0f} bytes of Redis each, on each board")


def _info(redis: Redis) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, _, value in (line.partition(":") for line in redis.command("INFO").splitlines())
    ]


def main() -> int:
    """Measure."""
    settings = {
        "SCOREBOARD_RATE_LIMIT": "1000000/minute",
        "SCOREBOARD_BROADCAST_INTERVAL_MS": "50",
        "SCOREBOARD_MAX_STREAMS_PER_ADDRESS": "20000",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        Postgres(fsync=True) as postgres,
        Redis() as redis,
        Server(
            Path(folder),
            clock="of the machine",
            DATABASE_URL=postgres.create_database("costs"),
            REDIS_URL=redis.url,
            **settings,
        ) as server,
    ):
        parts = Parts(postgres, redis, server)
        issue = Tokens([SECRET.encode()]).issue
        tokens = [issue(f"player-{n:05d}", seconds=3600) for n in range(PLAYERS)]
        version = postgres.fetch("SELECT version() AS it")[0]["it"].partition(" on ")[0]
        speaks = dict(_info(redis))["redis_version"]
        print(f"Python {sys.version.split()[0]}, {version}, Redis {speaks}")
        asyncio.run(completions(parts, tokens))
        asyncio.run(streams(parts, tokens))
        players(parts)
        assert httpx2.get(f"{server.url}/readyz").json()["status"] == "ok"
    return 0


if __name__ == "__main__":
    sys.exit(main())
