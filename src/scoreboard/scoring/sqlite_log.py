"""The log on SQLite: looked up, decided in Python, appended and added, inside one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import partial

from scoreboard import periods
from scoreboard.board import Total
from scoreboard.ledger import audit
from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database, Lane
from scoreboard.periods import ALL_TIME, DAILY, Clock, Period
from scoreboard.scoring.completion import Change, Completion, Receipt, Submission
from scoreboard.scoring.log import Committed, Outcome
from scoreboard.scoring.refusals import Refused
from scoreboard.scoring.rules import (
    Decided,
    Decision,
    Instant,
    Recorded,
    Repeated,
    Replayed,
    decide,
)
from scoreboard.scoring.sqlite_lookup import look_up


class SqliteLog:
    """`ActionLog` on SQLite, which has one writer: what was looked up is still true when the rows
    are written.
    """

    def __init__(self, database: Database, *, boards: Collection[str], clock: Clock) -> None:
        self._database = database
        self._boards = boards
        self._clock = clock

    async def append(self, batch: Sequence[Submission], lane: Lane = "main") -> Committed:  # noqa: ARG002
        """As `ActionLog.append`. There is one lane, since SQLite has one writer."""
        return await self._database.write(partial(self._commit, batch))

    async def now(self) -> int:
        """As `ActionLog.now`."""
        return self._clock()

    async def _commit(self, batch: Sequence[Submission], transaction: Transaction) -> Committed:
        # One instant a batch sets the time, the day and the week of all its rows.
        now = self._clock()
        instant = Instant(now, periods.day_name(now), periods.week_name(now))
        before = await look_up(transaction, batch, instant)
        decided = decide(
            batch,
            [before.known[place] for place in range(len(batch))],
            instant=instant,
            last_log_id=before.last_log_id,
        )
        recorded = [one for one in decided.decisions if isinstance(one, Recorded)]
        receipts = {
            row.log_id: Receipt(row.log_id, row.action_id, row.points, row.new_score, now)
            for row in recorded
        }
        totals: list[Total] = []
        if recorded:
            await _append(transaction, recorded, decided, now)
            totals = await self._add(transaction, recorded, before.hidden, instant)
        earlier = {
            decision.log_id
            for decision in decided.decisions
            if isinstance(decision, (Replayed, Repeated)) and decision.log_id not in receipts
        }
        if earlier:
            rows = await transaction.fetch("receipts", log_ids=json.dumps(sorted(earlier)))
            receipts |= {row["log_id"]: Receipt.of(row) for row in rows}
        return Committed([_outcome(one, receipts) for one in decided.decisions], totals)

    async def _add(
        self,
        transaction: Transaction,
        recorded: Sequence[Recorded],
        hidden: set[str],
        instant: Instant,
    ) -> list[Total]:
        """Add what was recorded to the score rows, and hide and unhide; gives the rows that changed
        as boards show them.
        """
        added: dict[tuple[str, str, str], tuple[int, int]] = {}
        usernames: dict[str, str] = {}
        touched: set[str] = set()
        for row in recorded:
            account_id, username = row.submission.account
            usernames[account_id] = username
            if _sets_hidden(row.submission):
                touched.add(account_id)
                await _hide(transaction, row.submission, hidden, instant.ms)
                continue
            for board in self._boards:
                key = (board, _period_name(board, row.day, row.week), account_id)
                points, _ = added.get(key, (0, 0))
                added[key] = (points + row.points, row.log_id)
        rows = await transaction.fetch(
            "scores_add", rows=json.dumps([[*key, *value] for key, value in added.items()])
        )
        for account_id in touched:
            for board in self._boards:
                rows += await transaction.fetch(
                    "scores_touch",
                    board=board,
                    period=_period_name(board, instant.day, instant.week),
                    account_id=account_id,
                )
        # A later row of the same account and board has the newer version.
        totals = {
            (row["board"], row["period"], row["account_id"]): Total(
                Period(row["board"], row["period"]),
                row["account_id"],
                usernames[row["account_id"]],
                0 if row["account_id"] in hidden else row["total"],
                row["reached_log_id"],
                row["version"],
            )
            for row in rows
        }
        return list(totals.values())


async def _append(
    transaction: Transaction, recorded: Sequence[Recorded], decided: Decided, now: int
) -> None:
    await transaction.execute(
        "log_insert", rows=json.dumps([_log_row(row) for row in recorded]), completed_at_ms=now
    )
    if decided.uses:
        await transaction.execute(
            "uses_put", rows=json.dumps([[*key, *use] for key, use in decided.uses.items()])
        )
    for row in recorded:
        one = row.submission
        if isinstance(one, Change) and one.kind != "increment":
            await audit.note(
                transaction,
                at_ms=now,
                actor_id=one.actor_id,
                change=one.kind,
                subject=one.account.account_id,
                reason=one.reason,
                detail={
                    **(
                        {"completionId": str(row.log_id), "points": row.points}
                        if row.points
                        else {}
                    ),
                    **({"voids": str(one.voids)} if one.voids is not None else {}),
                },
            )


async def _hide(transaction: Transaction, one: Submission, hidden: set[str], now: int) -> None:
    account_id = one.account.account_id
    if isinstance(one, Change) and one.kind == "hide":
        await transaction.execute("hidden_insert", account_id=account_id, now=now)
        hidden.add(account_id)
    else:
        await transaction.execute("hidden_delete", account_id=account_id)
        hidden.discard(account_id)


def _sets_hidden(one: Submission) -> bool:
    return isinstance(one, Change) and one.kind in ("hide", "unhide")


def _period_name(board: str, day: str, week: str) -> str:
    if board == ALL_TIME:
        return ""
    return day if board == DAILY else week


def _log_row(row: Recorded) -> list[object]:
    """The columns in the order of `log_insert`."""
    one = row.submission
    shared: list[object] = [
        row.log_id,
        one.account.account_id,
        row.action_id,
        row.slot,
        one.idempotency_key,
        one.fingerprint,
        one.data if isinstance(one, Completion) else None,
        row.points,
        row.new_score,
        row.day,
        row.week,
    ]
    if isinstance(one, Completion):
        return [*shared, "completion", None, None, None, None]
    return [*shared, one.kind, one.actor_id, one.reason, one.voids, one.signature]


def _outcome(decision: Decision, receipts: dict[int, Receipt]) -> Outcome | Refused:
    match decision:
        case Recorded(log_id=log_id):
            return Outcome("recorded", receipts[log_id])
        case Replayed(log_id=log_id):
            return Outcome("replayed", receipts[log_id])
        case Repeated(log_id=log_id):
            return Outcome("repeated", receipts[log_id])
    return decision
