"""What `make bench` shows while it runs: what is on, how far it is, and a line for each figure."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Mapping
from typing import TextIO

CLEAR = "\r\x1b[K"  # back to the line's begin, and nothing behind it


class Progress:
    """Lines that stay, and on a terminal one more, written anew, of what runs.

    `seconds` has what each part is expected to take, in the order in which they come.
    """

    def __init__(self, seconds: Mapping[str, float], out: TextIO = sys.stdout) -> None:
        self._expected = dict(seconds)
        self._out = out
        self._is_live = out.isatty()
        self._shown = ""
        self._part = ""
        self._since = 0.0

    def running(self, part: str, what: str, *, done: int, total: int) -> None:
        """This begins; `done` of the part's `total` are over."""
        if part != self._part:
            self._expected.pop(self._part, None)
            self._part, self._since = part, time.monotonic()
        passed = time.monotonic() - self._since
        here = passed / done * (total - done) if done else self._expected.get(part, 0.0)
        later = sum(took for name, took in self._expected.items() if name != part)
        minutes = math.ceil((here + later) / 60)
        self._shown = f"{part} {done + 1}/{total}, some {minutes} min left: {what}"
        if self._is_live:
            self._draw("")
        else:
            self.say(self._shown)

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._is_live:
            self._draw(f"{line}\n")
        else:
            self._out.write(f"{line}\n")
            self._out.flush()

    def close(self) -> None:
        """Nothing runs any more."""
        self._shown = ""
        if self._is_live:
            self._draw("")

    def _draw(self, above: str) -> None:
        width = shutil.get_terminal_size().columns - 1  # a full line would wrap
        self._out.write(f"{CLEAR}{above}{self._shown[:width]}")
        self._out.flush()
