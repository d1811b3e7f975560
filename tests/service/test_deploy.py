"""The Procfile's lines, run as a platform runs them: by a shell, with an environment and nothing
else, and ended by SIGTERM to every process, more than once.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from scoreboard.board.redis import link
from scoreboard.settings import POOL
from tests.support.backends import DATE, Postgres, Redis, free_port
from tests.support.server import PATIENCE, SECRET, RawStream, Server, eventually

ROOT = Path(__file__).resolve().parents[2]
PROCFILE = dict(
    re.findall(r"^(\w+):\s*(.+)$", (ROOT / "Procfile").read_text("utf-8"), re.MULTILINE)
)
WORKERS = 2
GONE_WITHIN = 10.0  # seconds; platforms kill after 10 (Docker) or 30 (Heroku)
ENDED_BY_SIGTERM = (0, 128 + signal.SIGTERM, -signal.SIGTERM)  # what a platform takes for clean
CONNECTIONS = 20  # of the smallest plans, PostgreSQL's and Redis'
STREAMS = 8  # enough that each worker has some
ACTIONS = {
    "actions": [
        {"actionId": "ship-it", "name": "Ship it", "points": 7, "repeat": "unlimited"},
    ]
}


class Web(Server):
    """The `web:` line in a process group of its own. Ends only the processes of that group."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder)
        self.env = {**env, "PORT": str(free_port())}
        self.url = f"http://127.0.0.1:{self.env['PORT']}"

    def launch(self) -> None:
        """Run the line."""
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", PROCFILE["web"]],
            cwd=self.folder,
            env=self.env,
            stdout=self.log,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )

    def start(self) -> Web:
        """Run the line, and wait until all workers serve."""
        self.launch()
        eventually(self.is_ready)
        return self

    def is_ready(self) -> bool:
        """Whether all workers serve; fails when it has ended instead."""
        assert self.process
        assert self.process.poll() is None, self.logged()
        with suppress(httpx2.TransportError):
            return f"scoreboard_workers {WORKERS}.0" in httpx2.get(f"{self.url}/metrics").text
        return False

    def group(self) -> list[int]:
        """The processes of the group that have not ended."""
        listed = subprocess.run(
            ["ps", "-axo", "pid=,pgid=,stat="], check=True, capture_output=True, text=True
        ).stdout
        rows = [line.split() for line in listed.splitlines()]
        return [
            int(pid) for pid, group, state in rows if int(group) == self.pid and state[0] != "Z"
        ]

    def terminate(self) -> None:
        """SIGTERM to all of them, twice, as Heroku does it."""
        for _ in range(2):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
            time.sleep(0.05)

    def stop(self) -> int:
        """End them in any case."""
        try:
            return super().stop()
        finally:
            if self.process and self.group():
                os.killpg(self.pid, signal.SIGKILL)


@pytest.fixture
def env(postgres_url: str, redis_url: str) -> dict[str, str]:
    """All that a platform gives."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "DATABASE_URL": postgres_url,
        "REDIS_URL": redis_url,
        "WEB_CONCURRENCY": str(WORKERS),
        "SCOREBOARD_JWT_SECRET": SECRET,
        "SCOREBOARD_TRUSTED_PROXY_HOPS": "1",
        **DATE,
    }


def run(line: str, env: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line to its end, as `release:` and one-off commands are run."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=folder,
        env={"PORT": str(free_port()), **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def release(env: Mapping[str, str], folder: Path) -> str:
    done = run(PROCFILE["release"], env, folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def released(env: dict[str, str], tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment, after a first release with actions."""
    assert "took step" in release(env, tmp_path)
    (tmp_path / "actions.json").write_text(json.dumps(ACTIONS), "utf-8")
    loaded = run("scoreboard actions load actions.json", env, tmp_path)
    assert loaded.stdout == "loaded 1 action\n", loaded.stderr
    yield env
    assert not list(tmp_path.rglob("*.db")), "the data went into a file"


def test_a_release_serves_and_ends_as_a_platform_wants_it(
    tmp_path: Path, released: dict[str, str]
) -> None:
    token = run("scoreboard token --user ada", released, tmp_path).stdout.strip()
    with Web(tmp_path / "web", released) as web, ExitStack() as stack:
        assert f"at http://0.0.0.0:{web.env['PORT']}" in web.logged()
        answer = httpx2.post(
            f"{web.url}/api/v1/actions/ship-it/complete",
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "1"},
        )
        assert (answer.status_code, answer.json()["newScore"], answer.json()["rank"]) == (200, 7, 1)
        ready = httpx2.get(f"{web.url}/readyz").json()
        assert ready == {"status": "ok", "database": "ok", "redis": "ok"}
        streams = [stack.enter_context(RawStream(web)) for _ in range(STREAMS)]
        for stream in streams:
            stream.read_until(b'"score":7')  # the other worker may learn of it a moment later
        assert len(web.group()) >= 1 + WORKERS
        began = time.monotonic()
        web.terminate()
        for stream in streams:
            farewell = stream.read_to_end()
            assert b"event: bye\ndata: {}\n\n" in farewell
            assert farewell.endswith(b"\r\n0\r\n\r\n"), "the chunked body must end properly"
        assert web.wait() in ENDED_BY_SIGTERM
        eventually(lambda: not web.group(), GONE_WITHIN)
        assert time.monotonic() - began < GONE_WITHIN
        assert "Traceback" not in web.logged()


