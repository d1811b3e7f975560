"""The audit trail: who changed what, when and why. Rows are only ever added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database
from scoreboard.periods import rfc3339

MAX_REASON: Final = 500  # characters: a few sentences
NEWEST: Final = 2**62  # above every id


class Noted(NamedTuple):
    """One row of the trail. `subject` is what was changed: an action's id, or an account's."""

    audit_id: int
    at_ms: int
    actor_id: str
    change: str
    subject: str
    reason: str | None
    detail: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As the contract shows it."""
        return {
            "id": str(self.audit_id),
            "at": rfc3339(self.at_ms),
            "actor": self.actor_id,
            "change": self.change,
            "subject": self.subject,
            "reason": self.reason,
            "detail": self.detail,
        }


async def note(
    transaction: Transaction,
    *,
    at_ms: int,
    actor_id: str,
    change: str,
    subject: str,
    reason: str | None,
    detail: Mapping[str, Any],
) -> None:
    """Add a row in the transaction of the change itself."""
    await transaction.execute(
        "audit_insert",
        at_ms=at_ms,
        actor_id=actor_id,
        change=change,
        subject=subject,
        reason=reason,
        detail=json.dumps(detail),
    )


async def page(database: Database, *, before: int = NEWEST, size: int) -> list[Noted]:
    """The rows before an id, newest first. Raises `Unavailable`."""
    rows = await database.fetch("audit_page", before=before, size=size)
    return [Noted(**{**row, "detail": json.loads(row["detail"])}) for row in rows]
