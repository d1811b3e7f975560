"""The schema's numbered steps: forward only, each in a transaction of its own."""

from __future__ import annotations

from functools import partial
from typing import Final

import anyio

from scoreboard.errors import Unavailable
from scoreboard.ledger import statements
from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database
from scoreboard.ledger.postgres_server import LOCKED
from scoreboard.periods import Clock, now_ms

# A step whose tables others hold gives up after two seconds, so that servers of the release before,
# which wait behind it, stay below their time limits. Then they have a moment, and it tries again:
# for some minutes, as long as a platform waits for a release.
TRIES: Final = 60
TRY_EVERY: Final = 1.0  # seconds


def newest(dialect: str) -> int:
    """The version that this code expects."""
    return max(step.version for step in statements.migrations(dialect))


async def version(database: Database) -> int:
    """The version of the schema in the database; 0 for an empty one."""

    return await database.write(_version)


async def migrate(database: Database, clock: Clock = now_ms) -> list[str]:
    """Bring the schema up to date; gives the names of the steps that were taken.

    Two processes may run it at once: each step looks again, inside its own transaction, whether it
    is still to be taken. Raises `Unavailable` when the database cannot be reached, or others hold
    its tables all the time.
    """
    return [
        f"{step.version:04d} {step.name}"
        for step in statements.migrations(database.dialect)
        if await _try(step, database, clock)
    ]


async def _try(step: statements.Migration, database: Database, clock: Clock) -> bool:
    for _ in range(TRIES - 1):
        try:
            return await database.write(partial(_take, step, clock()))
        except Unavailable as error:
            if not isinstance(error.__cause__, LOCKED):
                raise
        await anyio.sleep(TRY_EVERY)
    return await database.write(partial(_take, step, clock()))


async def _take(step: statements.Migration, now: int, transaction: Transaction) -> bool:
    if await _version(transaction) >= step.version:
        return False
    await transaction.script(step.text)
    await transaction.execute("migration_insert", version=step.version, name=step.name, now=now)
    return True


async def _version(transaction: Transaction) -> int:
    # Another process may be at it: a table that is made twice at once fails one of the two.
    await transaction.fetch("migrations_lock")
    await transaction.execute("migrations_table")
    row = await transaction.fetch_one("migrations_applied")
    return int(row["version"]) if row else 0
