"""The ranking: a cache of the score rows, ordered, that can be rebuilt from them at any time.

The order is total and the same everywhere: the higher score first, and of equal scores the one that
was reached first, told by the log row that set it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from scoreboard.periods import Period

TOP: int = 10
"""How many places travel over the stream."""


class Total(NamedTuple):
    """One score row: what reaches a board, never an increment.

    `reached` is the log row that set the total, and `version` counts the changes of the row: a
    board that has a newer version ignores this one, so sending again, late or out of order is
    harmless.
    """

    period: Period
    account_id: str
    username: str
    total: int
    reached: int
    version: int


class Entry(NamedTuple):
    """One place of a ranking, 1 first."""

    rank: int
    account_id: str
    username: str
    score: int

    def to_json(self) -> dict[str, Any]:
        """As the contract shows it."""
        return {
            "rank": self.rank,
            "userId": self.account_id,
            "username": self.username,
            "score": self.score,
        }


class Mark(NamedTuple):
    """What a period that was loaded whole carries beside its rows.

    Nothing up to the log row `cursor` is missing from it, and it was loaded after the rebuild of
    the scores `rebuild`. `generation` names a load of `all-time`, and for the other boards the one
    that theirs came after: else `all-time` could be up to date about an account and they not. It
    lives and dies with the rows: a board that lost them lost it too, and one that went back in time
    went back with it.
    """

    cursor: int
    rebuild: int
    generation: int


class Applied(NamedTuple):
    """What an update did: the boards whose top 10 changed, the all-time ranks asked for, and the
    periods that took nothing because they are cold.
    """

    changed: frozenset[str]
    ranks: Mapping[str, int | None]
    cold: frozenset[Period] = frozenset()


class Away(Exception):
    """The board cannot answer now; the score rows can."""


class Cold(Away):
    """The board does not hold this period whole, and nobody may see half of it."""


class Standings(Protocol):
    """Reads a ranking; boards and the score rows themselves both can."""

    async def page(self, period: Period, *, offset: int, limit: int) -> list[Entry]:
        """The entries from rank `offset + 1` on, at most `limit`."""
        ...

    async def around(self, period: Period, account_id: str, reach: int) -> list[Entry]:
        """The account's entry with up to `reach` above and below; empty when it is on no place."""
        ...


class Board(Standings, Protocol):
    """Keeps the current period of each board in order.

    Every call raises `Away` when the board cannot be reached, and reads raise `Cold` for a period
    that was not loaded.
    """

    def holds(self, period: Period) -> bool:
        """Whether this period is kept here; the others are read from the score rows."""
        ...

    async def apply(self, totals: Iterable[Total], ask: Collection[str] = ()) -> Applied:
        """Take over the totals that are not older than what is here, each period in one step that
        nobody sees half of, and `all-time` last: who is up to date there is so everywhere.

        Gives the boards whose top 10 is now another, and the all-time rank of each account in
        `ask` (None for all of them while `all-time` is cold).
        """
        ...

    async def load(
        self, period: Period, slices: AsyncIterable[Sequence[Total]], mark: Mark
    ) -> bool:
        """Take over all of a period, whatever it held, and mark it; readers see the old places
        until the last slice is in. Gives False, having changed nothing, while another process is at
        it.
        """
        ...

    async def marks(self, periods: Collection[Period]) -> Mapping[Period, Mark]:
        """The marks of these periods; those that are cold have none."""
        ...

    async def settle(self, cursor: int) -> None:
        """Move the mark of `all-time` on to this log row, unless it is cold or further already."""
        ...

    async def stale(self, period: Period, rows: str) -> Sequence[str]:
        """Compare with score rows, given as the JSON text `[[account_id, version, total], ...]`.

        Gives the accounts whose version here is older or missing, or whose total differs.
        """
        ...

    async def size(self, period: Period) -> int:
        """How many accounts have a place."""
        ...

    async def is_my_turn(self, seconds: float) -> bool:
        """Whether this process is the one to look for drift now, and for so many seconds more."""
        ...
