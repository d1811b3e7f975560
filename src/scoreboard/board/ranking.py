"""One ranking in memory: a sorted list of order keys, and each account's row (pure, no I/O)."""

from __future__ import annotations

from sortedcontainers import SortedList

from scoreboard.board import Entry, Total

_Key = tuple[int, int, str]


def _key(total: Total) -> _Key:
    return (-total.total, total.reached, total.account_id)


class Ranking:
    """Totals in order. An update, a rank and a page cost about log N (grantjenks.com/docs/
    sortedcontainers/performance-scale.html): a sorted list of lists, with an index over their
    lengths.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Total] = {}
        self._order: SortedList[_Key] = SortedList()

    def __len__(self) -> int:
        return len(self._order)

    def put(self, total: Total) -> None:
        """Take over a total unless a newer version is here. Totals of zero and less take no place,
        but are remembered for their version.
        """
        old = self._rows.get(total.account_id)
        if old is not None:
            if old.version > total.version:
                return
            if old.total > 0:
                self._order.remove(_key(old))
        self._rows[total.account_id] = total
        if total.total > 0:
            self._order.add(_key(total))

    def has(self, account_id: str, *, version: int, total: int) -> bool:
        """Whether the account's row is as new as this one, and no other at the same version."""
        row = self._rows.get(account_id)
        if row is None or row.version < version:
            return False
        return row.version > version or row.total == total

    def rank(self, account_id: str) -> int | None:
        """The account's place, 1 first, or None when it has none."""
        row = self._rows.get(account_id)
        if row is None or row.total <= 0:
            return None
        return self._order.index(_key(row)) + 1

    def page(self, offset: int, limit: int) -> list[Entry]:
        """The entries from rank `offset + 1` on, at most `limit`."""
        return [
            Entry(rank, account_id, self._rows[account_id].username, -negated)
            for rank, (negated, _, account_id) in enumerate(
                self._order.islice(offset, min(offset + limit, len(self._order))), offset + 1
            )
        ]

    def around(self, account_id: str, reach: int) -> list[Entry]:
        """The account's entry with up to `reach` neighbours on either side, or nothing."""
        rank = self.rank(account_id)
        if rank is None:
            return []
        first = max(0, rank - 1 - reach)
        return self.page(first, rank + reach - first)
