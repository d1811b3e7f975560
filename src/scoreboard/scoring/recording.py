"""The way of a batch: look up, decide, append and add in one transaction, then the board."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

from scoreboard import periods
from scoreboard.board import Board, Total
from scoreboard.errors import AlreadyCompleted
from scoreboard.ledger.connection import RowError, Transaction
from scoreboard.ledger.database import Database
from scoreboard.periods import Clock, Period
from scoreboard.scoring.completion import Answer, Completion, Receipt
from scoreboard.scoring.rules import Decision, Known, Recorded, Repeated, Replayed, decide


class Committed(NamedTuple):
    """What one transaction left behind: the decisions, the receipts by log id, the new totals."""

    decisions: Sequence[Decision]
    receipts: dict[int, Receipt]
    totals: Sequence[Total]


class Recorder:
    """Records batches of completions. `record` is what a `Batcher` flushes into."""

    def __init__(
        self,
        database: Database,
        board: Board,
        *,
        boards: Collection[str],
        clock: Clock,
        changed: Callable[[Collection[str]], None],
    ) -> None:
        self._database = database
        self._board = board
        self._boards = boards
        self._clock = clock
        self._changed = changed

    async def record(self, completions: Sequence[Completion]) -> Sequence[Answer | Exception]:
        """Record a batch durably and give each completion its answer or its error.

        An error of the database that is not about one row's data is raised for the whole batch, of
        which nothing is then acknowledged.
        """
        try:
            committed = await self._database.write(partial(self._commit, completions))
        except RowError as error:
            if len(completions) == 1:
                return [error]
            # One row is bad and took the batch with it: each alone tells which.
            return [answer for one in completions for answer in await self.record([one])]
        applied = await self._board.apply(
            committed.totals, ask={completion.account.account_id for completion in completions}
        )
        self._changed(applied.changed)
        return [
            _answer(decision, committed.receipts, applied.ranks[completion.account.account_id])
            for completion, decision in zip(completions, committed.decisions, strict=True)
        ]

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
        return Committed(decisions, receipts, totals)

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


def _answer(
    decision: Decision, receipts: dict[int, Receipt], rank: int | None
) -> Answer | Exception:
    match decision:
        case Recorded():
            return Answer(receipts[decision.log_id], rank)
        case Replayed():
            return Answer(receipts[decision.log_id], rank, replayed=True)
        case Repeated():
            first = Answer(receipts[decision.log_id], rank)
            return AlreadyCompleted("This action is already completed.", first.to_json())
    return decision
