"""The board inside the process: right for one process, refused for more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Collection, Iterable, Mapping, Sequence

from scoreboard import periods
from scoreboard.board import TOP, Applied, Cold, Entry, Mark, Total
from scoreboard.board.ranking import Ranking
from scoreboard.periods import ALL_TIME, Clock, Period


class _Held:
    """A period with its ranking; cold as long as it has no mark."""

    def __init__(self, period: Period) -> None:
        self.period = period
        self.ranking = Ranking()
        self.mark: Mark | None = None


class MemoryBoard:
    """A ranking for the current period of each board; a new period starts cold by itself."""

    def __init__(self, boards: Collection[str], clock: Clock) -> None:
        self._clock = clock
        now = clock()
        self._held = {board: _Held(periods.current(board, now)) for board in boards}

    def holds(self, period: Period) -> bool:
        """As `Board.holds`."""
        return self._of(period) is not None

    async def apply(self, totals: Iterable[Total], ask: Collection[str] = ()) -> Applied:
        """As `Board.apply`. Nothing is awaited in between: no other task sees half of it.

        A cold period takes its totals too, since whatever is loaded later guards them by version.
        """
        before: dict[Period, list[Entry]] = {}
        cold: set[Period] = set()
        for total in totals:
            if (held := self._of(total.period)) is None:
                continue
            if held.mark is None:
                cold.add(total.period)
            elif total.period not in before:
                before[total.period] = held.ranking.page(0, TOP)
            held.ranking.put(total)
        changed = {
            period.board
            for period, top in before.items()
            if self._held[period.board].ranking.page(0, TOP) != top
        }
        overall = self._held[ALL_TIME]
        return Applied(
            frozenset(changed),
            {
                account_id: overall.ranking.rank(account_id) if overall.mark else None
                for account_id in ask
            },
            frozenset(cold),
        )

    async def load(
        self, period: Period, slices: AsyncIterable[Sequence[Total]], mark: Mark
    ) -> bool:
        """As `Board.load`. Rows that the score rows know nothing of stay: in this process nothing
        else than a total can have made one.
        """
        held = self._of(period)
        async for totals in slices:
            for total in totals:
                if held:
                    held.ranking.put(total)
        if held:
            held.mark = mark
        return True

    async def marks(self, periods: Collection[Period]) -> Mapping[Period, Mark]:
        """As `Board.marks`."""
        found = {period: self._of(period) for period in periods}
        return {period: held.mark for period, held in found.items() if held and held.mark}

    async def settle(self, cursor: int) -> None:
        """As `Board.settle`."""
        held = self._held[ALL_TIME]
        if held.mark and held.mark.cursor < cursor:
            held.mark = held.mark._replace(cursor=cursor)

    async def stale(self, period: Period, rows: str) -> Sequence[str]:
        """As `Board.stale`."""
        ranking = self._loaded(period)
        return [
            account_id
            for account_id, version, total in json.loads(rows)
            if not ranking.has(account_id, version=version, total=total)
        ]

    async def size(self, period: Period) -> int:
        """As `Board.size`."""
        return len(self._loaded(period))

    async def is_my_turn(self, seconds: float) -> bool:  # noqa: ARG002
        """As `Board.is_my_turn`: there is nobody else."""
        return True

    async def page(self, period: Period, *, offset: int, limit: int) -> list[Entry]:
        """As `Standings.page`, of a period that is held."""
        return self._loaded(period).page(offset, limit)

    async def around(self, period: Period, account_id: str, reach: int) -> list[Entry]:
        """As `Standings.around`, of a period that is held."""
        return self._loaded(period).around(account_id, reach)

    def _loaded(self, period: Period) -> Ranking:
        held = self._of(period)
        if held is None or held.mark is None:
            raise Cold
        return held.ranking

    def _of(self, period: Period) -> _Held | None:
        """The ranking of a period, if it is the one that the clock is in.

        It is replaced when the clock enters another one, also an earlier one when the clock is set
        back, and cold until the score rows were read: the database may have named a period before
        this clock entered it.
        """
        if period.board not in self._held:
            return None
        current = periods.current(period.board, self._clock())
        if self._held[period.board].period != current:
            self._held[period.board] = _Held(current)
        return self._held[period.board] if period == current else None
