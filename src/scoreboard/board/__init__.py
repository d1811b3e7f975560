"""The ranking: a cache of the score rows, ordered, that can be rebuilt from them at any time.

The order is total and the same everywhere: the higher score first, and of equal scores the one that
was reached first, told by the log row that set it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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


class Applied(NamedTuple):
    """What an update did: the boards whose top 10 changed, and the all-time ranks asked for."""

    changed: frozenset[str]
    ranks: Mapping[str, int | None]


class Standings(Protocol):
    """Reads a ranking; boards and the score rows themselves both can."""

    async def page(self, period: Period, *, offset: int, limit: int) -> list[Entry]:
        """The entries from rank `offset + 1` on, at most `limit`."""
        ...

    async def around(self, period: Period, account_id: str, reach: int) -> list[Entry]:
        """The account's entry with up to `reach` above and below; empty when it is on no place."""
        ...


class Board(Standings, Protocol):
    """Keeps the current period of each board in order."""

    def holds(self, period: Period) -> bool:
        """Whether this period is kept here; the others are read from the score rows."""
        ...

    async def apply(self, totals: Iterable[Total], ask: Collection[str] = ()) -> Applied:
        """Take over the newer of these totals, in one step that nobody sees half of.

        Gives the boards whose top 10 is now another, and the all-time rank of each account in
        `ask`.
        """
        ...
