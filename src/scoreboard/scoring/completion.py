"""What comes in, a completion or a change, and what goes out for it, a receipt."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from scoreboard.ledger.accounts import Account
from scoreboard.ledger.connection import Row
from scoreboard.periods import rfc3339


class Completion(NamedTuple):
    """An account's claim to have completed an action. It names no points: the action does.

    `former_fingerprint` is what releases before would have recorded for it, if that is another.
    `started_ms` is the instant in a start token of ours that is this account's, for this action and
    not expired; None when there is none.
    """

    account: Account
    action_id: str
    fingerprint: str
    idempotency_key: str | None = None
    data: str | None = None
    started_ms: int | None = None
    former_fingerprint: str | None = None

    @property
    def caller(self) -> str:
        """Whom the Idempotency-Key belongs to."""
        return self.account.account_id


ChangeKind = Literal["increment", "adjustment", "void", "hide", "unhide"]


class Change(NamedTuple):
    """What a trusted backend or a member of staff writes into the log about an account.

    `points` are those of an increment or an adjustment. `voids` is the log row that a void
    reverses, and `signature` what an increment was signed with, which counts once.
    """

    kind: ChangeKind
    account: Account
    actor_id: str
    fingerprint: str
    idempotency_key: str | None = None
    reason: str | None = None
    points: int = 0
    voids: int | None = None
    signature: str | None = None

    @property
    def caller(self) -> str:
        """Whom the Idempotency-Key belongs to."""
        return self.actor_id


Submission = Completion | Change
"""What a batch is made of."""


class Receipt(NamedTuple):
    """What the log says about a completion or a change that counted."""

    log_id: int
    action_id: str | None
    points: int
    new_score: int
    completed_at: int

    @classmethod
    def of(cls, row: Row) -> Receipt:
        """The receipt in a row of the log."""
        return cls(
            row["log_id"],
            row["action_id"],
            row["points"],
            row["new_score"],
            row["completed_at_ms"],
        )

    def to_json(self) -> dict[str, Any]:
        """As the contract shows it, without the rank, which is not part of the log."""
        return {
            "completionId": str(self.log_id),
            "actionId": self.action_id,
            "pointsEarned": self.points,
            "newScore": self.new_score,
            "completedAt": rfc3339(self.completed_at),
        }


class Answer(NamedTuple):
    """A receipt as it is answered: with the all-time rank of this moment."""

    receipt: Receipt
    rank: int | None
    replayed: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the contract shows it."""
        return {"success": True, **self.receipt.to_json(), "rank": self.rank}
