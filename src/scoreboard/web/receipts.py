"""The answer to what was recorded."""

from __future__ import annotations

from typing import Final

from scoreboard.scoring.completion import Answer
from scoreboard.web.headers import Pair
from scoreboard.web.responses import JSON, Ready, encode

_FRESH: Final[list[Pair]] = [JSON, (b"cache-control", b"no-store")]
_REPLAYED: Final[list[Pair]] = [*_FRESH, (b"idempotent-replayed", b"true")]


def receipt(answer: Answer) -> Ready:
    """A receipt, which says whether it is that of an earlier call."""
    return Ready(encode(answer.to_json()).encode(), _REPLAYED if answer.replayed else _FRESH)
