"""`scoreboard rebuild`: the scores made anew from the log, and the board from the scores."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from scoreboard import periods
from scoreboard.board import Away
from scoreboard.cli.terminal import ERASE_LINE, complain, show
from scoreboard.cli.words import Help
from scoreboard.errors import Unavailable
from scoreboard.scoring.rebuild import rebuild
from scoreboard.settings import Settings
from scoreboard.startup import open_checked_database, unreachable
from scoreboard.wiring import open_shared_sweep

SHOW_EVERY: Final = 0.2  # seconds between two states of a line on a terminal
SAY_EVERY: Final = 5.0  # seconds between two lines elsewhere


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "rebuild",
        help="make the scores anew from the log",
        description="Make every score row from the action log, which is the truth, and the boards "
        "from the scores. It goes through the players in slices while completions go on, and "
        "leaves rows alone that are right. With Redis it loads the boards itself; a running server "
        "that has its board in the process loads it within a second or two.",
        formatter_class=Help,
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:  # noqa: ARG001
    """Rebuild and say how many rows were wrong."""
    settings = Settings.from_env(env)
    try:
        changed = asyncio.run(_rebuild(settings))
    except Unavailable as error:
        raise unreachable(settings, error) from error
    except Away:
        complain("REDIS_URL: Redis is away; the servers load the boards")
        return 1
    show(f"rebuilt: {changed} score row{'' if changed == 1 else 's'} had to change")
    return 0


async def _rebuild(settings: Settings) -> int:
    async with open_checked_database(settings, patient=True) as database:
        total = int((await database.scan("accounts_count"))[0]["accounts"])
        with_bar = Progress("scores", total)
        changed = await rebuild(database, settings.boards, periods.now_ms, with_bar.show)
        with_bar.end()
        async with open_shared_sweep(settings, database) as sweep:
            if sweep:
                for board in settings.boards:
                    period = periods.current(board, periods.now_ms())
                    bar = Progress(f"the {board} board", total)
                    while not await sweep.load(period, progress=bar.show):  # noqa: ASYNC110
                        await asyncio.sleep(SHOW_EVERY)  # a server is at it, from what was before
                    bar.end()
        return changed


class Progress:
    """How far something long is: in place on a terminal, else a line every few seconds."""

    def __init__(self, what: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._total = total
        self._clock = clock
        self._is_live = sys.stdout.isatty()
        self._began = self._shown = clock()
        self._done = 0

    def show(self, done: int) -> None:
        """It has come so far."""
        self._done = done
        now = self._clock()
        if now - self._shown >= (SHOW_EVERY if self._is_live else SAY_EVERY):
            self._shown = now
            self._print()

    def end(self) -> None:
        """It is done. What was done in a moment is not worth a line in a log."""
        if self._is_live or self._clock() - self._began >= SAY_EVERY:
            self._print()
        if self._is_live:
            show()

    def _print(self) -> None:
        took = self._clock() - self._began
        line = f"{self._what}: {self._done:,} of {self._total:,} players, {took:.1f} s"
        if self._is_live:
            show(ERASE_LINE, line, end="")
        else:
            show(line)
