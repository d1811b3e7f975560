"""The log on PostgreSQL: one statement a batch, decided by `record_completions` under its locks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from scoreboard import periods
from scoreboard.board import Total
from scoreboard.errors import RequestError
from scoreboard.ledger.connection import Row
from scoreboard.ledger.database import Database
from scoreboard.periods import Clock
from scoreboard.scoring import rules
from scoreboard.scoring.completion import Completion, Receipt
from scoreboard.scoring.log import Committed, Outcome

_REFUSALS: Final = {
    "invalid_action": rules.invalid_action,
    "key_required": rules.key_required,
    "reused": rules.key_reused,
}


class PostgresLog:
    """`ActionLog` on PostgreSQL. Without a clock the database's own sets the instant of a batch, so
    that it is the same for all processes.
    """

    def __init__(
        self, database: Database, *, boards: Collection[str], clock: Clock | None = None
    ) -> None:
        self._database = database
        self._boards = list(boards)
        self._clock = clock

    async def append(self, completions: Sequence[Completion]) -> Committed:
        """As `ActionLog.append`."""
        rows = await self._database.append(
            "completions_record",
            account_ids=[one.account.account_id for one in completions],
            action_ids=[one.action_id for one in completions],
            keys=[one.idempotency_key for one in completions],
            fingerprints=[one.fingerprint for one in completions],
            datas=[one.data for one in completions],
            boards=self._boards,
            at_ms=self._clock() if self._clock else None,
        )
        # A later row of the same account and board has the newer total.
        totals = {
            (total.period, total.account_id): total
            for one, row in zip(completions, rows, strict=True)
            if row["outcome"] == "recorded"
            for total in self._totals(one, row)
        }
        return Committed([_outcome(row) for row in rows], list(totals.values()))

    def _totals(self, one: Completion, row: Row) -> list[Total]:
        return [
            Total(
                periods.current(board, row["completed_at_ms"]),
                one.account.account_id,
                one.account.username,
                total,
                row["log_id"],
                version,
            )
            for board, total, version in zip(
                self._boards, row["totals"], row["versions"], strict=True
            )
        ]


def _outcome(row: Row) -> Outcome | RequestError:
    if refuse := _REFUSALS.get(row["outcome"]):
        return refuse()
    return Outcome(row["outcome"], Receipt.of(row))
