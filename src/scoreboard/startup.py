"""What must be right before anything is served, and who may serve at all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Final

import anyio

from scoreboard.addresses import SqliteFile
from scoreboard.board.redis.link import leads_to_cluster_node
from scoreboard.errors import AlreadyServed, SettingsError, Unavailable
from scoreboard.ledger import migrations, postgresql
from scoreboard.ledger.database import Database, open_database, served_alone
from scoreboard.ledger.postgres_server import MISCONFIGURED, TakenError
from scoreboard.settings import Settings

# Seconds for the server before this one to end: platforms stop the old when they start the new.
TAKEN_WAIT: Final = 6.0
TAKEN_EVERY: Final = 0.2  # seconds between two tries to have its lock
CHECK_EVERY: Final = 1.0  # seconds between looks at a database that was away at the start


@asynccontextmanager
async def open_checked_database(
    settings: Settings, *, patient: bool = False
) -> AsyncIterator[Database]:
    """The database of the settings, with the schema that this code expects.

    With `patient` a statement may take as long as it needs. Raises `SettingsError` when the
    database cannot be reached, its file is not there, or its schema is another one.
    """
    _check_file(settings)
    async with AsyncExitStack() as stack:
        try:
            database = await stack.enter_async_context(open_database(settings, patient=patient))
            await check_schema(database)
        except Unavailable as error:
            raise unreachable(settings, error) from error
        yield database


def _check_file(settings: Settings) -> None:
    """Raises `SettingsError` when there is no file: to open it would make an empty one, in whatever
    folder the command was run.
    """
    address = settings.database
    if isinstance(address, SqliteFile) and not address.path.exists():
        raise SettingsError(
            "DATABASE_URL",
            f"there is no database {address.path.absolute()}: run this in the folder of the "
            "database, or `scoreboard migrate` to make one",
        )


async def check_schema(database: Database) -> None:
    """Raises `SettingsError` when the schema is not the expected one, `Unavailable` when the
    database cannot be reached.
    """
    found, expected = await migrations.version(database), migrations.newest(database.dialect)
    if found < expected:
        raise SettingsError(
            "DATABASE_URL",
            f"the schema of {database.address} is at step {found} of {expected}; "
            "run `scoreboard migrate` first",
        )
    if found > expected:
        raise SettingsError(
            "DATABASE_URL",
            f"the schema of {database.address} is at step {found}, newer than this "
            f"version knows ({expected}); run a newer Scoreboard",
        )


async def check_database(settings: Settings, database: Database) -> None:
    """Raises `SettingsError` when the schema is not the expected one, or when another server runs
    where one alone may and does not end soon; `Unavailable` when the database cannot be reached.
    """
    await check_schema(database)
    end = time.monotonic() + TAKEN_WAIT
    while settings.redis is None and database.dialect == postgresql.DIALECT:
        try:
            await database.append("ping")  # which takes the lock
        except Unavailable as error:
            if not isinstance(error.__cause__, TakenError):
                raise
            if time.monotonic() > end:
                raise AlreadyServed(
                    "DATABASE_URL", f"another server runs on {database.address}"
                ) from error
            await anyio.sleep(TAKEN_EVERY)
        else:
            return


def unreachable(settings: Settings, error: Unavailable) -> SettingsError:
    """What stops a command that needs its database now."""
    if isinstance(settings.database, SqliteFile):
        return SettingsError("DATABASE_URL", str(error))
    why = str(error.__cause__ or error) or type(error.__cause__).__name__
    return SettingsError("DATABASE_URL", f"{settings.database} cannot be used: {why}")


async def check_start(settings: Settings) -> None:
    """What can be seen before serving: raises `SettingsError` when the schema is another one, when
    another server runs where one alone may and does not end soon, or when the operator has to mend
    a setting. A PostgreSQL that is merely away is waited for while serving.
    """
    with alone_on(settings):
        pass
    if settings.redis and await leads_to_cluster_node(settings.redis):
        raise SettingsError(
            "REDIS_URL",
            f"{settings.redis} is one node of a cluster and holds a part of the keys: use a Redis "
            "that is not a cluster",
        )
    if isinstance(settings.database, SqliteFile):
        async with open_checked_database(settings):
            return
    async with open_database(settings, alone=settings.redis is None) as database:
        try:
            await check_database(settings, database)
        except Unavailable as error:
            if isinstance(error.__cause__, MISCONFIGURED):
                raise unreachable(settings, error) from error


@contextmanager
def alone_on(settings: Settings) -> Iterator[None]:
    """Be the one server of a SQLite file. Raises `SettingsError` when there is another."""
    if not isinstance(settings.database, SqliteFile):
        yield  # PostgreSQL holds the lock itself
        return
    path = settings.database.path
    with ExitStack() as stack:
        try:
            stack.enter_context(served_alone(path))
        except BlockingIOError as error:
            raise AlreadyServed("DATABASE_URL", f"another server runs on {path}") from error
        except OSError as error:
            raise SettingsError("DATABASE_URL", f"{path}: {error.strerror}") from error
        yield


async def check_database_later(settings: Settings, database: Database) -> None:
    """Check a database that was away at the start, as soon as it is there. Raises `SettingsError`
    for what would have stopped the start.
    """
    while True:
        await anyio.sleep(CHECK_EVERY)
        with suppress(Unavailable):
            await check_database(settings, database)
            return
