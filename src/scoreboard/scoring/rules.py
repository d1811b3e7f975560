"""The rules: which submissions of a batch count, and what the others are told (pure).

A batch is decided in order, each item against what the database knew before the batch and what the
items before it in the batch have taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from scoreboard.errors import StartTokenInvalid, TooSoon
from scoreboard.ledger.actions import Repeat
from scoreboard.scoring import refusals
from scoreboard.scoring.completion import Change, Completion, Submission
from scoreboard.scoring.refusals import Refused

_DAY_MS: Final = 86_400_000


class Instant(NamedTuple):
    """When a batch is decided: milliseconds since the epoch, and the day and the week of that."""

    ms: int
    day: str
    week: str


class Rule(NamedTuple):
    """What an action gives and asks for."""

    points: int
    repeat: Repeat
    min_elapsed_seconds: int | None = None
    cooldown_seconds: int | None = None
    daily_limit: int | None = None

    @property
    def limits_uses(self) -> bool:
        """Whether it matters when, or how many times on a day, it was completed before."""
        return bool(self.min_elapsed_seconds or self.cooldown_seconds or self.daily_limit)


class Use(NamedTuple):
    """When an account last completed an action, and how many times on that day."""

    last_at_ms: int
    day: str
    times: int


class Reversible(NamedTuple):
    """A row of the log that can be reversed."""

    action_id: str | None
    points: int
    day: str
    week: str


class Known(NamedTuple):
    """What the database knew about one submission before its batch.

    `total` is the account's all-time total. `keyed` is the log row that holds its key, with that
    row's fingerprint. For a completion: the action's `rule`, None when there is no such action, the
    last `use` of it, and the row that fills the slot. For a change: the row that holds its
    signature, the one that it is to reverse, and the one that has done so.
    """

    total: int
    keyed: int | None = None
    keyed_fingerprint: str | None = None
    rule: Rule | None = None
    use: Use | None = None
    slotted: int | None = None
    signed: int | None = None
    reversible: Reversible | None = None
    reversing: int | None = None


class Recorded(NamedTuple):
    """It counts, as a new row of the log."""

    log_id: int
    submission: Submission
    action_id: str | None
    slot: str | None
    points: int
    new_score: int
    day: str
    week: str


class Replayed(NamedTuple):
    """It is what that log row recorded, asked for again."""

    log_id: int


class Repeated(NamedTuple):
    """Its slot is taken by that log row."""

    log_id: int


Decision = Recorded | Replayed | Repeated | Refused


class Decided(NamedTuple):
    """A batch's decisions in its order, and the uses that its rows leave by account and action."""

    decisions: list[Decision]
    uses: dict[tuple[str, str], Use]


def slot_of(repeat: Repeat, day: str) -> str | None:
    """What an account can fill once with an action: `once`, a day, or None for no limit."""
    return {"once": "once", "daily": day, "unlimited": None}[repeat]


def decide(
    batch: Sequence[Submission], known: Sequence[Known], *, instant: Instant, last_log_id: int
) -> Decided:
    """Decide a batch. New rows are numbered on from `last_log_id`, in the order of the batch."""
    taken = _Batch(instant, last_log_id)
    decisions = [taken.decide(*one) for one in zip(batch, known, strict=True)]
    return Decided(decisions, taken.uses)


