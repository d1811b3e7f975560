"""A snapshot of a ranking, named by what it shows, and the frame that carries it over a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from scoreboard.board import Entry
from scoreboard.periods import Period, rfc3339


class Snapshot(NamedTuple):
    """Some entries of a ranking. `updated_at` is when this process took them up."""

    period: Period
    entries: Sequence[Entry]
    updated_at: int

    @property
    def version(self) -> str:
        """A short hash of the board, the period and the users shown.

        The same on every server and after every restart, since nothing else goes into it: it serves
        as the ETag and as the event id, and is compared for equality alone. 72 bits keep two states
        that one client could compare apart.
        """
        shown = json.dumps([*self.period, self.entries], separators=(",", ":"))
        return hashlib.blake2b(shown.encode(), digest_size=9).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As the contract shows it."""
        return {
            "board": self.period.board,
            "period": self.period.name or None,
            "version": self.version,
            "updatedAt": rfc3339(self.updated_at),
            "users": [entry.to_json() for entry in self.entries],
        }


class Frame(NamedTuple):
    """An event as bytes, made once and sent to everyone."""

    version: str
    data: bytes


def frame(snapshot: Snapshot) -> Frame:
    """The `leaderboard_update` event of a snapshot (WHATWG HTML, 9.2, "Server-sent events")."""
    body = json.dumps(snapshot.to_json(), separators=(",", ":"), ensure_ascii=False)
    # JSON escapes line breaks inside strings, but U+2028 and U+2029 it may carry as they are; the
    # event stream format ends lines at CR and LF only, so one `data:` line is right.
    event = f"event: leaderboard_update\nid: {snapshot.version}\ndata: {body}\n\n"
    return Frame(snapshot.version, event.encode())
