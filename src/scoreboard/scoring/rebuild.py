"""The scores made anew from the log, which is the truth."""

from __future__ import annotations

from collections.abc import Collection

from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database
from scoreboard.periods import DAILY, WEEKLY, Clock


async def rebuild(database: Database, boards: Collection[str], clock: Clock) -> int:
    """Make the score rows from the log in one transaction; gives the number that had to change.

    Rows that were right stay as they are. A running server notices and loads its board again.
    """

    async def job(transaction: Transaction) -> int:
        corrected = await transaction.fetch(
            "rebuild_scores", daily=int(DAILY in boards), weekly=int(WEEKLY in boards)
        )
        orphaned = await transaction.fetch("rebuild_orphans")
        await transaction.execute("rebuild_finish", now=clock())
        return len(corrected) + len(orphaned)

    return await database.write(job)
