"""The scores made anew from the log, which is the truth."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database
from scoreboard.periods import DAILY, WEEKLY, Clock

SLICE: Final = 2_000  # accounts a transaction: their completions wait for a tenth of a second


class _Slice(NamedTuple):
    """What one transaction rebuilt: up to which account, how many, and how many rows were wrong."""

    upto: str
    accounts: int
    corrected: int


async def rebuild(
    database: Database,
    boards: Collection[str],
    clock: Clock,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Make the score rows from the log; gives the number that had to change.

    It goes through the accounts in slices, each locked for as long as it takes, so that completions
    go on meanwhile and the end is exact. Rows that were right stay as they are. Boards are loaded
    again when it is done. `progress` is told the number of accounts so far.
    """
    corrected = done = 0
    after = ""

    async def tell(transaction: Transaction) -> None:
        await transaction.execute("rebuild_finish", now=clock())

    async def rebuild_slice(transaction: Transaction) -> _Slice:
        one = await _rebuild(boards, after, transaction)
        if one.corrected and not corrected:
            await tell(transaction)  # the first time now: who is killed half-way has told it
        return one

    while (one := await database.write(rebuild_slice)).accounts:
        corrected, done, after = corrected + one.corrected, done + one.accounts, one.upto
        progress(done)
    await database.write(tell)
    return corrected


async def _rebuild(boards: Collection[str], after: str, transaction: Transaction) -> _Slice:
    accounts = await transaction.fetch("rebuild_slice", after=after, size=SLICE)
    if not accounts:
        return _Slice(after, 0, 0)
    upto = accounts[-1]["account_id"]
    corrected = await transaction.fetch(
        "rebuild_scores",
        after=after,
        upto=upto,
        daily=int(DAILY in boards),
        weekly=int(WEEKLY in boards),
    )
    orphaned = await transaction.fetch("rebuild_orphans", after=after, upto=upto)
    return _Slice(upto, len(accounts), len(corrected) + len(orphaned))
