"""What the commands print: all of it goes through here, and is made visible on its way."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Final, TextIO

from scoreboard.text import visible

WIDEST: Final = 40  # characters that a column is padded to: one long id must not push all others


class Code(str):
    """A control sequence of our own: the only text that the terminal is to obey."""

    __slots__ = ()


ERASE_LINE: Final = Code("\r\x1b[K")
NEW_LINE: Final = Code("\n")


def show(*pieces: str, end: str = "\n", file: TextIO | None = None) -> None:
    """Print one line at once, to standard output unless there is a `file`. Each piece is made
    visible, except a `Code`.
    """
    shown = (piece if isinstance(piece, Code) else visible(piece) for piece in pieces)
    print(*shown, sep="", end=end, file=file, flush=True)


def complain(text: str) -> None:
    """Print what is wrong, in one line of standard error."""
    show("scoreboard: ", text, file=sys.stderr)


def trace(error: BaseException) -> None:
    """Print the trace of an error that nobody expected, as Python does. Its text may be anybody's:
    a database quotes the row that it refuses.
    """
    for line in "".join(traceback.format_exception(error)).rstrip("\n").split("\n"):
        show(line, file=sys.stderr)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line a row, its columns aligned, and each text made visible."""
    shown = [[visible(text) for text in row] for row in rows]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*shown, strict=True)]
    return [
        "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
