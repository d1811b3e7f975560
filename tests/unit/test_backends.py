"""The servers that other tests rely on start, die, freeze and vanish as those tests believe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import backends
from tests.support.backends import Backend, Postgres, Redis
from tests.support.server import eventually

# A test run that starts both, freezes one, says what it has, and waits for the end.
ANOTHER_RUN = """
import json
from tests.support.backends import Postgres, Redis, run, _processes
postgres, redis = Postgres().start(), Redis().start()
children = [pid for pid, (_, parent) in _processes().items() if parent == postgres.pid]
postgres.freeze()
folders = [str(run().on_disk), str(run().in_memory)]
print(json.dumps([folders, [redis.pid, postgres.pid, *children]]), flush=True)
input()
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis(persistence="appendonly") as server:
        yield server


def alive(*pids: int) -> list[int]:
    """Which of them are there, waited for or not."""
    return [pid for pid in pids if backends._state(pid) not in ("", "Z")]


def family(server: Backend) -> list[int]:
    """A server's process and its children."""
    everybody = backends._processes().items()
    return [server.pid, *(pid for pid, (_, parent) in everybody if parent == server.pid)]


def test_postgresql_keeps_its_data_and_its_port(postgres: Postgres) -> None:
    url = postgres.create_database("kept", template="template0")
    postgres.execute("CREATE TABLE numbers (n int); INSERT INTO numbers VALUES (1)", "kept")
    postgres.restart()
    postgres.execute("INSERT INTO numbers VALUES (2)", "kept")
    relatives = family(postgres)
    assert len(relatives) > 3
    postgres.kill()
    assert not alive(*relatives)
    postgres.start()
    rows = postgres.fetch("SELECT n FROM numbers WHERE n < $1", 3, database="kept")
    assert rows == [{"n": 1}, {"n": 2}]
    assert postgres.url_of("kept") == url


def test_a_database_is_copied_and_dropped(postgres: Postgres) -> None:
    postgres.create_database('a "template" é')
    postgres.execute("CREATE TABLE copied ()", 'a "template" é')
    postgres.create_database("copy", 'a "template" é')
    assert postgres.fetch("SELECT * FROM copied", database="copy") == []
    for name in ("copy", 'a "template" é', "never made"):
        postgres.drop_database(name)
    names = [row["datname"] for row in postgres.fetch("SELECT datname FROM pg_database")]
    assert not {"copy", 'a "template" é'}.intersection(names)


@pytest.mark.parametrize("fsync", [True, False])
def test_only_fault_tests_write_to_the_disk(fsync: bool) -> None:
    with Postgres(fsync=fsync) as server:
        assert server.fetch("SHOW fsync") == [{"fsync": "on" if fsync else "off"}]


def test_a_frozen_server_keeps_its_port_but_does_not_answer(
    postgres: Postgres, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for server, ask in (
        (postgres, lambda: postgres.fetch("SELECT 1")),
        (redis, lambda: redis.command("PING")),
    ):
        server.freeze()
        with monkeypatch.context() as impatient:
            impatient.setattr(backends, "PATIENCE", 0.2)
            with pytest.raises(TimeoutError):
                ask()
        server.thaw()
        ask()


def test_a_frozen_server_can_be_killed_and_stopped(postgres: Postgres, redis: Redis) -> None:
    for server in (postgres, redis):
        for end in (server.kill, server.stop):
            relatives = family(server)
            server.freeze()
            end()
            assert not alive(*relatives)
            assert not server.running
            server.start()


def test_redis_keeps_what_it_holds_where_it_is_told_to(redis: Redis) -> None:
    redis.command("SET", "kept", "é")
    redis.kill()
    redis.start()
    assert redis.command("GET", "kept") == "é"
    with pytest.raises(RuntimeError, match="WRONGTYPE"):
        redis.command("LPUSH", "kept", 1)
    redis.flush()
    assert redis.command("GET", "kept") is None

    with Redis(persistence="rdb") as snapshots:
        snapshots.command("SET", "kept", 1)
        snapshots.restart()
        snapshots.command("SET", "lost", 2)
        snapshots.kill()
        snapshots.start()
        assert snapshots.command("MGET", "kept", "lost") == ["1", None]

    with Redis() as cache:
        cache.command("SADD", "lost", 1)
        cache.restart()
        assert cache.command("KEYS", "*") == []


def test_a_server_that_does_not_start_shows_its_log() -> None:
    with (
        pytest.raises(AssertionError, match=r"redis did not start\n(.*\n)*.*no-such-option"),
        Redis(options={"no-such-option": "1"}),
    ):
        pass


def test_a_taken_port_is_given_up(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the answers of whoever took it are not mistaken for its own."""
    free = backends.free_port()
    ports = iter([redis.port, free])
    monkeypatch.setattr(backends, "free_port", lambda: next(ports))
    with Redis() as other:
        assert other.port == free


def test_a_missing_server_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "DEBIAN", tmp_path)
    monkeypatch.setattr(backends, "_package", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    for find, package in (
        (backends.postgres_binaries, "postgresql"),
        (backends.redis_binary, "redis-server"),
    ):
        with pytest.raises(RuntimeError, match=rf"^no .* to test with: .* install {package}\)$"):
            find.__wrapped__()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_survives_the_test_run(end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER_RUN],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as another:
        assert another.stdout
        folders, pids = json.loads(another.stdout.readline())
        try:
            assert len(pids) > 3
            assert alive(*pids) == pids
            os.kill(another.pid, end)
            another.wait(backends.PATIENCE)
            eventually(lambda: not alive(*pids) and not any(map(os.path.exists, folders)))
        finally:
            for pid in alive(*pids):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
