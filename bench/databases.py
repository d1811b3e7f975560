"""PostgreSQL and Redis for a part: one of each, and in them a fresh start for each contestant."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from bench.contestants import scoreboard
from bench.contestants.running import ROOT
from bench.load import Missing
from bench.processes import cpu_seconds
from tests.support.backends import Postgres, Redis, run

SCHEMA = ROOT / "bench" / "contestants" / "schema.sql"  # of the peers
SLOW_FSYNC = ROOT / "bench" / "slow_fsync.c"
PROBES = 10  # commits that show whether a disk is slow
SLOWER_MS = 5.0  # by which a slow disk takes longer to say that it has something


class SlowDisk(Postgres):
    """A PostgreSQL whose every fsync takes longer, by a library that comes before the kernel."""

    def _command(self) -> Sequence[str | Path]:
        env = shutil.which("env") or "/usr/bin/env"
        library = _slow_fsync()
        preloaded = [f"LD_PRELOAD={library}", f"SLOW_FSYNC_MS={SLOWER_MS}"]
        return [env, *preloaded, *super()._command()]


@dataclass(frozen=True)
class Fresh:
    """A database that nobody has used, and an emptied Redis."""

    postgres: Postgres
    name: str
    redis_url: str

    @property
    def url(self) -> str:
        """Of the database."""
        return self.postgres.url_of(self.name)

    @property
    def settings(self) -> dict[str, str]:
        """As a contestant is told."""
        return {"DATABASE_URL": self.url, "REDIS_URL": self.redis_url}

    def fetch(self, query: str) -> list[dict[str, Any]]:
        """What a query gives."""
        return self.postgres.fetch(query, database=self.name)


class Usage(NamedTuple):
    """CPU seconds."""

    postgres: float
    redis: float

    def since(self, before: Usage) -> Usage:
        """What was used from then on."""
        return Usage(self.postgres - before.postgres, self.redis - before.redis)


class Databases:
    """A PostgreSQL that is as safe as by default, and a Redis that keeps nothing on disk.

    Both run while the block does. Scoreboard's fresh databases begin with the players of `seed`.
    Raises `Missing` where a slow disk cannot be made.
    """

    def __init__(self, seed: scoreboard.Seed, *, is_slow: bool = False) -> None:
        self._seed = seed
        self._numbers = itertools.count(1)
        self._stack = ExitStack()
        durable = {"fsync": "on", "synchronous_commit": "on", "wal_sync_method": "fdatasync"}
        self.postgres = (SlowDisk if is_slow else Postgres)(fsync=True, options=durable)
        self.redis = Redis()

    def usage(self) -> Usage:
        """What the two have used so far."""
        return Usage(cpu_seconds(self.postgres.pid), cpu_seconds(self.redis.pid))

    def versions(self) -> dict[str, str]:
        """What they say they are."""
        postgres = self.postgres.fetch("SELECT version() AS it")[0]["it"].partition(" on ")[0]
        told = dict(line.partition(":")[::2] for line in self.redis.command("INFO").splitlines())
        name = told.get("server_name", "redis")
        return {"PostgreSQL": postgres, "Redis": f"{name} {told.get(f'{name}_version', '')}"}

    def check_slowness(self) -> None:
        """Raises `Missing` when a commit takes no longer than a disk may take by itself."""
        self.postgres.execute("CREATE TABLE IF NOT EXISTS probe (it INTEGER)")
        commits = "INSERT INTO probe VALUES (1); COMMIT; BEGIN; " * PROBES
        began = time.monotonic()
        self.postgres.execute(f"BEGIN; {commits} COMMIT")
        took = (time.monotonic() - began) / PROBES * 1000
        if took < SLOWER_MS:
            raise Missing(
                f"a slow disk: with {SLOW_FSYNC.name} before its fsync, PostgreSQL commits in "
                f"{took:.1f} ms, so the library was not loaded: {self.postgres.logged()[-300:]}"
            )

    def for_scoreboard(self) -> AbstractContextManager[Fresh]:
        """A database with Scoreboard's schema and its players."""
        return self._fresh("scoreboard", self._migrate)

    def for_peers(self) -> AbstractContextManager[Fresh]:
        """A database with the schema of the peers, and nothing in it."""
        return self._fresh("peers", self._load_schema)

    @contextmanager
    def _fresh(self, kind: str, fill: Callable[[str], None]) -> Iterator[Fresh]:
        template = f"{kind}-template"
        if not self.postgres.fetch("SELECT 1 FROM pg_database WHERE datname = $1", template):
            self.postgres.create_database(template)
            fill(template)
        name = f"{kind}-{next(self._numbers)}"
        self.postgres.create_database(name, template)
        self.redis.flush()
        self.postgres.execute("CHECKPOINT")  # none is due while somebody is measured
        try:
            yield Fresh(self.postgres, name, self.redis.url)
        finally:
            self.postgres.drop_database(name)

    def _migrate(self, database: str) -> None:
        scoreboard.migrate(self.postgres.url_of(database))
        self.postgres.execute(self._seed.sql(), database)
        self._tidy(database)

    def _load_schema(self, database: str) -> None:
        self.postgres.execute(SCHEMA.read_text("utf-8"), database)
        self._tidy(database)

    def _tidy(self, database: str) -> None:
        self.postgres.execute("VACUUM ANALYZE", database)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.postgres)
            stack.enter_context(self.redis)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


@cache
def _slow_fsync() -> Path:
    """The library, compiled. Raises `Missing` where that cannot be."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Missing("a C compiler (apt-get install gcc libc6-dev)")
    library = run().new_folder("slow-disk") / "slow_fsync.so"
    words = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    done = subprocess.run(
        [*words, "-o", library, SLOW_FSYNC, "-ldl"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Missing(f"a slow disk: {done.stderr.strip()[-300:]}")
    library.chmod(0o755)
    return library
