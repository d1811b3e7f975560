"""The way of a batch: the log, then the board, then an answer for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from operator import itemgetter

from scoreboard.board import Away, Board
from scoreboard.errors import AlreadyCompleted, IdempotencyKeyReused, RequestError, Unavailable
from scoreboard.ledger.connection import RowError
from scoreboard.scoring.completion import Answer, Change, Completion, Submission
from scoreboard.scoring.log import ActionLog, Committed, Outcome
from scoreboard.telemetry import metrics


class Recorder:
    """Records batches of completions. `record` is what a `Batcher` flushes into.

    `is_known` says whether an account is still there. `changed` is told which boards' top 10 is
    another one, and `missed` that the board did not take all of a batch and has to be mended.
    """

    def __init__(
        self,
        log: ActionLog,
        board: Board,
        *,
        is_known: Callable[[str], Awaitable[bool]],
        changed: Callable[[Collection[str]], None],
        missed: Callable[[], None],
    ) -> None:
        self._log = log
        self._board = board
        self._is_known = is_known
        self._changed = changed
        self._missed = missed

    async def record(self, batch: Sequence[Submission]) -> Sequence[Answer | Exception]:
        """Record a batch durably and give each of it its answer or its error.

        An error of the database that is not about one row's data is raised for the whole batch, of
        which nothing is then acknowledged. A board that is away costs the answers their ranks.
        """
        order = independent_first(batch)
        answers = await self._record([batch[place] for place in order])
        return [answer for _, answer in sorted(zip(order, answers, strict=True), key=itemgetter(0))]

    async def _record(
        self, batch: Sequence[Submission], *, is_retry: bool = False
    ) -> Sequence[Answer | Exception]:
        metrics.BATCH_SIZE.observe(len(batch))
        try:
            with metrics.STAGE_COMMIT.time():
                committed = await self._append(batch)
        except RowError as error:
            if is_retry:
                return [await self._why(batch[0], error)]
            # One row is bad and took the batch with it: each alone tells which. Or another process
            # committed the same key meanwhile, which now is there to be found.
            return [answer for one in batch for answer in await self._record([one], is_retry=True)]
        _count(batch, committed)
        with metrics.STAGE_BOARD.time():
            ranks = await self._apply(batch, committed)
        return [
            _answer(outcome, ranks.get(one.account.account_id))
            for one, outcome in zip(batch, committed.outcomes, strict=True)
        ]

    async def _append(self, batch: Sequence[Submission]) -> Committed:
        """Append the batch to the log. A key that was used for another request is looked at once
        more: perhaps an earlier release recorded this very one with its own fingerprint.
        """
        committed = await self._log.append(batch)
        former = {
            place: one._replace(fingerprint=one.former_fingerprint)
            for place, (one, outcome) in enumerate(zip(batch, committed.outcomes, strict=True))
            if isinstance(outcome, IdempotencyKeyReused)
            and isinstance(one, Completion)
            and one.former_fingerprint
        }
        if not former:
            return committed
        again = await self._log.append(list(former.values()))
        outcomes = dict(enumerate(committed.outcomes)) | dict(
            zip(former, again.outcomes, strict=True)
        )
        return Committed(list(outcomes.values()), [*committed.totals, *again.totals])

    async def _why(self, one: Submission, error: RowError) -> Exception:
        """An account that was known may be gone: after a failover, or a backup was restored. The
        caller's retry then makes it anew.
        """
        if await self._is_known(one.account.account_id):
            return error
        return Unavailable("The account has to be made again.")

    async def _apply(
        self, batch: Sequence[Submission], committed: Committed
    ) -> Mapping[str, int | None]:
        try:
            applied = await self._board.apply(
                committed.totals, ask={one.account.account_id for one in batch}
            )
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
        told = outcome.kind if isinstance(outcome, Outcome) else "refused"
        if isinstance(one, Change):
            changes[one.kind, told] += 1
        else:
            completions[told] += 1
    for what, times in completions.items():
        metrics.COMPLETIONS.labels(what).inc(times)
    for (kind, what), times in changes.items():
        metrics.CHANGES.labels(kind, what).inc(times)


def _answer(outcome: Outcome | RequestError, rank: int | None) -> Answer | Exception:
    if isinstance(outcome, RequestError):
        return outcome
    answer = Answer(outcome.receipt, rank, replayed=outcome.kind == "replayed")
    if outcome.kind == "repeated":
        return AlreadyCompleted("This action is already completed.", answer.to_json())
    return answer
