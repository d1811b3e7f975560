"""`scoreboard audit`: who changed what, when and why."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from scoreboard.cli.actions import LIMITS
from scoreboard.cli.terminal import show, table
from scoreboard.cli.words import Help
from scoreboard.ledger import audit
from scoreboard.periods import rfc3339
from scoreboard.settings import Settings
from scoreboard.startup import open_checked_database

SHOWN: Final = 50  # rows, unless somebody asks for another number: a few screens
MOST: Final = 10_000  # rows at once: some megabytes
_OF_NEW: Final = ("points", "repeat", *LIMITS)  # what a line tells of an action that is new


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "audit",
        help="show who changed what, when and why",
        description="Show the trail of what staff changed, newest first: when, who, what, of whom "
        "or of which action, what came of it, and why. Control characters are shown as escapes.",
        epilog="example:\n  scoreboard audit --limit 10",
        formatter_class=Help,
    )
    parser.add_argument(
        "--limit", metavar="N", type=_limit, default=SHOWN, help=f"how many rows ({SHOWN})"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Print the newest rows of the trail."""
    found = asyncio.run(_newest(Settings.from_env(env), options.limit))
    for line in table([_row(one) for one in found]):
        show(line)
    if not found:
        show("nothing was changed yet", file=sys.stderr)
    return 0


async def _newest(settings: Settings, size: int) -> list[audit.Noted]:
    async with open_checked_database(settings) as database:
        return await audit.page(database, size=size)


def _row(one: audit.Noted) -> tuple[str, ...]:
    return (
        rfc3339(one.at_ms),
        one.actor_id,
        one.change,
        one.subject,
        ", ".join(_told(one.detail)) or "-",
        one.reason or "",
    )


def _told(detail: Mapping[str, Any]) -> Iterator[str]:
    """What came of a change, as far as one line has room for it."""
    if "points" in detail:
        points = detail["points"]
        yield f"{points:+} points" if isinstance(points, int) else f"{points} points"
    if "completionId" in detail:
        yield f"completion {detail['completionId']}"
    if "voids" in detail:
        yield f"voids {detail['voids']}"
    before = detail.get("before")
    for field, value in detail.get("after", {}).items():
        if before is None and field in _OF_NEW and value is not None:
            yield f"{field} {value}"
        elif before is not None and before.get(field) != value:
            yield f"{field} {before.get(field)} → {value}"


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= MOST):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST}")
    return int(text)
