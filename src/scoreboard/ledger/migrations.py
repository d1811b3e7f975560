"""The schema's numbered steps: forward only, each in a transaction of its own."""

from __future__ import annotations

from functools import partial

from scoreboard.ledger import statements
from scoreboard.ledger.connection import DIALECT, Transaction
from scoreboard.ledger.database import Database
from scoreboard.periods import Clock, now_ms


def newest() -> int:
    """The version that this code expects."""
    return max(step.version for step in statements.migrations(DIALECT))


async def version(database: Database) -> int:
    """The version of the schema in the database; 0 for an empty one."""

    async def read(transaction: Transaction) -> int:
        await transaction.execute("migrations_table")
        row = await transaction.fetch_one("migrations_applied")
        return int(row["version"]) if row else 0

    return await database.write(read)


async def migrate(database: Database, clock: Clock = now_ms) -> list[str]:
    """Bring the schema up to date; gives the names of the steps that were taken.

    Two processes may run it at once: each step looks again, inside its own transaction, whether it
    is still to be taken.
    """
    return [
        f"{step.version:04d} {step.name}"
        for step in statements.migrations(DIALECT)
        if await database.write(partial(_take, step, clock()))
    ]


async def _take(step: statements.Migration, now: int, transaction: Transaction) -> bool:
    await transaction.execute("migrations_table")
    row = await transaction.fetch_one("migrations_applied")
    if row and int(row["version"]) >= step.version:
        return False
    await transaction.script(step.statements)
    await transaction.execute("migration_insert", version=step.version, name=step.name, now=now)
    return True
