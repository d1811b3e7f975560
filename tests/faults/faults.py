"""What can go wrong: each fault is made with the real thing, lasts a while, and is over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx2

from tests.support.server import Server, eventually
from tests.support.site import Site

HELD = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


class Fault(NamedTuple):
    """A fault: what it does, until it is over, and what the servers say while it lasts."""

    make: Callable[[Site, float], None]
    about: str


def postgres_killed(site: Site, seconds: float) -> None:
    site.postgres.kill()
    _while_the_database_is_away(site, seconds)
    site.postgres.start()


def postgres_stopped(site: Site, seconds: float) -> None:
    site.postgres.stop()
    _while_the_database_is_away(site, seconds)
    site.postgres.start()


def postgres_frozen(site: Site, seconds: float) -> None:
    site.postgres.freeze()
    time.sleep(max(seconds, 5))  # longer than every wait for it
    _while_the_database_is_away(site, 0.5)
    site.postgres.thaw()


def postgres_cut_off(site: Site, seconds: float) -> None:
    """Every connection is cut, again and again, in the middle of statements."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        site.postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'scoreboard'"
        )
        time.sleep(0.1)


def row_locked(site: Site, seconds: float) -> None:
    """A transaction holds a player's row and does not end; everyone else goes on."""
    player = site.chance.choice(site.crowd.players)
    hold = (
        f"BEGIN; SELECT 1 FROM accounts WHERE account_id = '{player.account_id}' FOR UPDATE; "
        f"SELECT pg_sleep({seconds}); COMMIT"
    )
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(site.postgres.execute, hold, "site")
        eventually(lambda: site.postgres.fetch(HELD))
        site.acknowledged(20)
        held.result()


def _while_the_database_is_away(site: Site, seconds: float) -> None:
    """Quick 503s that say when to come back; boards and streams are still there."""
    watching = [(watcher, watcher.ends) for watcher in site.watchers]
    end = time.monotonic() + seconds
    for server in site.servers:
        eventually(lambda server=server: "away" in site.readiness(server))
    while time.monotonic() < end:
        for server in site.servers:
            began = time.monotonic()
            answer = server.complete("player-000", key="while-away")
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
            assert time.monotonic() - began < 2, "a 503 that took its time"
            board = httpx2.get(f"{server.url}/api/v1/leaderboard", timeout=5)
            assert board.status_code == 200
            assert board.json()["users"], "the last board is gone"
    for watcher, ends in watching:
        assert watcher.ends == ends, "a stream was closed"


def redis_killed(site: Site, seconds: float) -> None:
    """And comes back empty."""
    site.redis.command("FLUSHALL")
    site.redis.command("SAVE")
    site.redis.kill()
    _while_redis_is_away(site, seconds)
    site.redis.start()


def redis_stale(site: Site, seconds: float) -> None:
    """It comes back with what it knew some seconds ago, as after a failover to a late replica."""
    site.redis.command("SAVE")
    time.sleep(seconds)
    site.redis.kill()
    site.redis.start()


def redis_frozen(site: Site, seconds: float) -> None:
    site.redis.freeze()
    _while_redis_is_away(site, seconds)
    site.redis.thaw()


def redis_flushed(site: Site, seconds: float) -> None:
    site.redis.flush()
    time.sleep(seconds)


def _while_redis_is_away(site: Site, seconds: float) -> None:
    """Completions go on without a rank, and the board is served from SQL."""
    end = time.monotonic() + seconds
    for server in site.servers:
        eventually(lambda server=server: "away" in site.readiness(server))
    site.acknowledged(20)
    while time.monotonic() < end:
        for server in site.servers:
            began = time.monotonic()
            board = httpx2.get(f"{server.url}/api/v1/leaderboard", timeout=5)
            assert board.status_code == 200
            assert board.json()["users"]
            assert time.monotonic() - began < 2


def server_killed(site: Site, seconds: float) -> None:
    server = site.chance.choice(site.servers)
    if server.settings["WEB_CONCURRENCY"] != "1":
        worker_killed(site, seconds)
        return
    server.kill()
    time.sleep(seconds)
    server.start()


def worker_killed(site: Site, seconds: float) -> None:
    """One of the processes of a server, which gets another."""
    for server in site.servers:
        if server.settings["WEB_CONCURRENCY"] != "1":
            os.kill(site.chance.choice(workers_of(server)), signal.SIGKILL)
    time.sleep(seconds)


def server_restarted(site: Site, seconds: float) -> None:
    """As a platform deploys: SIGTERM, twice, and a new one."""
    server = site.chance.choice(site.servers)
    server.terminate()
    server.terminate()
    assert server.wait() in (0, -signal.SIGTERM)
    server.start()
    time.sleep(seconds)


def workers_of(server: Server) -> list[int]:
    """The processes that serve, which are children of the one that was started."""
    listed = open(f"/proc/{server.pid}/task/{server.pid}/children").read()  # noqa: PTH123, SIM115
    return [
        int(pid)
        for pid in listed.split()
        if b"spawn_main" in open(f"/proc/{pid}/cmdline", "rb").read()  # noqa: PTH123
    ]


FAULTS = {
    "postgres killed": postgres_killed,
    "postgres restarted": postgres_stopped,
    "postgres frozen": postgres_frozen,
    "postgres cut off": postgres_cut_off,
    "a locked row": row_locked,
    "redis killed, empty": redis_killed,
    "redis back in time": redis_stale,
    "redis frozen": redis_frozen,
    "redis flushed": redis_flushed,
    "server killed": server_killed,
    "server restarted": server_restarted,
}