class _Batch:
    """What the items of a batch that were decided so far have taken."""

    def __init__(self, instant: Instant, last_log_id: int) -> None:
        self._instant = instant
        self._last_log_id = last_log_id
        self._keys: dict[tuple[str, str], tuple[int, str]] = {}
        self._slots: dict[tuple[str, str, str], int] = {}
        self._totals: dict[str, int] = {}
        self._signatures: set[str] = set()
        self._reversals: dict[int, int] = {}
        self.uses: dict[tuple[str, str], Use] = {}

    def decide(self, one: Submission, before: Known) -> Decision:
        """Decide the next item."""
        held = self._holder_of_key(one, before)
        if held is not None:
            log_id, fingerprint = held
            return Replayed(log_id) if fingerprint == one.fingerprint else refusals.key_reused()
        if isinstance(one, Completion):
            return self._complete(one, before)
        return self._change(one, before)

    def _complete(self, one: Completion, before: Known) -> Decision:
        rule = before.rule
        if rule is None:
            return refusals.invalid_action()
        slot = slot_of(rule.repeat, self._instant.day)
        if slot is None:
            if one.idempotency_key is None:
                return refusals.key_required()
        elif (taken := self._holder_of_slot(one, slot, before)) is not None:
            return Repeated(taken)
        if rule.limits_uses:
            place = (one.account.account_id, one.action_id)
            use = self.uses.get(place, before.use)
            if refused := _too_often(rule, one.started_ms, use, self._instant):
                return refused
            earlier = use.times if use and use.day == self._instant.day else 0
            self.uses[place] = Use(self._instant.ms, self._instant.day, earlier + 1)
        recorded = self._record(one, before, action_id=one.action_id, slot=slot, points=rule.points)
        if slot is not None:
            self._slots[one.account.account_id, one.action_id, slot] = recorded.log_id
        return recorded

    def _change(self, one: Change, before: Known) -> Decision:
        if one.signature is not None:
            if before.signed is not None or one.signature in self._signatures:
                return refusals.signature_used()
            self._signatures.add(one.signature)
        if one.voids is None:
            return self._record(one, before, points=one.points)
        reversing = self._reversals.get(one.voids, before.reversing)
        if reversing is not None:
            return Replayed(reversing)
        if (row := before.reversible) is None:
            return refusals.nothing_to_void()
        recorded = self._record(
            one, before, action_id=row.action_id, points=-row.points, day=row.day, week=row.week
        )
        self._reversals[one.voids] = recorded.log_id
        return recorded

    def _holder_of_key(self, one: Submission, before: Known) -> tuple[int, str] | None:
        if one.idempotency_key is None:
            return None
        if before.keyed is not None:
            return (before.keyed, before.keyed_fingerprint or "")
        return self._keys.get((one.caller, one.idempotency_key))

    def _holder_of_slot(self, one: Completion, slot: str, before: Known) -> int | None:
        if before.slotted is not None:
            return before.slotted
        return self._slots.get((one.account.account_id, one.action_id, slot))

    def _record(
        self,
        one: Submission,
        before: Known,
        *,
        points: int,
        action_id: str | None = None,
        slot: str | None = None,
        day: str | None = None,
        week: str | None = None,
    ) -> Recorded:
        self._last_log_id += 1
        log_id, account_id = self._last_log_id, one.account.account_id
        new_score = self._totals.get(account_id, before.total) + points
        self._totals[account_id] = new_score
        if one.idempotency_key is not None:
            self._keys[one.caller, one.idempotency_key] = (log_id, one.fingerprint)
        return Recorded(
            log_id,
            one,
            action_id,
            slot,
            points,
            new_score,
            day or self._instant.day,
            week or self._instant.week,
        )


def _too_often(
    rule: Rule, started_ms: int | None, use: Use | None, now: Instant
) -> StartTokenInvalid | TooSoon | None:
    """Why a completion comes too soon, or None.

    A start counts only if nothing was completed since: so it counts once, and starts that are kept
    in store do not add up.
    """
    if rule.min_elapsed_seconds is not None:
        if started_ms is None:
            return refusals.start_invalid()
        if (wait := started_ms + rule.min_elapsed_seconds * 1000 - now.ms) > 0:
            return refusals.too_soon(wait)
        if use and use.last_at_ms > started_ms:
            return refusals.start_invalid()
    if use is None:
        return None
    waits = [0]
    if rule.cooldown_seconds is not None:
        waits.append(use.last_at_ms + rule.cooldown_seconds * 1000 - now.ms)
    if rule.daily_limit is not None and use.day == now.day and use.times >= rule.daily_limit:
        waits.append(_DAY_MS - now.ms % _DAY_MS)
    return refusals.too_soon(max(waits)) if max(waits) > 0 else None
