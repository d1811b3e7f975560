"""What is printed where a person reads it: text of strangers made harmless, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

WIDEST: Final = 40  # characters that a column is padded to: one long id must not push all others


def visible(text: str) -> str:
    """The text with everything that a terminal would obey, hide or turn around written as an
    escape: a name or a reason must not clear the screen, or forge a line.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line a row, its columns aligned, and each text made visible."""
    shown = [[visible(text) for text in row] for row in rows]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*shown, strict=True)]
    return [
        "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
