"""What SQLite knows about a batch before any of it is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from scoreboard.ledger.connection import Row, Transaction
from scoreboard.scoring.completion import Change, Completion, Submission
from scoreboard.scoring.rules import Instant, Known, Reversible, Rule, Use


class Before(NamedTuple):
    """What was looked up for a batch: what is known about each of it, which of its accounts are
    hidden, and the end of the log.
    """

    known: dict[int, Known]
    hidden: set[str]
    last_log_id: int


async def look_up(
    transaction: Transaction, batch: Sequence[Submission], instant: Instant
) -> Before:
    """What is known about each of the batch, by its place."""
    before = Before({}, set(), 0)
    completions = {place: one for place, one in enumerate(batch) if isinstance(one, Completion)}
    if completions:
        asked = [
            (one.account.account_id, one.action_id, one.idempotency_key)
            for one in completions.values()
        ]
        rows = await transaction.fetch(
            "completions_lookup", batch=json.dumps(asked), day=instant.day
        )
        before = _with(before, completions, rows, _known_of_completion)
    changes = {place: one for place, one in enumerate(batch) if isinstance(one, Change)}
    if changes:
        asked_of_changes = [
            (one.account.account_id, one.actor_id, one.idempotency_key, one.signature, one.voids)
            for one in changes.values()
        ]
        rows = await transaction.fetch("changes_lookup", batch=json.dumps(asked_of_changes))
        before = _with(before, changes, rows, _known_of_change)
    return before


def _with(
    before: Before,
    asked: dict[int, Completion] | dict[int, Change],
    rows: Iterable[Row],
    known_of: Callable[[Row], Known],
) -> Before:
    places = list(asked)
    known, hidden, last_log_id = before
    for row in rows:
        place = places[row["position"]]
        known[place] = known_of(row)
        if row["is_hidden"]:
            hidden.add(asked[place].account.account_id)
        last_log_id = row["last_log_id"]
    return Before(known, hidden, last_log_id)


def _known_of_completion(row: Row) -> Known:
    rule = use = None
    if row["points"] is not None:
        rule = Rule(
            row["points"],
            row["repeat"],
            row["min_elapsed_seconds"],
            row["cooldown_seconds"],
            row["daily_limit"],
        )
    if row["used_at_ms"] is not None:
        use = Use(row["used_at_ms"], row["used_day"], row["used_times"])
    return Known(
        row["total"],
        row["keyed_log_id"],
        row["keyed_fingerprint"],
        rule=rule,
        use=use,
        slotted=row["slotted_log_id"],
    )


def _known_of_change(row: Row) -> Known:
    reversible = None
    if row["reversed_points"] is not None:
        reversible = Reversible(
            row["reversed_action_id"],
            row["reversed_points"],
            row["reversed_day"],
            row["reversed_week"],
        )
    return Known(
        row["total"],
        row["keyed_log_id"],
        row["keyed_fingerprint"],
        signed=row["signed_log_id"],
        reversible=reversible,
        reversing=row["reversing_log_id"],
    )
