"""Actions: what can be completed, for how many points, how often, and how soon."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeGuard, get_args

from scoreboard.ledger import audit
from scoreboard.ledger.connection import Row, Transaction
from scoreboard.ledger.database import Database
from scoreboard.text import can_be_seen, is_readable

Repeat = Literal["once", "daily", "unlimited"]
REPEATS: Final[tuple[Repeat, ...]] = get_args(Repeat)

MAX_NAME: Final = 100  # characters
MAX_DESCRIPTION: Final = 500  # characters
MAX_ELAPSED: Final = 12 * 3600  # seconds: half of what a start token lives
MAX_COOLDOWN: Final = 366 * 86_400  # seconds: a year
MAX_TIMES: Final = 1_000_000  # a day: as good as no limit
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


class Action(NamedTuple):
    """Something that can be completed for `points`.

    `min_elapsed_seconds` have to lie between its start and its end, `cooldown_seconds` between two
    completions of one account, and `daily_limit` of them can lie on one UTC day; None is no limit.
    """

    action_id: str
    name: str
    description: str
    points: int
    repeat: Repeat
    min_elapsed_seconds: int | None = None
    cooldown_seconds: int | None = None
    daily_limit: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As the contract lists it."""
        return {
            "actionId": self.action_id,
            "name": self.name,
            "description": self.description,
            "points": self.points,
            "repeat": self.repeat,
            "minElapsedSeconds": self.min_elapsed_seconds,
            "cooldownSeconds": self.cooldown_seconds,
            "dailyLimit": self.daily_limit,
        }


FIELDS: Final = frozenset(Action("", "", "", 1, "once").to_json())
"""The fields of an action's JSON."""

_LIMITS: Final = {
    "minElapsedSeconds": MAX_ELAPSED,
    "cooldownSeconds": MAX_COOLDOWN,
    "dailyLimit": MAX_TIMES,
}


class FieldError(ValueError):
    """A field of an action is wrong; `field` is its name, and the message says why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.field = field
        self.why = why


def is_action_id(text: str) -> bool:
    """Whether `text` has the form of an action id."""
    return _ID.fullmatch(text) is not None


def parse(document: object, max_points: int) -> list[Action]:
    """The actions in a document of the form that `GET /actions` answers with.

    Raises `ValueError`, which says which entry is wrong and why.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("actions"), list):
        raise ValueError('the file must hold {"actions": [...]}')  # noqa: TRY004 - one error
    actions = []
    for index, entry in enumerate(document["actions"]):
        where = f"actions[{index}]"
        if not isinstance(entry, Mapping):
            raise ValueError(f"{where} is not an object")  # noqa: TRY004
        try:
            actions.append(parse_one(entry, max_points))
        except FieldError as error:
            raise ValueError(f"{where}.{error}") from None
    ids = [action.action_id for action in actions]
    for action_id in ids:
        if ids.count(action_id) > 1:
            raise ValueError(f"{action_id} is there twice")
    return actions


def parse_one(entry: Mapping[str, object], max_points: int) -> Action:
    """The action in one JSON object, where null is the same as nothing. Raises `FieldError`."""
    for key in entry:
        if key not in FIELDS:
            raise FieldError(key, "is not a field of an action")
    action_id, name = entry.get("actionId"), entry.get("name")
    description = "" if entry.get("description") is None else entry["description"]
    points, repeat = entry.get("points"), entry.get("repeat")
    if not isinstance(action_id, str) or not is_action_id(action_id):
        raise FieldError("actionId", "must match ^[a-z0-9][a-z0-9_-]{0,63}$")
    if not _is_line(name) or not can_be_seen(name) or len(name.strip()) > MAX_NAME:
        raise FieldError("name", f"must have 1-{MAX_NAME} characters, none of them invisible")
    if not _is_line(description) or len(description) > MAX_DESCRIPTION:
        raise FieldError(
            "description", f"must have at most {MAX_DESCRIPTION} characters, none of them invisible"
        )
    if not _is_whole(points) or not 1 <= points <= max_points:
        raise FieldError(
            "points", f"must be a whole number from 1 to {max_points} (SCOREBOARD_MAX_POINTS)"
        )
    if repeat not in REPEATS:
        raise FieldError("repeat", f"must be one of {', '.join(REPEATS)}")
    limits = []
    for field, most in _LIMITS.items():
        limit = entry.get(field)
        if limit is not None and not (_is_whole(limit) and 1 <= limit <= most):
            raise FieldError(field, f"must be a whole number from 1 to {most}, or null")
        limits.append(limit)
    return Action(action_id, name.strip(), description, points, repeat, *limits)


