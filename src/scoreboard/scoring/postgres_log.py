"""The log on PostgreSQL: one statement a batch, decided by `record_unlocked` under its locks."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from typing import Final

from scoreboard.board import Total
from scoreboard.errors import RequestError
from scoreboard.ledger.connection import Row
from scoreboard.ledger.database import Database, Lane
from scoreboard.periods import Clock, Period
from scoreboard.scoring import refusals
from scoreboard.scoring.completion import Completion, Receipt, Submission
from scoreboard.scoring.log import Committed, LockedError, Outcome, UnknownAccountError

encode: Final = json.JSONEncoder().encode

# Completions that are decided together; fewer are faster one after the other.
TOGETHER: Final = 8

_REFUSALS: Final[
    Mapping[str, Callable[[Row], RequestError | LockedError | UnknownAccountError]]
] = {
    "locked": lambda _: LockedError(),
    "unknown": lambda _: UnknownAccountError(),
    "invalid_action": lambda _: refusals.invalid_action(),
    "key_required": lambda _: refusals.key_required(),
    "reused": lambda _: refusals.key_reused(),
    "start_invalid": lambda _: refusals.start_invalid(),
    "too_soon": lambda row: refusals.too_soon(row["wait_ms"]),
    "signature_used": lambda _: refusals.signature_used(),
    "not_found": lambda _: refusals.nothing_to_void(),
}


class PostgresLog:
    """`ActionLog` on PostgreSQL. Without a clock the database's own sets the instant of a batch, so
    that it is the same for all processes.
    """

    def __init__(
        self,
        database: Database,
        *,
        boards: Collection[str],
        clock: Clock | None = None,
        together: int = TOGETHER,
    ) -> None:
        self._database = database
        self._boards = list(boards)
        self._clock = clock
        self._together = together

    async def append(self, batch: Sequence[Submission], lane: Lane = "main") -> Committed:
        """As `ActionLog.append`."""
        first = independent(batch)
        if first < self._together:
            first = 0
        rows = await self._database.append(
            "batch_record",
            lane,
            together=encode([item_of(one) for one in batch[:first]]),
            apart=encode([item_of(one) for one in batch[first:]]),
            boards=self._boards,
            at_ms=self._clock() if self._clock else None,
            # There are batches that others have failed, or that have failed.
            is_careful=lane == "aside",
        )
        rows.sort(key=itemgetter("place"))
        # A later row of the same account and board has the newer total.
        totals = {
            (total.period, total.account_id): total
            for one, row in zip(batch, rows, strict=True)
            if row["outcome"] == "recorded"
            for total in self._totals(one, row)
        }
        return Committed([_outcome(row) for row in rows], list(totals.values()))

    async def now(self) -> int:
        """As `ActionLog.now`."""
        row = await self._database.fetch_one(
            "instant", at_ms=self._clock() if self._clock else None
        )
        assert row is not None  # noqa: S101 - it has no condition
        return int(row["now_ms"])

    def _totals(self, one: Submission, row: Row) -> list[Total]:
        columns = (row["periods"], row["totals"], row["reached"], row["versions"])
        return [
            Total(Period(board, period), *one.account, total, reached, version)
            for board, period, total, reached, version in zip(self._boards, *columns, strict=True)
            if version is not None  # a player without points was hidden
        ]


def independent(batch: Sequence[Submission]) -> int:
    """How many at the head of the batch are completions of different accounts: whatever becomes of
    one of them is nothing to the others.
    """
    accounts: set[str] = set()
    for place, one in enumerate(batch):
        if not isinstance(one, Completion) or one.account.account_id in accounts:
            return place
        accounts.add(one.account.account_id)
    return len(batch)


def item_of(one: Submission) -> dict[str, object]:
    """The object that `record_batch` takes for a submission; what is missing is null there."""
    item: dict[str, object] = {
        "account": one.account.account_id,
        "key": one.idempotency_key,
        "fingerprint": one.fingerprint,
    }
    if isinstance(one, Completion):
        return item | {
            "kind": "completion",
            "action": one.action_id,
            "data": one.data,
            "started": one.started_ms,
        }
    return item | {
        "kind": one.kind,
        "actor": one.actor_id,
        "points": one.points,
        "voids": one.voids,
        "signature": one.signature,
        "reason": one.reason,
    }


def _outcome(row: Row) -> Outcome | RequestError | LockedError | UnknownAccountError:
    if refuse := _REFUSALS.get(row["outcome"]):
        return refuse(row)
    return Outcome(row["outcome"], Receipt.of(row))
