"""Sliding windows in Redis, which all processes count in: one script for all calls that wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from scoreboard.batcher import Batcher
from scoreboard.board.redis.link import Link
from scoreboard.board.redis.scripts import script, send

_PREFIX: Final = "scoreboard:hits:"
MAX_HITS: Final = 256  # calls a script: half a millisecond, in which Redis does nothing else


class Hit(NamedTuple):
    """A call of a caller, of whom `limit` are let in during any `seconds`."""

    caller: str
    limit: int
    seconds: int


class Tally(NamedTuple):
    """What became of a call: how many are used of the window, and the seconds until the oldest
    leaves it.
    """

    allowed: bool
    used: int
    reset: float


class SharedWindows:
    """Counts calls one round trip at a time: while one is under way the next calls gather.

    `run` is the owning task. `hit` raises `Away` when Redis cannot be asked.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._batcher = Batcher(self._count, max_batch=MAX_HITS)
        self.run = self._batcher.run
        self.hit = self._batcher.submit

    async def _count(self, hits: Sequence[Hit]) -> Sequence[Tally]:
        command = script(
            "hits",
            [_PREFIX + hit.caller for hit in hits],
            *(number for hit in hits for number in (hit.limit, hit.seconds * 1000)),
        )
        (answer,) = await self._link.call(lambda: send(self._link.redis, [command]))
        return [
            Tally(bool(allowed), used, reset_ms / 1000)
            for allowed, used, reset_ms in zip(answer[::3], answer[1::3], answer[2::3], strict=True)
        ]