def test_a_second_release_is_harmless(tmp_path: Path, released: dict[str, str]) -> None:
    """Also while the first one serves, and twice at once."""
    with Web(tmp_path / "web", released) as web:
        assert web.complete("ada", "ship-it", "1").status_code == 200
        with ThreadPoolExecutor(2) as pool:
            said = list(pool.map(lambda _: release(released, tmp_path), range(2)))
        assert not any("took step" in text for text in said)
        assert web.complete("ada", "ship-it", "2").json()["newScore"] == 14


def test_two_releases_side_by_side_fit_into_a_small_plan(
    tmp_path: Path, released: dict[str, str], postgres: Postgres, redis_server: Redis
) -> None:
    """The new one starts before the old one has gone: each has all of its connections then."""
    database = urlsplit(released["DATABASE_URL"]).path[1:]
    generous = {**released, "SCOREBOARD_RATE_LIMIT": "100000/minute"}

    def play(web: Web, number: int) -> int:
        with web.client() as client:
            names = [client.get("/actions").json()["actions"][0]["name"] for _ in range(5)]
        assert names == ["Ship it"] * 5
        answers = [web.complete(f"p{number}", "ship-it", f"{web.pid}-{turn}") for turn in range(5)]
        return sum(answer.status_code == 200 for answer in answers)

    with ExitStack() as stack:
        old, new = (stack.enter_context(Web(tmp_path / name, generous)) for name in ("old", "new"))
        threads = stack.enter_context(ThreadPoolExecutor(48))
        played = [threads.submit(play, (old, new)[turn % 2], turn) for turn in range(48)]
        assert sum(turn.result() for turn in played) == 48 * 5
        (row,) = postgres.fetch(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1"
            " AND application_name = 'scoreboard'",
            database,
        )
        assert 2 * WORKERS < row["count"] <= 2 * WORKERS * POOL < CONNECTIONS
        clients = len(redis_server.command("CLIENT", "LIST").strip().splitlines()) - 1  # itself
        assert 2 * WORKERS < clients <= 2 * WORKERS * (link.CONNECTIONS + 1)
        assert old.stop() in ENDED_BY_SIGTERM
        answer = new.complete("ada", "ship-it", "last")
        assert (answer.status_code, answer.json()["newScore"]) == (200, 7)


def test_the_health_check_of_the_image_tells_up_from_down(
    tmp_path: Path, released: dict[str, str]
) -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    (found,) = re.findall(r"^HEALTHCHECK [^\[]*CMD (\[.*\])$", text, re.MULTILINE)
    python, *words = json.loads(found)
    assert python == "python"

    def check(env: Mapping[str, str]) -> int:
        # A proxy of the environment is for the world outside of the container.
        env = {"PORT": env["PORT"], "http_proxy": "http://127.0.0.1:1"}
        command = [sys.executable, *words]
        return subprocess.run(command, env=env, capture_output=True, check=False).returncode

    with Web(tmp_path / "web", released) as web:
        assert check(web.env) == 0
    assert check(web.env) != 0


def refused(env: Mapping[str, str], folder: Path) -> str:
    """Run the `web:` line, which has to end with one line that says why."""
    done = run(PROCFILE["web"], env, folder)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_without_the_schema_it_refuses_in_one_line(tmp_path: Path, env: dict[str, str]) -> None:
    assert refused(env, tmp_path).endswith("run `scoreboard migrate` first")


def test_an_older_release_refuses_a_newer_schema(
    tmp_path: Path, released: dict[str, str], postgres: Postgres
) -> None:
    """What a rollback across a migration meets."""
    postgres.execute(
        "INSERT INTO schema_migrations VALUES (9999, 'of_tomorrow', 0)",
        database=urlsplit(released["DATABASE_URL"]).path[1:],
    )
    assert refused(released, tmp_path).endswith("run a newer Scoreboard")


def test_processes_that_the_platform_asks_for_need_redis(
    tmp_path: Path, env: dict[str, str]
) -> None:
    without = {name: value for name, value in env.items() if name != "REDIS_URL"}
    line = refused(without, tmp_path)
    assert line.startswith("scoreboard: WEB_CONCURRENCY: 2 processes would each")
    assert "set this to 1" in line
    failed = run(PROCFILE["release"], without, tmp_path)
    assert (failed.returncode, failed.stderr) == (2, f"{line}\n")


def test_without_a_database_of_the_platform_nothing_is_served_from_a_disk_that_is_thrown_away(
    tmp_path: Path, env: dict[str, str]
) -> None:
    without = {name: value for name, value in env.items() if name != "DATABASE_URL"}
    assert refused(without, tmp_path).startswith("scoreboard: REDIS_URL: is for many processes")
