"""The way of a batch: the log, then the board, then an answer for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter

from scoreboard.board import Away, Board
from scoreboard.errors import AlreadyCompleted, IdempotencyKeyReused
from scoreboard.ledger.database import Lane
from scoreboard.scoring.completion import Answer, Change, Completion, Submission
from scoreboard.scoring.log import (
    ActionLog,
    Committed,
    LockedError,
    Outcome,
    UnknownAccountError,
)
from scoreboard.telemetry import metrics


class Recorder:
    """Records batches of completions. `record` is what a `Batcher` flushes into.

    `changed` is told which boards' top 10 is another one, and `missed` that the board did not take
    all of a batch and has to be mended.
    """

    def __init__(
        self,
        log: ActionLog,
        board: Board,
        *,
        changed: Callable[[Collection[str]], None],
        missed: Callable[[], None],
    ) -> None:
        self._log = log
        self._board = board
        self._changed = changed
        self._missed = missed

    async def record(
        self, batch: Sequence[Submission], lane: Lane = "main"
    ) -> Sequence[Answer | Exception]:
        """Record a batch durably and give each of it its answer or its error: `LockedError` and
        `UnknownAccountError` for what could not be decided.

        Raises as `ActionLog.append`; nothing of the batch is then acknowledged. A board that is
        away costs the answers their ranks.
        """
        order = independent_first(batch)
        answers = await self._record([batch[place] for place in order], lane)
        return [answer for _, answer in sorted(zip(order, answers, strict=True), key=itemgetter(0))]

    async def _record(
        self, batch: Sequence[Submission], lane: Lane
    ) -> Sequence[Answer | Exception]:
        metrics.BATCH_SIZE.observe(len(batch))
        with metrics.STAGE_COMMIT.time():
            committed = await self._append(batch, lane)
        _count(batch, committed)
        asked = {
            one.account.account_id
            for one, outcome in zip(batch, committed.outcomes, strict=True)
            if isinstance(outcome, Outcome)
        }
        ranks: Mapping[str, int | None] = {}
        if asked:
            with metrics.STAGE_BOARD.time():
                ranks = await self._apply(committed, asked)
        return [
            _answer(outcome, ranks.get(one.account.account_id))
            for one, outcome in zip(batch, committed.outcomes, strict=True)
        ]

    async def _append(self, batch: Sequence[Submission], lane: Lane) -> Committed:
        """Append the batch to the log. A key that was used for another request is looked at once
        more: perhaps an earlier release recorded this very one with its own fingerprint.
        """
        committed = await self._log.append(batch, lane)
        former = {
            place: one._replace(fingerprint=one.former_fingerprint)
            for place, (one, outcome) in enumerate(zip(batch, committed.outcomes, strict=True))
            if isinstance(outcome, IdempotencyKeyReused)
            and isinstance(one, Completion)
            and one.former_fingerprint
        }
        if not former:
            return committed
        again = await self._log.append(list(former.values()), lane)
        outcomes = dict(enumerate(committed.outcomes)) | dict(
            zip(former, again.outcomes, strict=True)
        )
        return Committed(list(outcomes.values()), [*committed.totals, *again.totals])

    async def _apply(self, committed: Committed, asked: set[str]) -> Mapping[str, int | None]:
        try:
            applied = await self._board.apply(committed.totals, ask=asked)
        except Away:
            self._missed()
            return {}
        if applied.cold:
            self._missed()
        # What is cold is shown from the score rows, which have changed.
        self._changed(applied.changed | {period.board for period in applied.cold})
        return applied.ranks


def independent_first(batch: Sequence[Submission]) -> list[int]:
    """The places of a batch in the order in which it is decided: first the completions of accounts
    that nothing before them is about, which a log can decide together; then the rest.

    What a batch holds came at one time, so that only the order of what one account does matters.
    """
    first: list[int] = []
    rest: list[int] = []
    met: set[str] = set()
    for place, one in enumerate(batch):
        account_id = one.account.account_id
        is_first = isinstance(one, Completion) and account_id not in met
        (first if is_first else rest).append(place)
        met.add(account_id)
        met.add(one.caller)
    return first + rest


def _count(batch: Sequence[Submission], committed: Committed) -> None:
    completions: Counter[str] = Counter()
    changes: Counter[tuple[str, str]] = Counter()
    for one, outcome in zip(batch, committed.outcomes, strict=True):
        if isinstance(outcome, (LockedError, UnknownAccountError)):
            continue  # it is tried again, and counted then
        told = outcome.kind if isinstance(outcome, Outcome) else "refused"
        if isinstance(one, Change):
            changes[one.kind, told] += 1
        else:
            completions[told] += 1
    for what, times in completions.items():
        metrics.COMPLETIONS.labels(what).inc(times)
    for (kind, what), times in changes.items():
        metrics.CHANGES.labels(kind, what).inc(times)


def _answer(outcome: Outcome | Exception, rank: int | None) -> Answer | Exception:
    if isinstance(outcome, Exception):
        return outcome
    answer = Answer(outcome.receipt, rank, replayed=outcome.kind == "replayed")
    if outcome.kind == "repeated":
        return AlreadyCompleted("This action is already completed.", answer.to_json())
    return answer
