"""The refusals: what a submission that does not count is told, the same on both engines (pure)."""

from __future__ import annotations

from scoreboard.errors import (
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    InvalidAction,
    NotFound,
    SignatureInvalid,
    StartTokenInvalid,
    TooSoon,
)

Refused = (
    InvalidAction
    | IdempotencyKeyRequired
    | IdempotencyKeyReused
    | StartTokenInvalid
    | TooSoon
    | SignatureInvalid
    | NotFound
)


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


def start_invalid() -> StartTokenInvalid:
    """There is no start that the completion could end."""
    return StartTokenInvalid(
        "This action needs the startToken of a POST to its …/start: your own, from the last 24 "
        "hours, and from after your last completion of it."
    )


def too_soon(wait_ms: int) -> TooSoon:
    """It could count in so many milliseconds."""
    error = TooSoon(retry_after=wait_ms / 1000)
    return TooSoon(f"Try again in {error.retry_after} s.", retry_after=error.retry_after)


def signature_used() -> SignatureInvalid:
    """The signature has counted, for this caller under another key or for another one."""
    return SignatureInvalid("This signature was used already.")


def nothing_to_void() -> NotFound:
    """There is no such row, or it is one that reverses another."""
    return NotFound("There is no completion of this id that can be voided.")
