"""The board inside the process: right for one process, refused for more."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from scoreboard import periods
from scoreboard.board import TOP, Applied, Entry, Total
from scoreboard.board.ranking import Ranking
from scoreboard.periods import ALL_TIME, Clock, Period


class MemoryBoard:
    """A ranking for the current period of each board; a new period starts empty by itself."""

    def __init__(self, boards: Collection[str], clock: Clock) -> None:
        self._clock = clock
        now = clock()
        self._held = {board: (periods.current(board, now), Ranking()) for board in boards}

    def holds(self, period: Period) -> bool:
        """Whether this period is kept here; the others are read from the score rows."""
        return self._ranking(period) is not None

    async def apply(self, totals: Iterable[Total], ask: Collection[str] = ()) -> Applied:
        """As `Board.apply`. Nothing is awaited in between: no other task sees half of it."""
        rankings: dict[Period, tuple[Ranking, list[Entry]]] = {}
        unheld: set[str] = set()
        for total in totals:
            if (ranking := self._ranking(total.period)) is None:
                # A clock ran ahead and was set right: the current period is read from SQL.
                if total.period == periods.current(total.period.board, self._clock()):
                    unheld.add(total.period.board)
                continue
            if total.period not in rankings:
                rankings[total.period] = (ranking, ranking.page(0, TOP))
            ranking.put(total)
        changed = frozenset(
            period.board
            for period, (ranking, before) in rankings.items()
            if ranking.page(0, TOP) != before
        )
        _, overall = self._held[ALL_TIME]
        return Applied(
            changed | unheld, {account_id: overall.rank(account_id) for account_id in ask}
        )

    async def page(self, period: Period, *, offset: int, limit: int) -> list[Entry]:
        """As `Standings.page`, of a period that is held."""
        ranking = self._ranking(period)
        return ranking.page(offset, limit) if ranking else []

    async def around(self, period: Period, account_id: str, reach: int) -> list[Entry]:
        """As `Standings.around`, of a period that is held."""
        ranking = self._ranking(period)
        return ranking.around(account_id, reach) if ranking else []

    def _ranking(self, period: Period) -> Ranking | None:
        """The ranking of a period, if it is kept.

        The period is rolled forward as the clock enters a new one. It never rolls back: a clock
        that is set back a little at midnight must not replace a full day by an empty one.
        """
        if period.board not in self._held:
            return None
        held, ranking = self._held[period.board]
        current = periods.current(period.board, self._clock())
        if held.name < current.name:
            held, ranking = current, Ranking()
            self._held[period.board] = (held, ranking)
        return ranking if period == held else None
