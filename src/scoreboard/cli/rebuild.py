"""`scoreboard rebuild`: the scores made anew from the log."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any

from scoreboard import periods
from scoreboard.scoring.rebuild import rebuild
from scoreboard.settings import Settings
from scoreboard.wiring import open_checked_database


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "rebuild",
        help="make the scores anew from the log",
        description="Make every score row from the action log, which is the truth, and have a "
        "running server load its board again within a second or two. Rows that are right stay "
        "untouched. Completions wait while it runs, and get a 503 after some seconds.",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:  # noqa: ARG001
    """Rebuild and say how many rows were wrong."""
    changed = asyncio.run(_rebuild(Settings.from_env(env)))
    print(f"rebuilt: {changed} score row{'' if changed == 1 else 's'} had to change")
    return 0


async def _rebuild(settings: Settings) -> int:
    async with open_checked_database(settings) as database:
        return await rebuild(database, settings.boards, periods.now_ms)
