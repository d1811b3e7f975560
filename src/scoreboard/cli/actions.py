"""`scoreboard actions`: what can be completed."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoreboard.cli.words import Help
from scoreboard.ledger import actions
from scoreboard.settings import Settings
from scoreboard.startup import open_checked_database


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "actions",
        help="load or list the actions",
        description="Load actions from a JSON file, or list those that can be completed.",
        epilog="""\
The file has the form that GET /api/v1/actions answers with:

  {"actions": [
    {"actionId": "daily-check-in", "name": "Daily check-in", "points": 10, "repeat": "daily",
     "description": "optional"}
  ]}

repeat is once, daily or unlimited. Loading creates the actions of the file or changes them for the
future; points already earned stay, and actions that are not in the file stay as they are.""",
        formatter_class=Help,
    )
    commands = parser.add_subparsers(metavar="WHAT", required=True)
    load = commands.add_parser("load", help="create or change the actions in a file")
    load.add_argument("file", metavar="FILE", help="a JSON file, or - for standard input")
    load.set_defaults(run=run_load)
    commands.add_parser("list", help="list the actions").set_defaults(run=run_list)


def run_load(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Load the file's actions, all or none."""
    settings = Settings.from_env(env)
    try:
        text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text("utf-8")
        wanted = actions.parse(json.loads(text), settings.max_points)
    except (OSError, ValueError, RecursionError) as error:
        print(f"scoreboard: {options.file}: {error}", file=sys.stderr)
        return 1
    asyncio.run(_load(settings, wanted))
    print(f"loaded {len(wanted)} action{'' if len(wanted) == 1 else 's'}")
    return 0


async def _load(settings: Settings, wanted: list[actions.Action]) -> None:
    async with open_checked_database(settings) as database:
        await actions.load(database, wanted)


def run_list(options: argparse.Namespace, env: Mapping[str, str]) -> int:  # noqa: ARG001
    """Print a table of the actions."""
    found = asyncio.run(_listed(Settings.from_env(env)))
    widest = max([len(action.action_id) for action in found], default=0)
    for action in found:
        print(f"{action.action_id:{widest}}  {action.points:>7}  {action.repeat:9}  {action.name}")
    if not found:
        print("no actions yet: scoreboard actions load FILE", file=sys.stderr)
    return 0


async def _listed(settings: Settings) -> list[actions.Action]:
    async with open_checked_database(settings) as database:
        return await actions.listed(database)
