"""The event that every contestant of the fan-out sends: a real frame's JSON, ten players."""

from __future__ import annotations

import json
from functools import cache

from scoreboard.board import Entry
from scoreboard.live.snapshot import Snapshot
from scoreboard.periods import ALL_TIME, Period

AT_MS = 1_795_000_000_000  # some instant, always the same


def name_of(number: int) -> str:
    """The username of a made-up player: of a common length."""
    return f"Player {number:05d}"


def id_of(number: int) -> str:
    """A player's account id."""
    return f"player-{number:05d}"


def top_ten() -> dict[str, object]:
    """The top 10 as Scoreboard shows it, with six-digit scores."""
    entries = [
        Entry(rank, id_of(rank), name_of(rank), 1_000_000 - 5 * rank) for rank in range(1, 11)
    ]
    return Snapshot(Period(ALL_TIME, ""), entries, AT_MS).to_json()


@cache
def event(number: int) -> bytes:
    """Its JSON with a number in front, by which a peer's events can be told apart."""
    return json.dumps({"seq": number, **top_ten()}, separators=(",", ":")).encode()
