"""`scoreboard actions`: what can be completed, and what no more."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from scoreboard.cli.actors import actor
from scoreboard.cli.terminal import complain, show
from scoreboard.cli.words import Help, reason_of
from scoreboard.errors import InvalidAction
from scoreboard.ledger import actions
from scoreboard.periods import now_ms
from scoreboard.settings import Settings
from scoreboard.startup import open_checked_database

LIMITS: Final = ("minElapsedSeconds", "cooldownSeconds", "dailyLimit")


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "actions",
        help="load, list or retire the actions",
        description="Load actions from a JSON file, list those that can be completed, or retire "
        "one.",
        epilog="""\
The file has the form that GET /api/v1/actions answers with:

  {"actions": [
    {"actionId": "daily-check-in", "name": "Daily check-in", "points": 10, "repeat": "daily",
     "description": "optional"}
  ]}

repeat is once, daily or unlimited. An action may also have minElapsedSeconds (it has to be
started that long before), cooldownSeconds (until the next time) and dailyLimit (times a day).

Loading creates the actions of the file or changes them for the future; points already earned
stay, and actions that are not in the file stay as they are. `scoreboard audit` shows changes.""",
        formatter_class=Help,
    )
    commands = parser.add_subparsers(metavar="WHAT", required=True)
    load = commands.add_parser("load", help="create or change the actions in a file")
    load.add_argument("file", metavar="FILE", help="a JSON file, or - for standard input")
    load.set_defaults(run=run_load)
    commands.add_parser("list", help="list the actions").set_defaults(run=run_list)
    retire = commands.add_parser(
        "retire",
        help="let nobody complete an action any more",
        description="Let nobody complete an action any more. Completions of it stay, and loading "
        "it again brings it back.",
    )
    retire.add_argument("action", metavar="ID", help="action id")
    retire.add_argument("--reason", metavar="TEXT", help="why, for the trail")
    retire.set_defaults(run=run_retire)


def run_load(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Load the file's actions, all or none."""
    settings = Settings.from_env(env)
    try:
        # As bytes: the parser reads what editors write, a byte order mark and UTF-16 included.
        sent = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
        wanted = actions.parse(json.loads(sent), settings.max_points)
    except (OSError, ValueError, RecursionError) as error:
        complain(f"{options.file}: {error}")
        return 1
    asyncio.run(_load(settings, wanted))
    show(f"loaded {len(wanted)} action{'' if len(wanted) == 1 else 's'}")
    return 0


async def _load(settings: Settings, wanted: list[actions.Action]) -> None:
    async with open_checked_database(settings) as database:
        await actions.load(database, wanted, actor_id=actor(), clock=now_ms)


def run_list(options: argparse.Namespace, env: Mapping[str, str]) -> int:  # noqa: ARG001
    """Print a table of the actions."""
    found = asyncio.run(_listed(Settings.from_env(env)))
    widest = max([len(action.action_id) for action in found], default=0)
    for action in found:
        line = f"{action.action_id:{widest}}  {action.points:>7}  {action.repeat:9}  {action.name}"
        show(f"{line}  ({limits})" if (limits := _limits(action)) else line)
    if not found:
        show("no actions yet: scoreboard actions load FILE", file=sys.stderr)
    return 0


async def _listed(settings: Settings) -> list[actions.Action]:
    async with open_checked_database(settings) as database:
        return await actions.listed(database)


def _limits(action: actions.Action) -> str:
    fields = action.to_json()
    return ", ".join(f"{name} {fields[name]}" for name in LIMITS if fields[name])


def run_retire(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Retire an action."""
    reason = None if options.reason is None else reason_of(options.reason)
    retired = None
    if actions.is_action_id(options.action):
        retired = asyncio.run(_retire(Settings.from_env(env), options.action, reason))
    if retired is None:
        raise InvalidAction("There is no such action.")
    show(f"retired {retired.action_id}")
    return 0


async def _retire(settings: Settings, action_id: str, reason: str | None) -> actions.Action | None:
    async with open_checked_database(settings) as database:
        return await actions.retire(
            database, action_id, actor_id=actor(), reason=reason, now=now_ms()
        )
