"""`scoreboard watch`: the live top 10 in a terminal."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, Never, Self

import httpx2

from scoreboard.cli.target import add_url
from scoreboard.cli.terminal import NEW_LINE, Code, complain, show
from scoreboard.periods import ALL_TIME, BOARDS
from scoreboard.text import visible

SILENCE: Final = 45.0  # seconds: three comments missed, so the connection is dead
BACKOFF: Final = (1.0, 30.0)  # seconds between attempts to connect, doubling
MOST: Final = 100  # places: no Scoreboard sends more
CLEAR: Final = Code("\x1b[H\x1b[J")
HIDE_CURSOR, SHOW_CURSOR = Code("\x1b[?25l"), Code("\x1b[?25h")
PLAIN: Final = Code("\x1b[0m")
BOLD, DIM, RED = Code("\x1b[1m"), Code("\x1b[2m"), Code("\x1b[31m")
GREEN, YELLOW, CYAN = Code("\x1b[32m"), Code("\x1b[33m"), Code("\x1b[36m")

Line = tuple[str, ...]
"""The pieces of a line, of which only a `Code` is more than text."""


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


class Place(NamedTuple):
    """One row of a snapshot."""

    rank: int
    user_id: str
    username: str
    score: int


class Snapshot(NamedTuple):
    """What is shown of a server's snapshot. The server may be a stranger's: each field has the type
    that it should, and the texts hold anything.
    """

    board: str
    period: str | None
    updated_at: str
    places: tuple[Place, ...]

    @classmethod
    def of(cls, data: str) -> Self:
        """The snapshot in the data of an event. Raises `ValueError` when it is none."""
        try:
            document = json.loads(data)
            places = tuple(
                Place(
                    _whole(user["rank"]),
                    _text(user["userId"]),
                    _text(user["username"]),
                    _whole(user["score"]),
                )
                for user in document["users"]
            )
            period = document["period"]
            snapshot = cls(
                _text(document["board"]),
                None if period is None else _text(period),
                _text(document["updatedAt"]),
                places,
            )
        except (KeyError, TypeError, IndexError, RecursionError) as error:
            raise ValueError("not a snapshot") from error
        if len(places) > MOST:
            raise ValueError("too many places")
        return snapshot


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _whole(value: object) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise TypeError("not a whole number of 64 bits")
    return value


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
                        screen.show(Snapshot.of(event.data))
                        seen = event.id if event.id.isascii() and event.id.isprintable() else ""
                    elif event.event == "busy":
                        screen.say("the server is full, trying again in a while")
                        wait = BACKOFF[1]
                    elif event.event == "bye":
                        screen.say("the server is restarting")
                    else:
                        screen.say("live")
            except httpx2.HTTPStatusError as error:
                screen.say(f"the server answers {error.response.status_code}")
            except httpx2.HTTPError:
                screen.say(f"no connection to {url}")
            except (ValueError, httpx2.InvalidURL):
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

    def show(self, snapshot: Snapshot) -> None:
        places = ", ".join(
            f"{place.rank} {place.username} {place.score}" for place in snapshot.places
        )
        show(f"{snapshot.updated_at} {snapshot.board}: {places or 'nobody yet'}")

    def say(self, state: str) -> None:
        complain(state)

    def close(self) -> None:
        pass


class _Screen:
    """The board as a picture that is drawn over itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._state = "connecting"
        self._snapshot: Snapshot | None = None
        self._ranks: dict[str, int] = {}
        self._moves: dict[str, Line] = {}
        show(HIDE_CURSOR, end="")

    def show(self, snapshot: Snapshot) -> None:
        self._moves = {
            place.user_id: _move(self._ranks.get(place.user_id), place.rank)
            for place in snapshot.places
        }
        if not self._ranks:
            self._moves = {}
        self._ranks = {place.user_id: place.rank for place in snapshot.places}
        self._snapshot = snapshot
        self.say("live")

    def say(self, state: str) -> None:
        self._state = state
        self._draw()

    def close(self) -> None:
        show(SHOW_CURSOR)

    def _draw(self) -> None:
        width = min(shutil.get_terminal_size().columns, 72)
        color = GREEN if self._state == "live" else YELLOW
        lines: list[Line] = [(color, "●", PLAIN, f" {self._state}  ", DIM, self._url, PLAIN), ()]
        if self._snapshot is not None:
            lines += self._rows(self._snapshot, width)
        show(CLEAR, *(piece for line in lines for piece in (*line, NEW_LINE)), end="")

    def _rows(self, snapshot: Snapshot, width: int) -> Iterator[Line]:
        period = f" {snapshot.period}" if snapshot.period else ""
        yield (BOLD, _fit(f"{snapshot.board}{period}", width).rstrip(), PLAIN)
        yield ()
        for place in snapshot.places:
            name = _fit(place.username, max(width - 22, 8))
            move = self._moves.get(place.user_id, (" ",))
            yield (f"{place.rank:>3}  {name}  {place.score:>12,}  ", *move)
        if not snapshot.places:
            yield ("  nobody yet: complete an action",)


def _move(before: int | None, now: int) -> Line:
    if before is None:
        return (CYAN, "★", PLAIN)
    if before == now:
        return (" ",)
    return (GREEN, "▲", PLAIN) if now < before else (RED, "▼", PLAIN)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Mn":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fit(text: str, width: int) -> str:
    """The text made visible, and cut or padded to so many columns of the terminal."""
    kept, used = "", 0
    for character in visible(text):
        if used + _columns(character) > width:
            break
        kept += character
        used += _columns(character)
    return kept + " " * (width - used)
