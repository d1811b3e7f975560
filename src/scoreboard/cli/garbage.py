"""When Python looks through all objects for those that hold each other and nobody else holds.

All else is freed as soon as nobody holds it. A full collection stops the process for as long as it
takes: 0.1 s or so with 10,000 streams open, a second with 1,000 that have tasks of their own.
Python would begin one in the middle of the busiest moment, since it goes by what was made.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final

from scoreboard.telemetry import metrics

# Objects made before a young collection, and young ones before one of middle age; so many of these
# before a full one that Python never begins any.
THRESHOLDS: Final = (50_000, 20, 1000)
EVERY: Final = 60.0  # seconds from one full collection to the next, at least
SHARE: Final = 0.001  # of the time, at most: after one of 0.2 s there is none for 200 s
QUIET: Final = 0.5  # seconds that the process has had next to nothing to do before one
IDLE: Final = 0.05  # of a core: what a process with a few requests a second uses
OVERDUE: Final = 3600.0  # seconds of waiting for such a moment, after which none is waited for


def begin() -> None:
    """What is here now, once the service is up, stays: modules, routes, the schema. Leave it out of
    every collection to come.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


class FullCollections:
    """Begins a full collection now and then, while the process is idle; each is measured."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.process_time,
        collect: Callable[[], object] = gc.collect,
    ) -> None:
        self._now = now
        self._used = used
        self._collect = collect
        self._due = now() + EVERY
        self._watched_from = now()
        self._used_then = used()

    def tick(self) -> None:
        """Collect if it is time; to be called several times in every `QUIET` seconds."""
        now = self._now()
        if now < self._watched_from + QUIET:
            return
        used = self._used()
        is_idle = used - self._used_then < IDLE * (now - self._watched_from)
        self._watched_from, self._used_then = now, used
        if now >= self._due and (is_idle or now >= self._due + OVERDUE):
            self._collect()
            took = self._now() - now
            metrics.FULL_COLLECTION_SECONDS.observe(took)
            self._due = now + took + max(EVERY, took / SHARE)
