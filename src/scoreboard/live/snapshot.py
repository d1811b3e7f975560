"""A snapshot of a ranking, named by what it shows, and the frame that carries it over a stream."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

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

    def to_json(self, version: str | None = None) -> dict[str, Any]:
        """As the contract shows it; `version` saves working it out again."""
        return {
            "board": self.period.board,
            "period": self.period.name or None,
            "version": version or self.version,
            "updatedAt": rfc3339(self.updated_at),
            "users": [entry.to_json() for entry in self.entries],
        }


class Shown(NamedTuple):
    """A snapshot as it goes over the wire: JSON, and the version of what it shows."""

    period: Period
    version: str
    body: bytes


class Frame(NamedTuple):
    """An event as bytes, made once and sent to everyone."""

    version: str
    data: bytes


_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def show(snapshot: Snapshot) -> Shown:
    """A snapshot, encoded."""
    version = snapshot.version
    return Shown(snapshot.period, version, _encode(snapshot.to_json(version)).encode())


def frame(shown: Shown) -> Frame:
    """The `leaderboard_update` event of a snapshot (WHATWG HTML, 9.2, "Server-sent events")."""
    # JSON escapes line breaks inside strings, but U+2028 and U+2029 it may carry as they are; the
    # event stream format ends lines at CR and LF only, so one `data:` line is right.
    event = b"event: leaderboard_update\nid: %b\ndata: %b\n\n"
    return Frame(shown.version, event % (shown.version.encode(), shown.body))