def _is_line(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and is_readable(text)


def _is_whole(number: object) -> TypeGuard[int]:
    return type(number) is int


async def load(
    database: Database, actions: Iterable[Action], *, actor_id: str, clock: Callable[[], int]
) -> None:
    """Create these actions, or change them for the future, all or none; others stay as they are."""
    wanted = list(actions)

    async def job(transaction: Transaction) -> None:
        for action in wanted:
            await _put(transaction, action, actor_id, None, clock())

    await database.write(job)


async def load_missing(
    database: Database, actions: Iterable[Action], *, actor_id: str, clock: Callable[[], int]
) -> None:
    """Create those of these actions that do not exist, all or none; retired ones exist."""
    wanted = list(actions)

    async def job(transaction: Transaction) -> None:
        for action in wanted:
            if await _locked(transaction, action.action_id) is None:
                await _put(transaction, action, actor_id, None, clock())

    await database.write(job)


async def put(
    database: Database, action: Action, *, actor_id: str, reason: str | None, now: int
) -> None:
    """Create an action, bring it back, or change it for the future."""
    await database.write(
        lambda transaction: _put(transaction, action, actor_id, reason, now),
    )


async def _put(
    transaction: Transaction, action: Action, actor_id: str, reason: str | None, now: int
) -> None:
    row = await _locked(transaction, action.action_id)
    if row and row["retired_at_ms"] is None and _of(row) == action:
        return  # nothing changes, so there is nothing to note
    await transaction.execute("action_upsert", **action._asdict())
    await audit.note(
        transaction,
        at_ms=now,
        actor_id=actor_id,
        change="action_changed" if row else "action_created",
        subject=action.action_id,
        reason=reason,
        detail={
            **({"before": _of(row).to_json()} if row else {}),
            "after": action.to_json(),
        },
    )


async def retire(
    database: Database, action_id: str, *, actor_id: str, reason: str | None, now: int
) -> Action | None:
    """Take an action off the list; gives it, or None when there is no such action.

    Completions of it stay. Again, it changes nothing.
    """

    async def job(transaction: Transaction) -> Action | None:
        row = await _locked(transaction, action_id)
        if row is None:
            return None
        if row["retired_at_ms"] is None:
            await transaction.execute("action_retire", action_id=action_id, now=now)
            await audit.note(
                transaction,
                at_ms=now,
                actor_id=actor_id,
                change="action_retired",
                subject=action_id,
                reason=reason,
                detail={"before": _of(row).to_json()},
            )
        return _of(row)

    return await database.write(job)


async def _locked(transaction: Transaction, action_id: str) -> Row | None:
    """The action as it is until the transaction ends, and the trail can say what it was before."""
    await transaction.fetch("actions_lock")
    return await transaction.fetch_one("action_by_id", action_id=action_id)


async def get(database: Database, action_id: str) -> Action | None:
    """The action, if it can be completed."""
    row = await database.fetch_one("action_by_id", action_id=action_id)
    return _of(row) if row and row["retired_at_ms"] is None else None


async def listed(database: Database) -> list[Action]:
    """The actions that can be completed, in the order in which they were first loaded."""
    return [_of(row) for row in await database.fetch("actions_list")]


def _of(row: Row) -> Action:
    return Action(*(row[field] for field in Action._fields))
