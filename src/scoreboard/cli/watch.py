"""`scoreboard watch`: the live top 10 in a terminal."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final, Never

import httpx2

from scoreboard.cli.target import add_url
from scoreboard.periods import ALL_TIME, BOARDS

SILENCE: Final = 45.0  # seconds: three comments missed, so the connection is dead
BACKOFF: Final = (1.0, 30.0)  # seconds between attempts to connect, doubling
CLEAR: Final = "\x1b[H\x1b[J"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def add(commands: Any) -> None:
    """The words of this command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "watch",
        help="show the live top 10 in this terminal",
        description="Show the live top 10 in this terminal until Ctrl-C. Connects again by itself "
        "when the server goes away. Piped into another program it prints one line for each change.",
    )
    add_url(parser)
    parser.add_argument("--board", choices=BOARDS, default=ALL_TIME, help=f"({ALL_TIME})")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:  # noqa: ARG001
    """Follow the stream."""
    screen = _Screen(options.url) if sys.stdout.isatty() else _Lines()
    try:
        _follow(options.url, options.board, screen)
    except KeyboardInterrupt:
        return 0
    finally:
        screen.close()


def _follow(url: str, board: str, screen: _Screen | _Lines) -> Never:
    seen, wait = "", BACKOFF[0]
    with httpx2.Client(timeout=httpx2.Timeout(5.0, read=SILENCE)) as client:
        while True:
            try:
                for event in _events(client, f"{url}/api/v1/leaderboard/stream", board, seen):
                    wait = BACKOFF[0]
                    if event.event == "leaderboard_update":
                        seen = event.id
                        screen.show(event.json())
                    elif event.event == "busy":
                        screen.say("the server is full, trying again in a while")
                        wait = BACKOFF[1]
                    elif event.event == "bye":
                        screen.say("the server is restarting")
                    else:
                        screen.say("live")
            except httpx2.HTTPStatusError as error:
                screen.say(f"the server answers {error.response.status_code}")
            except httpx2.TransportError:
                screen.say(f"no connection to {url}")
            except (ValueError, KeyError):
                screen.say(f"{url} is no Scoreboard")
            time.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - a spread, not a secret
            wait = min(wait * 2, BACKOFF[1])


def _events(
    client: httpx2.Client, url: str, board: str, seen: str
) -> Iterator[httpx2.ServerSentEvent]:
    headers = {"Last-Event-ID": seen} if seen else {}
    with client.sse(url, params={"board": board}, headers=headers) as source:
        source.response.raise_for_status()
        yield from source


class _Lines:
    """One line a change, for another program to read."""

    def show(self, snapshot: Any) -> None:
        places = ", ".join(
            f"{user['rank']} {_printable(user['username'])} {user['score']}"
            for user in snapshot["users"]
        )
        print(f"{snapshot['updatedAt']} {snapshot['board']}: {places or 'nobody yet'}", flush=True)

    def say(self, state: str) -> None:
        print(f"scoreboard: {state}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Screen:
    """The board as a picture that is drawn over itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._state = "connecting"
        self._snapshot: Any = None
        self._ranks: dict[str, int] = {}
        self._moves: dict[str, str] = {}
        print(HIDE_CURSOR, end="")

    def show(self, snapshot: Any) -> None:
        users = snapshot["users"]
        self._moves = {
            user["userId"]: _move(self._ranks.get(user["userId"]), user["rank"]) for user in users
        }
        if not self._ranks:
            self._moves = {}
        self._ranks = {user["userId"]: user["rank"] for user in users}
        self._snapshot = snapshot
        self.say("live")

    def say(self, state: str) -> None:
        self._state = state
        self._draw()

    def close(self) -> None:
        print(SHOW_CURSOR)

    def _draw(self) -> None:
        width = min(shutil.get_terminal_size().columns, 72)
        dot = "\x1b[32m●\x1b[0m" if self._state == "live" else "\x1b[33m●\x1b[0m"
        lines = [f"{dot} {self._state}  \x1b[2m{self._url}\x1b[0m", ""]
        if self._snapshot is not None:
            lines += self._rows(width)
        print(CLEAR + "\n".join(lines), flush=True)

    def _rows(self, width: int) -> Iterator[str]:
        snapshot = self._snapshot
        period = f" {snapshot['period']}" if snapshot["period"] else ""
        yield f"\x1b[1m{snapshot['board']}{period}\x1b[0m"
        yield ""
        for user in snapshot["users"]:
            name = _fit(_printable(user["username"]), max(width - 22, 8))
            move = self._moves.get(user["userId"], " ")
            yield f"{user['rank']:>3}  {name}  {user['score']:>12,}  {move}"
        if not snapshot["users"]:
            yield "  nobody yet: complete an action"


def _move(before: int | None, now: int) -> str:
    if before is None:
        return "\x1b[36m★\x1b[0m"
    if before == now:
        return " "
    return "\x1b[32m▲\x1b[0m" if now < before else "\x1b[31m▼\x1b[0m"


def _printable(name: str) -> str:
    """A name without anything that a terminal would obey: this may be a stranger's server."""
    return "".join(
        character if unicodedata.category(character)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for character in name
    )


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Mn":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fit(name: str, width: int) -> str:
    """The name cut or padded to so many columns of the terminal."""
    kept, used = "", 0
    for character in name:
        if used + _columns(character) > width:
            break
        kept += character
        used += _columns(character)
    return kept + " " * (width - used)
