"""What comes in, a completion, and what goes out for it, a receipt."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from scoreboard.ledger.accounts import Account
from scoreboard.ledger.connection import Row
from scoreboard.periods import rfc3339


class Completion(NamedTuple):
    """An account's claim to have completed an action. It names no points: the action does."""

    account: Account
    action_id: str
    fingerprint: str
    idempotency_key: str | None = None
    data: str | None = None


class Receipt(NamedTuple):
    """What the log says about a completion that counted."""

    log_id: int
    action_id: str
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


def fingerprint(method: str, path: str, body: Mapping[str, Any]) -> str:
    """What makes two requests the same one: their method, path and parsed body (128 bits, hex)."""
    text = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
