"""Actions: what can be completed, for how many points, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeGuard, get_args

from scoreboard.ledger.connection import Transaction
from scoreboard.ledger.database import Database

Repeat = Literal["once", "daily", "unlimited"]
REPEATS: Final[tuple[Repeat, ...]] = get_args(Repeat)

MAX_NAME: Final = 100  # characters
MAX_DESCRIPTION: Final = 500  # characters
_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)


class Action(NamedTuple):
    """Something that can be completed for `points`."""

    action_id: str
    name: str
    description: str
    points: int
    repeat: Repeat

    def to_json(self) -> dict[str, Any]:
        """As the contract lists it."""
        return {
            "actionId": self.action_id,
            "name": self.name,
            "description": self.description,
            "points": self.points,
            "repeat": self.repeat,
        }


def is_action_id(text: str) -> bool:
    """Whether `text` has the form of an action id."""
    return _ID.fullmatch(text) is not None


def parse(document: object, max_points: int) -> list[Action]:
    """The actions in a document of the form that `GET /actions` answers with.

    Raises `ValueError`, which says which entry is wrong and why.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("actions"), list):
        raise ValueError('the file must hold {"actions": [...]}')  # noqa: TRY004 - one error
    actions = [
        _parse_one(f"actions[{index}]", entry, max_points)
        for index, entry in enumerate(document["actions"])
    ]
    ids = [action.action_id for action in actions]
    for action_id in ids:
        if ids.count(action_id) > 1:
            raise ValueError(f"{action_id} is there twice")
    return actions


def _parse_one(where: str, entry: object, max_points: int) -> Action:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where} is not an object")  # noqa: TRY004
    known = {"actionId", "name", "description", "points", "repeat"}
    for key in entry:
        if key not in known:
            raise ValueError(f"{where} has an unknown field {key!r}")
    action_id, name = entry.get("actionId"), entry.get("name")
    description, points, repeat = (
        entry.get("description", ""),
        entry.get("points"),
        entry.get("repeat"),
    )
    if not isinstance(action_id, str) or not is_action_id(action_id):
        raise ValueError(f"{where}.actionId must match ^[a-z0-9][a-z0-9_-]{{0,63}}$")
    if not _is_line(name) or not 1 <= len(name.strip()) <= MAX_NAME:
        raise ValueError(f"{where}.name must have 1-{MAX_NAME} printable characters")
    if not _is_line(description) or len(description) > MAX_DESCRIPTION:
        raise ValueError(
            f"{where}.description must have at most {MAX_DESCRIPTION} printable characters"
        )
    if type(points) is not int or not 1 <= points <= max_points:
        raise ValueError(f"{where}.points must be a whole number from 1 to {max_points}")
    if repeat not in REPEATS:
        raise ValueError(f"{where}.repeat must be one of {', '.join(REPEATS)}")
    return Action(action_id, name.strip(), description, points, repeat)


def _is_line(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and text.isprintable()


async def load(database: Database, actions: Iterable[Action]) -> None:
    """Create these actions, or change them for the future; others stay as they are."""
    wanted = list(actions)

    async def job(transaction: Transaction) -> None:
        for action in wanted:
            await transaction.execute("action_upsert", **action._asdict())

    await database.write(job)


async def listed(database: Database) -> list[Action]:
    """The actions that can be completed, in the order in which they were first loaded."""
    return [Action(**row) for row in await database.fetch("actions_list")]
