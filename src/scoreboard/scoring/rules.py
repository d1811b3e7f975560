"""The rules of repetition: which completions of a batch count, and what the others are told (pure).

A batch is decided in order, each item against what the database knew before the batch and what the
items before it in the batch have taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scoreboard.errors import IdempotencyKeyRequired, IdempotencyKeyReused, InvalidAction
from scoreboard.ledger.actions import Repeat
from scoreboard.scoring.completion import Completion


class Known(NamedTuple):
    """What the database knew about one completion before its batch.

    `points` and `repeat` are the action's, None when there is no such action. `total` is the
    account's all-time total. `keyed` and `slotted` are the log rows that already hold the
    completion's key (with that row's fingerprint) and its slot.
    """

    points: int | None
    repeat: Repeat | None
    total: int
    keyed: int | None
    keyed_fingerprint: str | None
    slotted: int | None


class Recorded(NamedTuple):
    """It counts, as a new row of the log."""

    log_id: int
    completion: Completion
    slot: str | None
    points: int
    new_score: int


class Replayed(NamedTuple):
    """It is the request of that log row again."""

    log_id: int


class Repeated(NamedTuple):
    """Its slot is taken by that log row."""

    log_id: int


Refused = InvalidAction | IdempotencyKeyRequired | IdempotencyKeyReused
Decision = Recorded | Replayed | Repeated | Refused


def slot_of(repeat: Repeat, day: str) -> str | None:
    """What an account can fill once with an action: `once`, a day, or None for no limit."""
    return {"once": "once", "daily": day, "unlimited": None}[repeat]


def decide(
    completions: Sequence[Completion], known: Sequence[Known], *, day: str, last_log_id: int
) -> list[Decision]:
    """Decide a batch. New rows are numbered on from `last_log_id`, in the order of the batch."""
    batch = _Batch(day, last_log_id)
    return [batch.decide(*one) for one in zip(completions, known, strict=True)]


class _Batch:
    """What the items of a batch that were decided so far have taken."""

    def __init__(self, day: str, last_log_id: int) -> None:
        self._day = day
        self._last_log_id = last_log_id
        self._keys: dict[tuple[str, str], tuple[int, str]] = {}
        self._slots: dict[tuple[str, str, str], int] = {}
        self._totals: dict[str, int] = {}

    def decide(self, completion: Completion, before: Known) -> Decision:
        """Decide the next item."""
        held = self._holder_of_key(completion, before)
        if held is not None:
            log_id, fingerprint = held
            return Replayed(log_id) if fingerprint == completion.fingerprint else key_reused()
        if before.points is None or before.repeat is None:
            return invalid_action()
        slot = slot_of(before.repeat, self._day)
        if slot is None:
            if completion.idempotency_key is None:
                return key_required()
        elif (taken := self._holder_of_slot(completion, slot, before)) is not None:
            return Repeated(taken)
        return self._record(completion, slot, before.points, before.total)

    def _holder_of_key(self, completion: Completion, before: Known) -> tuple[int, str] | None:
        if completion.idempotency_key is None:
            return None
        key = (completion.account.account_id, completion.idempotency_key)
        if before.keyed is not None:
            return (before.keyed, before.keyed_fingerprint or "")
        return self._keys.get(key)

    def _holder_of_slot(self, completion: Completion, slot: str, before: Known) -> int | None:
        if before.slotted is not None:
            return before.slotted
        return self._slots.get((completion.account.account_id, completion.action_id, slot))

    def _record(
        self, completion: Completion, slot: str | None, points: int, total: int
    ) -> Recorded:
        self._last_log_id += 1
        log_id, account_id = self._last_log_id, completion.account.account_id
        new_score = self._totals.get(account_id, total) + points
        self._totals[account_id] = new_score
        if completion.idempotency_key is not None:
            self._keys[account_id, completion.idempotency_key] = (log_id, completion.fingerprint)
        if slot is not None:
            self._slots[account_id, completion.action_id, slot] = log_id
        return Recorded(log_id, completion, slot, points, new_score)


def invalid_action() -> InvalidAction:
    """There is no such action, or it is retired."""
    return InvalidAction("There is no such action.")


def key_reused() -> IdempotencyKeyReused:
    """The key belongs to another request."""
    return IdempotencyKeyReused("This Idempotency-Key was used for another request.")


def key_required() -> IdempotencyKeyRequired:
    """The action counts each time, so only a key tells a retry from a new completion."""
    return IdempotencyKeyRequired(
        "An action that can be repeated without limit needs an Idempotency-Key header, so that a "
        "retry is not counted twice."
    )
