"""What is driven: a server on one of the engines, and a look into its database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.backends import Postgres, Redis
from tests.support.server import Server

ENGINES: Final = ("sqlite + memory", "postgresql + redis")
SIGNING: Final = "a signing secret for random requests that is long enough"
SETTINGS: Final = {
    "SCOREBOARD_RATE_LIMIT": "10000/minute",
    "SCOREBOARD_AUTH_RATE_LIMIT": "10000/minute",
    "SCOREBOARD_SIGNING_SECRETS": SIGNING,
}

Row = dict[str, Any]


class Target(NamedTuple):
    """A running server. `fetch` gives the rows of a query, as its database has them."""

    engine: str
    server: Server
    fetch: Callable[[str], list[Row]]


@contextmanager
def open_target(engine: str, folder: Path, postgres: Postgres | None = None) -> Iterator[Target]:
    """A server on this engine, with databases of its own; PostgreSQL is started where none is
    given.
    """
    with ExitStack() as stack:
        if engine == "sqlite + memory":
            server = stack.enter_context(Server(folder, **SETTINGS))
            yield Target(engine, server, lambda query: _of_file(folder / "board.db", query))
            return
        backend = postgres or stack.enter_context(Postgres())
        backend.drop_database("fuzz")
        address = backend.create_database("fuzz")
        stack.callback(backend.drop_database, "fuzz")
        redis = stack.enter_context(Redis())
        server = stack.enter_context(
            Server(folder, DATABASE_URL=address, REDIS_URL=redis.url, **SETTINGS)
        )
        yield Target(engine, server, lambda query: backend.fetch(query, database="fuzz"))


def _of_file(path: Path, query: str) -> list[Row]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]
