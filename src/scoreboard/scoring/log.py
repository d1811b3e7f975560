"""The action log: where a batch is decided and becomes durable.

Each engine decides next to its rows. SQLite has one writer, so the rules run in Python between two
statements; on PostgreSQL other processes write too, so they run in the database, under its locks.
One suite of tests holds both to the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from scoreboard.board import Total
from scoreboard.errors import RequestError
from scoreboard.ledger.database import Lane
from scoreboard.scoring.completion import Receipt, Submission


class LockedError(Exception):
    """Another session of the database holds a lock on what a submission needs. Nothing was
    recorded for it, and it can be tried again.
    """


class UnknownAccountError(Exception):
    """The account of a submission is not in the database (any more)."""


class Outcome(NamedTuple):
    """What became of a submission that the log has a row for: its own new one, its own earlier one
    under the same key (or the one that voided the same row), or the one that fills its slot.
    """

    kind: Literal["recorded", "replayed", "repeated"]
    receipt: Receipt


class Committed(NamedTuple):
    """What one transaction left behind: an outcome, a refusal, or why it could not be decided now,
    for each submission in their order; and the totals that it changed, as boards show them.
    """

    outcomes: Sequence[Outcome | RequestError | LockedError | UnknownAccountError]
    totals: Sequence[Total]


class ActionLog(Protocol):
    """Appends what counts, and adds it to the scores."""

    async def append(self, batch: Sequence[Submission], lane: Lane = "main") -> Committed:
        """Decide a batch in its order and record what counts, in one durable transaction.

        Raises `RowError` when the data of one row is refused, and `TimeLimitReached` when it takes
        too long: nothing was kept then. Raises any other `Unavailable` when it is not known whether
        anything was kept.
        """
        ...

    async def now(self) -> int:
        """The instant that a batch would have now, in milliseconds since the epoch.

        Raises `Unavailable`.
        """
        ...
