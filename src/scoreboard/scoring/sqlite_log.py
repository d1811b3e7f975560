"""The log on SQLite: looked up, decided in Python, appended and added, inside one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import partial

from scoreboard import periods
from scoreboard.board import Total
from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database
from scoreboard.periods import Clock, Period
from scoreboard.scoring.completion import Completion, Receipt
from scoreboard.scoring.log import Committed, Outcome
from scoreboard.scoring.rules import Decision, Known, Recorded, Refused, Repeated, Replayed, decide


class SqliteLog:
    """`ActionLog` on SQLite, which has one writer: what was looked up is still true when the rows
    are written.
    """

    def __init__(self, database: Database, *, boards: Collection[str], clock: Clock) -> None:
        self._database = database
        self._boards = boards
        self._clock = clock

    async def append(self, completions: Sequence[Completion]) -> Committed:
        """As `ActionLog.append`."""
        return await self._database.write(partial(self._commit, completions))

    async def _commit(
        self, completions: Sequence[Completion], transaction: Transaction
    ) -> Committed:
        # One instant a batch sets the time, the day and the week of all its rows.
        now = self._clock()
        day, week = periods.day_name(now), periods.week_name(now)
        decisions = await self._decide(transaction, completions, day)
        recorded = [decision for decision in decisions if isinstance(decision, Recorded)]
        receipts = {
            row.log_id: Receipt(
                row.log_id, row.completion.action_id, row.points, row.new_score, now
            )
            for row in recorded
        }
        totals: list[Total] = []
        if recorded:
            await transaction.execute(
                "completions_insert",
                rows=json.dumps([_log_row(row) for row in recorded]),
                completed_at_ms=now,
                day=day,
                week=week,
            )
            totals = await self._add(transaction, recorded, now)
        earlier = {
            decision.log_id
            for decision in decisions
            if isinstance(decision, (Replayed, Repeated)) and decision.log_id not in receipts
        }
        if earlier:
            rows = await transaction.fetch("receipts", log_ids=json.dumps(sorted(earlier)))
            receipts |= {row["log_id"]: Receipt.of(row) for row in rows}
        return Committed([_outcome(decision, receipts) for decision in decisions], totals)

    async def _decide(
        self, transaction: Transaction, completions: Sequence[Completion], day: str
    ) -> list[Decision]:
        asked = [
            (completion.account.account_id, completion.action_id, completion.idempotency_key)
            for completion in completions
        ]
        rows = await transaction.fetch("completions_lookup", batch=json.dumps(asked), day=day)
        known = {
            row["position"]: Known(
                row["points"],
                row["repeat"],
                row["total"],
                row["keyed_log_id"],
                row["keyed_fingerprint"],
                row["slotted_log_id"],
            )
            for row in rows
        }
        return decide(
            completions,
            [known[position] for position in range(len(completions))],
            day=day,
            last_log_id=rows[0]["last_log_id"],
        )

    async def _add(
        self, transaction: Transaction, recorded: Sequence[Recorded], now: int
    ) -> list[Total]:
        added: dict[tuple[str, str, str], tuple[int, int]] = {}
        usernames: dict[str, str] = {}
        for board in self._boards:
            period = periods.current(board, now)
            for row in recorded:
                account = row.completion.account
                usernames[account.account_id] = account.username
                points, _ = added.get((*period, account.account_id), (0, 0))
                added[*period, account.account_id] = (points + row.points, row.log_id)
        rows = await transaction.fetch(
            "scores_add", rows=json.dumps([[*key, *value] for key, value in added.items()])
        )
        return [
            Total(
                Period(row["board"], row["period"]),
                row["account_id"],
                usernames[row["account_id"]],
                row["total"],
                row["reached_log_id"],
                row["version"],
            )
            for row in rows
        ]


def _log_row(row: Recorded) -> list[object]:
    completion = row.completion
    return [
        row.log_id,
        completion.account.account_id,
        completion.action_id,
        row.slot,
        completion.idempotency_key,
        completion.fingerprint,
        completion.data,
        row.points,
        row.new_score,
    ]


def _outcome(decision: Decision, receipts: dict[int, Receipt]) -> Outcome | Refused:
    match decision:
        case Recorded(log_id=log_id):
            return Outcome("recorded", receipts[log_id])
        case Replayed(log_id=log_id):
            return Outcome("replayed", receipts[log_id])
        case Repeated(log_id=log_id):
            return Outcome("repeated", receipts[log_id])
    return decision
